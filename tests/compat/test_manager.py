"""Managers as an application of 2018 tests them."""

import warnings

from tests.compat.application import ApplicationTestCase, GreetTask, InMemory
from triggers import TriggerManager
from triggers.manager import trigger_managers
from triggers.runners import ThreadingTaskRunner
from triggers.testing import DevNullTask, FailingTask, PassThruTask
from triggers.types import TaskConfig, TaskInstance


class FireTestCase(ApplicationTestCase):
    def test_single_trigger(self):
        """A task runs once its trigger has fired."""
        self.manager.update_configuration({"t_alpha": {"after": ["started"], "run": PassThruTask.name}})
        self.assertInstanceMissing("t_alpha#0")
        self.assertUnresolvedTasks(["t_alpha"])

        self.fire("started", name="observations")

        self.assertInstanceFinished("t_alpha#0", {"kwargs": {"started": {"name": "observations"}}})
        self.assertUnresolvedTasks([])
        self.assertUnresolvedInstances([])

    def test_all_triggers_are_needed(self):
        """A task waits for all of its triggers, whatever their order."""
        self.manager.update_configuration({"t_alpha": {"after": {"first", "second"}, "run": PassThruTask.name}})

        self.fire("second", n=2)
        self.assertInstanceUnstarted("t_alpha#0")
        self.assertUnresolvedInstances(["t_alpha#0"])

        self.fire("second", n=99)
        self.assertInstanceUnstarted("t_alpha#0")

        self.fire("first", n=1)
        self.assertInstanceFinished("t_alpha#0", {"kwargs": {"first": {"n": 1}, "second": {"n": 2}}})

    def test_one_shot(self):
        """A task without ``andEvery`` runs once."""
        self.manager.update_configuration({"t_alpha": {"after": ["started"], "run": PassThruTask.name}})
        self.fire("started", "started", "started")
        self.assertInstanceFinished("t_alpha#0")
        self.assertInstanceMissing("t_alpha#1")

    def test_cascade(self):
        """A task that finishes fires its own name, with its result."""
        self.manager.update_configuration({
            "t_greet": {"after": ["greet"], "run": GreetTask.name},
            "t_next": {"after": ["t_greet", "confirmed"], "run": PassThruTask.name},
        })  # fmt: skip
        self.fire("greet", name="Ada")
        self.assertInstanceUnstarted("t_next#0")
        self.fire("confirmed")
        self.assertInstanceFinished("t_next#0", {"kwargs": {"t_greet": {"greeting": "hello, Ada"}, "confirmed": {}}})

    def test_failed_task_does_not_cascade(self):
        self.manager.update_configuration({
            "t_greet": {"after": ["greet"], "run": GreetTask.name},
            "t_next": {"after": ["t_greet"], "run": DevNullTask.name},
        })  # fmt: skip
        self.fire("greet", name=None)
        self.assertInstanceFailed("t_greet#0", ValueError)
        self.assertInstanceMissing("t_next#0")
        self.assertUnresolvedTasks(["t_greet", "t_next"])

        metadata = self.storage["t_greet#0"].metadata
        self.assertEqual(metadata[TaskInstance.META_EXCEPTION_MESSAGE], "nobody to greet")
        self.assertIn("Traceback", metadata[TaskInstance.META_EXCEPTION_INFO])
        self.assertEqual(metadata[TaskInstance.META_ACTUAL_KWARGS], {"greet": {"name": None}})

    def test_with_params(self):
        """Static parameters are merged under those of the triggers."""
        self.manager.update_configuration({
            "t_alpha": {
                "after": ["started"],
                "run": PassThruTask.name,
                "withParams": {"started": {"limit": 10, "source": "static"}, "options": {"dry": True}},
            }
        })  # fmt: skip
        self.fire("started", source="trigger")
        self.assertInstanceFinished(
            "t_alpha#0", {"kwargs": {"started": {"limit": 10, "source": "trigger"}, "options": {"dry": True}}}
        )

    def test_latest_kwargs(self):
        self.fire("started", n=1)
        self.fire("started", n=2)
        self.assertEqual(self.storage.latest_kwargs, {"started": {"n": 2}})
        self.assertEqual(self.storage.metadata["latest_kwargs"], {"started": {"n": 2}})

    def test_configuration_does_not_apply_earlier_triggers(self):
        self.fire("started")
        self.manager.update_configuration({"t_alpha": {"after": ["started"], "run": DevNullTask.name}})
        self.assertInstanceMissing("t_alpha#0")
        self.fire("started")
        self.assertInstanceFinished("t_alpha#0")

    def test_configuration_is_updated_by_name(self):
        self.manager.update_configuration({
            "t_alpha": {"after": ["a"], "run": DevNullTask.name},
            "t_bravo": {"after": ["b"], "run": DevNullTask.name},
        })  # fmt: skip
        self.manager.update_configuration({"t_alpha": {"after": ["c"], "run": PassThruTask.name, "owner": "ops"}})
        tasks = self.storage.tasks
        self.assertEqual(tasks["t_bravo"].after, {"b"})
        self.assertEqual(tasks["t_alpha"].extra, {"owner": "ops"})
        self.assertIsInstance(tasks["t_alpha"], TaskConfig)
        self.fire("a")
        self.assertInstanceMissing("t_alpha#0")
        self.fire("c")
        self.assertInstanceFinished("t_alpha#0")

    def test_another_process_sees_the_same(self):
        self.manager.update_configuration({"t_alpha": {"after": ["started"], "run": PassThruTask.name}})
        self.fire("started")
        self.assertEqual(self.reopened()["t_alpha#0"].status, TaskInstance.STATUS_FINISHED)

    def test_sessions_are_isolated(self):
        self.manager.update_configuration({"t_alpha": {"after": ["started"], "run": DevNullTask.name}})
        other = trigger_managers.get("default", type(self.storage)("another session", **self.storage_arguments()))
        other.update_configuration({"t_alpha": {"after": ["started"], "run": DevNullTask.name}})
        other.fire("started")
        ThreadingTaskRunner.join_all()
        self.assertInstanceMissing("t_alpha#0")
        self.assertEqual([each.name for each in other.storage.iter_instances()], ["t_alpha#0"])


