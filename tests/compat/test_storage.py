"""Storages as an application of 2018 tests them."""

from datetime import datetime, timedelta
from threading import Thread

from tests.compat.application import ApplicationTestCase, InMemory
from triggers import CacheStorageBackend
from triggers.locking import LockAcquisitionFailed
from triggers.runners import ThreadingTaskRunner
from triggers.storages import storage_backends
from triggers.storages.base import BaseTriggerStorage
from triggers.testing import DevNullTask, PassThruTask
from triggers.types import TaskInstance


class StorageTestCase(ApplicationTestCase):
    def setUp(self):
        super().setUp()
        self.manager.update_configuration({
            "t_alpha": {"after": ["first", "second"], "run": PassThruTask.name},
            "t_bravo": {"after": ["second"], "andEvery": "third", "unless": ["never"], "run": DevNullTask.name},
        })  # fmt: skip

    def test_registry(self):
        self.assertIsInstance(self.storage, CacheStorageBackend)
        self.assertIsInstance(self.storage, BaseTriggerStorage)
        self.assertIn("cache", storage_backends)

    def test_create_instance(self):
        with self.storage.acquire_lock() as writable_storage:
            instance = writable_storage.create_instance(task_config=writable_storage.tasks["t_alpha"])
            instance.kwargs = {"first": {"n": 1}}
            writable_storage.save()
        self.assertInstanceUnstarted("t_alpha#0")
        self.fire("second", n=2)
        self.assertInstanceFinished("t_alpha#0", {"kwargs": {"first": {"n": 1}, "second": {"n": 2}}})

    def test_create_instance_with_everything(self):
        with self.storage.acquire_lock() as writable_storage:
            writable_storage.create_instance(
                task_config=writable_storage.tasks["t_bravo"],
                status=TaskInstance.STATUS_FINISHED,
                metadata={TaskInstance.META_RESULT: {"n": 1}},
                kwargs={"third": {}},
                abandonState=set(),
            )
            writable_storage.save()
        self.assertInstanceFinished("t_bravo#0", {"n": 1})
        self.assertUnresolvedTasks(["t_alpha"])

    def test_clone_instance(self):
        self.fire("first", n=1)
        with self.storage.acquire_lock() as writable_storage:
            clone = writable_storage.clone_instance(self.storage["t_alpha#0"])
            self.assertEqual(clone.name, "t_alpha#1")
            writable_storage.save()
        clone = self.storage["t_alpha#1"]
        self.assertEqual(clone.status, TaskInstance.STATUS_UNSTARTED)
        self.assertEqual(clone.kwargs, {"first": {"n": 1}})
        self.assertEqual(clone.metadata["parent"], "t_alpha#0")
        self.assertEqual(clone.metadata["depth"], 1)

    def test_change_instance(self):
        self.fire("first")
        with self.storage.acquire_lock() as writable_storage:
            instance = writable_storage["t_alpha#0"]
            instance.status = TaskInstance.STATUS_SKIPPED
            instance.metadata["why"] = "not needed"
            writable_storage.save()
        self.assertInstanceSkipped("t_alpha#0")
        self.assertEqual(self.reopened()["t_alpha#0"].metadata["why"], "not needed")

    def test_nothing_is_saved_without_save(self):
        self.fire("first")
        with self.storage.acquire_lock() as writable_storage:
            writable_storage["t_alpha#0"].status = TaskInstance.STATUS_SKIPPED
            writable_storage.create_instance(task_config=writable_storage.tasks["t_alpha"])
        self.assertInstanceUnstarted("t_alpha#0")
        self.assertInstanceMissing("t_alpha#1")

    def test_naive_timestamps(self):
        """An application sets moments of its own, to test what it does with old instances."""
        self.fire("first")
        long_ago = datetime.now() - timedelta(days=30)
        with self.storage.acquire_lock() as writable_storage:
            timestamps = writable_storage["t_alpha#0"].metadata[TaskInstance.META_TIMESTAMPS]
            timestamps[TaskInstance.TIMESTAMP_CREATED] = long_ago
            timestamps[TaskInstance.TIMESTAMP_LAST_MODIFIED] = long_ago
            writable_storage.save()
        self.storage.invalidate_cache()
        instance = self.storage["t_alpha#0"]
        self.assertEqual(instance.last_modified, long_ago)
        self.assertEqual(instance.metadata["timestamps"]["created"], long_ago)

    def test_locked(self):
        failures = []

        def try_to_lock():
            try:
                with self.reopened().acquire_lock(block=False):
                    failures.append("not locked")
            except LockAcquisitionFailed as error:
                failures.append(type(error))

        with self.storage.acquire_lock():
            thread = Thread(target=try_to_lock)
            thread.start()
            thread.join()
        self.assertEqual(failures, [LockAcquisitionFailed])

    def test_nested_locks(self):
        with self.storage.acquire_lock() as outer, outer.acquire_lock() as inner:
            inner.create_instance(task_config=inner.tasks["t_alpha"])
            outer.save()
        self.assertInstanceUnstarted("t_alpha#0")

    def test_reading(self):
        self.fire("second", "third", "third")
        names = ["t_alpha#0", "t_bravo#0", "t_bravo#1"]
        self.assertEqual([each.name for each in self.storage], names)
        self.assertEqual(sorted(self.storage.instances), names)
        self.assertEqual(list(self.storage.instances_of_task(self.storage.tasks["t_bravo"])), names[1:])
        self.assertEqual([task.name for task in self.manager.get_unresolved_tasks()], ["t_alpha"])
        self.assertEqual([each.name for each in self.storage.get_unresolved_instances()], ["t_alpha#0"])
        shown = self.storage.debug_repr()
        self.assertEqual(shown["instances"]["t_bravo#1"]["status"], "finished")
        with self.assertRaises(KeyError):
            self.storage["t_bravo#2"]

    def test_clear(self):
        self.fire("first")
        self.storage.cache.clear()
        self.storage.invalidate_cache()
        self.assertInstanceMissing("t_alpha#0")
        with self.assertRaises(KeyError):
            self.storage.tasks  # noqa: B018

    def test_threads(self):
        """Threads that fire at the same time do not disturb each other."""
        threads = [Thread(target=self.manager.fire, args=("third", {"n": number})) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.fire("second")
        ThreadingTaskRunner.join_all()
        found = sorted(each.kwargs["third"]["n"] for each in self.storage.instances_of_task("t_bravo").values())
        self.assertEqual(found, list(range(10)))
        self.assertUnresolvedTasks(["t_alpha"])


class StorageInMemoryTestCase(InMemory, StorageTestCase):
    pass