class AndEveryTestCase(ApplicationTestCase):
    def test_every_firing_makes_an_instance(self):
        self.manager.update_configuration({
            "t_alpha": {"after": ["ready"], "andEvery": "received", "run": PassThruTask.name}
        })  # fmt: skip
        self.fire("ready", at=1)
        self.assertInstanceUnstarted("t_alpha#0")
        self.fire("received", n=1)
        self.fire("received", n=2)
        self.assertInstanceFinished("t_alpha#0", {"kwargs": {"ready": {"at": 1}, "received": {"n": 1}}})
        self.assertInstanceFinished("t_alpha#1", {"kwargs": {"ready": {"at": 1}, "received": {"n": 2}}})
        self.assertInstanceMissing("t_alpha#2")

    def test_kwargs_are_deferred(self):
        """Firings that come before the other triggers wait, each with its own kwargs."""
        self.manager.update_configuration({
            "t_alpha": {"after": ["ready"], "andEvery": "received", "run": PassThruTask.name}
        })  # fmt: skip
        self.fire("received", n=1)
        self.fire("received", n=2)
        self.assertInstanceUnstarted("t_alpha#0")
        self.assertInstanceUnstarted("t_alpha#1")

        self.fire("ready", at=1)
        self.assertInstanceFinished("t_alpha#0", {"kwargs": {"ready": {"at": 1}, "received": {"n": 1}}})
        self.assertInstanceFinished("t_alpha#1", {"kwargs": {"ready": {"at": 1}, "received": {"n": 2}}})

    def test_later_instances_take_the_latest_kwargs(self):
        self.manager.update_configuration({
            "t_alpha": {"after": ["ready"], "andEvery": "received", "run": PassThruTask.name}
        })  # fmt: skip
        self.fire("ready", at=1)
        self.fire("received", n=1)
        self.fire("ready", at=2)
        self.assertInstanceMissing("t_alpha#1")
        self.fire("received", n=2)
        self.assertInstanceFinished("t_alpha#1", {"kwargs": {"ready": {"at": 2}, "received": {"n": 2}}})

    def test_one_shot_after_every(self):
        """A task without ``andEvery`` runs once, however often the task before it does."""
        self.manager.update_configuration({
            "t_alpha": {"after": [], "andEvery": "received", "run": PassThruTask.name},
            "t_once": {"after": ["t_alpha"], "run": DevNullTask.name},
            "t_every": {"after": [], "andEvery": "t_alpha", "run": DevNullTask.name},
        })  # fmt: skip
        self.fire("received", "received", "received")
        self.assertInstanceFinished("t_alpha#2")
        self.assertInstanceFinished("t_every#2")
        self.assertInstanceFinished("t_once#0")
        self.assertInstanceMissing("t_once#1")

    def test_and_every_is_part_of_after(self):
        self.manager.update_configuration({
            "t_alpha": {"after": ["ready"], "andEvery": "received", "run": DevNullTask.name}
        })  # fmt: skip
        config = self.storage.tasks["t_alpha"]
        self.assertEqual((config.after, config.and_every), ({"ready", "received"}, "received"))


class UnlessTestCase(ApplicationTestCase):
    def setUp(self):
        super().setUp()
        self.manager.update_configuration({
            "t_alpha": {"after": ["ready"], "andEvery": "received", "unless": ["cancelled"], "run": PassThruTask.name},
        })  # fmt: skip

    def test_abandoned_before_anything_else(self):
        self.fire("cancelled")
        self.assertInstanceAbandoned("t_alpha#0")
        self.assertUnresolvedTasks([])
        self.fire("ready", "received")
        self.assertInstanceAbandoned("t_alpha#0")
        self.assertInstanceAbandoned("t_alpha#1")

    def test_abandoned_while_waiting(self):
        self.fire("received", "received")
        self.fire("cancelled")
        self.assertInstanceAbandoned("t_alpha#0")
        self.assertInstanceAbandoned("t_alpha#1")
        self.assertUnresolvedInstances([])

    def test_too_late_for_what_has_started(self):
        self.fire("ready", "received")
        self.fire("cancelled")
        self.assertInstanceFinished("t_alpha#0")
        self.assertInstanceMissing("t_alpha#1")
        self.fire("received")
        self.assertInstanceAbandoned("t_alpha#1")

    def test_all_of_several_are_needed(self):
        self.manager.update_configuration({
            "t_bravo": {"after": ["ready"], "unless": ["cancelled", "confirmed"], "run": DevNullTask.name},
            "t_charlie": {"after": ["never"], "unless": ["cancelled", "confirmed"], "run": DevNullTask.name},
        })  # fmt: skip
        self.fire("cancelled")
        self.assertInstanceUnstarted("t_bravo#0")
        self.assertEqual(self.storage["t_bravo#0"].abandon_state, {"cancelled"})
        self.fire("ready")
        self.assertInstanceFinished("t_bravo#0")
        self.fire("confirmed")
        self.assertInstanceFinished("t_bravo#0")
        self.assertInstanceAbandoned("t_charlie#0")

    def test_replay_keeps_what_has_fired(self):
        self.manager.update_configuration({
            "t_fail": {"after": ["ready"], "unless": ["cancelled", "confirmed"], "run": FailingTask.name},
        })  # fmt: skip
        self.fire("cancelled", "ready", "confirmed")
        self.assertInstanceFailed("t_fail#0", RuntimeError)
        self.manager.replay_failed_instance("t_fail#0")
        ThreadingTaskRunner.join_all()
        self.assertInstanceFailed("t_fail#1", RuntimeError)
        self.assertEqual(self.storage["t_fail#1"].abandon_state, self.storage["t_fail#0"].abandon_state)

    def test_a_clone_is_abandoned_as_its_original_would_be(self):
        self.fire("received")
        with self.storage.acquire_lock() as writable_storage:
            writable_storage.clone_instance("t_alpha#0")
            writable_storage.save()
        self.fire("cancelled")
        self.assertInstanceAbandoned("t_alpha#0")
        self.assertInstanceAbandoned("t_alpha#1")


class ReplayTestCase(ApplicationTestCase):
    def setUp(self):
        super().setUp()
        self.manager.update_configuration({
            "t_greet": {"after": ["greet"], "run": GreetTask.name},
            "t_next": {"after": ["t_greet"], "run": PassThruTask.name},
        })  # fmt: skip
        self.fire("greet", name=None)

    def test_replay_with_replacement_kwargs(self):
        self.manager.replay_failed_instance("t_greet#0", {"greet": {"name": "Ada"}})
        ThreadingTaskRunner.join_all()
        self.assertInstanceReplayed("t_greet#0")
        self.assertInstanceFinished("t_greet#1", {"greeting": "hello, Ada"})
        self.assertInstanceFinished("t_next#0", {"kwargs": {"t_greet": {"greeting": "hello, Ada"}}})
        self.assertUnresolvedTasks([])

    def test_replay_as_it_was(self):
        self.manager.replay_failed_instance(self.storage["t_greet#0"])
        ThreadingTaskRunner.join_all()
        self.assertInstanceFailed("t_greet#1", ValueError)
        replayed = self.storage["t_greet#1"]
        self.assertEqual(replayed.kwargs, {"greet": {"name": None}})
        self.assertEqual(replayed.metadata[TaskInstance.META_PARENT], "t_greet#0")
        self.assertEqual(replayed.metadata[TaskInstance.META_DEPTH], 1)
        self.assertUnresolvedInstances(["t_greet#1"])

    def test_replay_without_kwargs(self):
        self.manager.replay_failed_instance("t_greet#0", {})
        ThreadingTaskRunner.join_all()
        self.assertInstanceFailed("t_greet#1", KeyError)
        self.assertEqual(self.storage["t_greet#1"].kwargs, {})

    def test_replay_of_a_replay(self):
        for number in range(3):
            self.manager.replay_failed_instance(f"t_greet#{number}")
            ThreadingTaskRunner.join_all()
        self.assertEqual(self.storage["t_greet#3"].depth, 3)

    def test_only_a_failed_instance_can_be_replayed(self):
        instance = self.storage["t_greet#0"]
        self.manager.replay_failed_instance(instance, {"greet": {"name": "Ada"}})
        ThreadingTaskRunner.join_all()
        for each in (instance, "t_greet#0", "t_greet#1", "t_next#0"):
            with self.assertRaises(ValueError):
                self.manager.replay_failed_instance(each)
        self.assertInstanceMissing("t_greet#2")


class SkipTestCase(ApplicationTestCase):
    def setUp(self):
        super().setUp()
        self.manager.update_configuration({
            "t_fail": {"after": ["started"], "run": FailingTask.name},
            "t_next": {"after": ["t_fail"], "run": PassThruTask.name},
        })  # fmt: skip
        self.fire("started")

    def test_skip(self):
        self.manager.skip_failed_instance("t_fail#0")
        self.assertInstanceSkipped("t_fail#0")
        self.assertInstanceMissing("t_next#0")
        self.assertUnresolvedTasks(["t_next"])
        self.assertEqual(self.storage["t_fail#0"].metadata[TaskInstance.META_CASCADE], False)

    def test_skip_with_cascade(self):
        self.manager.skip_failed_instance("t_fail#0", cascade=True, result={"stated": True})
        ThreadingTaskRunner.join_all()
        self.assertInstanceSkipped("t_fail#0")
        self.assertInstanceFinished("t_next#0", {"kwargs": {"t_fail": {"stated": True}}})
        self.assertEqual(self.storage["t_fail#0"].metadata[TaskInstance.META_RESULT], {"stated": True})

    def test_skip_with_cascade_without_result(self):
        self.manager.skip_failed_instance(self.storage["t_fail#0"], cascade=True)
        ThreadingTaskRunner.join_all()
        self.assertInstanceFinished("t_next#0", {"kwargs": {"t_fail": {}}})

    def test_only_a_failed_instance_can_be_skipped(self):
        self.manager.skip_failed_instance("t_fail#0", cascade=True)
        ThreadingTaskRunner.join_all()
        for each in ("t_fail#0", "t_next#0"):
            with self.assertRaises(ValueError):
                self.manager.skip_failed_instance(each, cascade=True)
        self.assertInstanceMissing("t_next#1")


class UpdateTestCase(ApplicationTestCase):
    def setUp(self):
        super().setUp()
        self.manager.update_configuration({
            "t_alpha": {"after": ["first", "second"], "run": PassThruTask.name},
            "t_next": {"after": ["t_alpha"], "run": PassThruTask.name},
        })  # fmt: skip
        self.fire("first")

    def test_status(self):
        self.manager.update_instance_status("t_alpha#0", TaskInstance.STATUS_ABANDONED)
        self.assertInstanceAbandoned("t_alpha#0")
        self.fire("second")
        self.assertInstanceAbandoned("t_alpha#0")
        self.assertInstanceMissing("t_alpha#1")

    def test_status_with_cascade(self):
        self.manager.update_instance_status(
            task_instance=self.storage["t_alpha#0"],
            status=TaskInstance.STATUS_FINISHED,
            metadata={TaskInstance.META_RESULT: {"by": "hand"}},
            cascade=True,
            cascade_kwargs={"by": "hand"},
        )
        ThreadingTaskRunner.join_all()
        self.assertInstanceFinished("t_alpha#0", {"by": "hand"})
        self.assertInstanceFinished("t_next#0", {"kwargs": {"t_alpha": {"by": "hand"}}})

    def test_metadata(self):
        self.manager.update_instance_metadata("t_alpha#0", {"ticket": "OPS-17"})
        self.manager.update_instance_metadata(self.storage["t_alpha#0"], {"owner": "ops"})
        metadata = self.storage["t_alpha#0"].metadata
        self.assertEqual((metadata["ticket"], metadata["owner"]), ("OPS-17", "ops"))
        self.assertInstanceUnstarted("t_alpha#0")

    def test_logs(self):
        self.manager.update_instance_metadata("t_alpha#0", {TaskInstance.META_LOG_LEVEL: 40})
        names = [each.name for each in self.storage.get_instances_with_unresolved_logs()]
        self.assertEqual(names, ["t_alpha#0"])
        self.manager.mark_instance_logs_resolved(self.storage["t_alpha#0"])
        self.assertEqual(self.storage.get_instances_with_unresolved_logs(), [])


class CustomManager(TriggerManager):
    """Finalises sessions, and notes what its hooks receive."""

    calls = []

    def _post_fire(self, trigger_name, tasks_scheduled):
        self.calls.append(("fire", trigger_name, [each.name for each in tasks_scheduled]))
        if trigger_name != "sessionFinalizing" and {task.name for task in self.get_unresolved_tasks()} == {"t_report"}:
            self.fire("sessionFinalizing")

    def _post_replay(self, task_instance):
        parent_instance = self.storage[task_instance.metadata["parent"]]
        self.calls.append(("replay", task_instance.name, parent_instance.name))

    def _post_skip(self, task_instance, cascade):
        self.calls.append(("skip", task_instance.name, cascade))


class CustomManagerTestCase(ApplicationTestCase):
    def setUp(self):
        super().setUp()
        trigger_managers._get_cache()["custom_manager"] = CustomManager
        CustomManager.calls.clear()
        self.manager = trigger_managers.get("custom_manager", storage=self.storage)
        self.manager.update_configuration({
            "t_pass": {"after": ["started"], "run": PassThruTask.name},
            "t_fail": {"after": ["started"], "run": FailingTask.name},
            "t_report": {"after": ["sessionFinalizing"], "run": DevNullTask.name},
        })  # fmt: skip

    def tearDown(self):
        super().tearDown()
        trigger_managers.refresh()

    def test_cascades_go_through_the_custom_manager(self):
        self.fire("started")
        self.assertInstanceFinished("t_pass#0")
        self.assertIn(("fire", "t_pass", []), CustomManager.calls)
        self.assertIn(("fire", "started", ["t_fail#0", "t_pass#0"]), CustomManager.calls)
        self.assertInstanceMissing("t_report#0")

    def test_hooks_of_replays_and_skips(self):
        self.fire("started")
        CustomManager.calls.clear()
        self.manager.replay_failed_instance("t_fail#0")
        ThreadingTaskRunner.join_all()
        self.manager.skip_failed_instance("t_fail#1")
        self.assertEqual(CustomManager.calls, [("replay", "t_fail#1", "t_fail#0"), ("skip", "t_fail#1", False)])

    def test_finalising(self):
        self.fire("started")
        self.manager.skip_failed_instance("t_fail#0", cascade=True)
        ThreadingTaskRunner.join_all()
        self.assertInstanceFinished("t_report#0")
        self.assertUnresolvedTasks([])

    def test_the_key_is_found_by_class(self):
        self.assertEqual(self.storage.manager_key, "custom_manager")
        with self.assertRaises(ValueError):
            TriggerManager(self.storage).fire("started")

    def test_an_overridden_method_runs_for_direct_calls(self):
        class Overriding(CustomManager):
            fired = []

            def fire(self, trigger_name, trigger_kwargs=None):
                self.fired.append(trigger_name)
                return super().fire(trigger_name, trigger_kwargs)

        trigger_managers._get_cache()["custom_manager"] = Overriding
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.manager = Overriding(self.storage)
        self.assertEqual(len(caught), 1)
        self.fire("started")
        self.assertEqual(Overriding.fired, ["started"])
        self.assertInstanceFinished("t_pass#0")


class FireInMemoryTestCase(InMemory, FireTestCase):
    pass


class AndEveryInMemoryTestCase(InMemory, AndEveryTestCase):
    pass


class UnlessInMemoryTestCase(InMemory, UnlessTestCase):
    pass


class ReplayInMemoryTestCase(InMemory, ReplayTestCase):
    pass


class SkipInMemoryTestCase(InMemory, SkipTestCase):
    pass


class UpdateInMemoryTestCase(InMemory, UpdateTestCase):
    pass


class CustomManagerInMemoryTestCase(InMemory, CustomManagerTestCase):
    pass
