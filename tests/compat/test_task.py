"""Tasks as an application of 2018 tests them."""

import logging

from tests.compat.application import ApplicationTestCase, InMemory
from triggers.exceptions import with_context
from triggers.patcher import AttrPatcher
from triggers.runners import ThreadingTaskRunner
from triggers.task import MaxRetriesExceeded, TaskContext, TriggerTask
from triggers.testing import DevNullTask, SelfRetryingTask, SelfSkippingTask, name_matches_classpath
from triggers.types import TaskInstance


@name_matches_classpath
class LoggingTask(TriggerTask):
    def _run(self, context):
        with context.get_logger_context() as logger:
            for level, message in context.trigger_kwargs["log"]["messages"]:
                logger.log(level, message)


@name_matches_classpath
class ContextTask(TriggerTask):
    def _run(self, context):
        raise with_context(exc=LookupError("no such order"), context={"order": 17, "tried": ["a", "b"]})


@name_matches_classpath
class ReturningTask(TriggerTask):
    value = None

    def _run(self, context: TaskContext):
        return self.value


@name_matches_classpath
class FilteringTask(TriggerTask):
    def _run(self, context):
        import filters as f

        return context.filter_kwargs({"started": {"n": f.Required | f.Int, "unit": f.Optional(default="m")}})


@name_matches_classpath
class CoolingTask(TriggerTask):
    def _run(self, context):
        if self.request.retries == 0:
            raise self.retry(cooldown=3600, replacement_kwargs={"started": {"again": True}}, metadata={"why": "busy"})
        return context.trigger_kwargs


class TaskTestCase(ApplicationTestCase):
    def run_task(self, task, **kwargs):
        self.manager.update_configuration({
            "t_alpha": {"after": ["started"], "run": task.name},
            "t_next": {"after": ["t_alpha"], "run": DevNullTask.name},
        })  # fmt: skip
        self.fire("started", **kwargs)

    def test_skip_itself(self):
        self.run_task(SelfSkippingTask, n=1)
        self.assertInstanceSkipped("t_alpha#0")
        self.assertInstanceMissing("t_next#0")
        self.assertEqual(self.storage["t_alpha#0"].metadata["kwargs"], {"started": {"n": 1}})
        self.assertUnresolvedTasks(["t_next"])

    def test_retry_itself(self):
        self.manager.update_configuration({
            "t_alpha": {
                "after": ["started"],
                "run": SelfRetryingTask.name,
                "withParams": {"retries": {"max": 2}},
            },
        })  # fmt: skip
        self.fire("started")
        self.assertInstanceReplayed("t_alpha#0")
        self.assertInstanceReplayed("t_alpha#1")
        self.assertInstanceFinished("t_alpha#2", {"count": 2})
        self.assertInstanceMissing("t_alpha#3")

    def test_too_many_retries(self):
        self.manager.update_configuration({
            "t_alpha": {"after": ["started"], "run": SelfRetryingTask.name, "withParams": {"retries": {"max": 3}}},
        })  # fmt: skip
        with AttrPatcher(SelfRetryingTask, max_retries=2):
            self.fire("started")
        self.assertInstanceReplayed("t_alpha#1")
        self.assertInstanceFailed("t_alpha#2", MaxRetriesExceeded)
        self.assertInstanceMissing("t_alpha#3")

        # A replay by hand starts to count anew.
        self.manager.replay_failed_instance("t_alpha#2")
        ThreadingTaskRunner.join_all()
        self.assertInstanceFinished("t_alpha#6", {"count": 3})

    def test_retry_with_cooldown_and_replacement_kwargs(self):
        self.run_task(CoolingTask, again=False)
        self.assertInstanceReplayed("t_alpha#0")
        self.assertInstanceFinished("t_alpha#1", {"started": {"again": True}})
        self.assertEqual(self.storage["t_alpha#0"].metadata["why"], "busy")
        self.assertEqual(self.storage["t_alpha#1"].metadata[TaskInstance.META_COOLDOWN], 3600)

    def test_exception_context(self):
        self.run_task(ContextTask)
        self.assertInstanceFailed("t_alpha#0", LookupError)
        metadata = self.storage["t_alpha#0"].metadata
        self.assertEqual(metadata[TaskInstance.META_EXCEPTION_CONTEXT], {"order": 17, "tried": ["a", "b"]})

    def test_no_result(self):
        self.run_task(ReturningTask)
        self.assertInstanceFinished("t_alpha#0", {})
        self.assertInstanceFinished("t_next#0")

    def test_result_that_is_no_mapping(self):
        with AttrPatcher(ReturningTask, value=[1, 2]):
            self.run_task(ReturningTask)
        self.assertInstanceFailed("t_alpha#0", ValueError)
        self.assertInstanceMissing("t_next#0")

    def test_logs(self):
        self.manager.update_configuration({"t_alpha": {"after": ["log"], "run": LoggingTask.name}})
        self.fire("log", messages=[[logging.WARNING, "careful"], [logging.ERROR, "no good"], [logging.INFO, "well"]])
        instance = self.storage["t_alpha#0"]
        self.assertEqual((instance.status, instance.log_level), ("finished", logging.ERROR))
        self.assertEqual(instance.log_level_name, "ERROR")
        self.assertFalse(instance.logs_resolved)
        self.assertTrue(self.manager.mark_instance_logs_resolved(instance).logs_resolved)

    def test_filters(self):
        self.run_task(FilteringTask, n="17")
        self.assertInstanceFinished("t_alpha#0", {"started": {"n": 17, "unit": "m"}})

    def test_filters_that_do_not_pass(self):
        self.run_task(FilteringTask, n="many")
        self.assertInstanceFailed("t_alpha#0", ValueError)

    def test_dotted_path(self):
        """Under the mixin, ``run`` may be the path of a class that has another name."""
        self.manager.update_configuration({"t_alpha": {"after": ["started"], "run": "tests.compat.pathless.NamedTask"}})
        self.fire("started")
        self.assertInstanceFinished("t_alpha#0", {"by": "path"})

    def test_unknown_task(self):
        self.manager.update_configuration({"t_alpha": {"after": ["started"], "run": "no.such.Task"}})
        self.fire("started")
        self.assertInstanceStatus("t_alpha#0", TaskInstance.STATUS_FAILED)

    def test_timestamps(self):
        self.run_task(DevNullTask)
        instance = self.storage["t_alpha#0"]
        moments = instance.metadata[TaskInstance.META_TIMESTAMPS]
        self.assertEqual(moments["created"], min(moments.values()))
        self.assertEqual(moments["lastModified"], instance.last_modified)
        self.assertEqual(moments["lastModified"], max(moments.values()))
        self.assertEqual(set(moments), {"created", "lastModified", "unstarted", "scheduled", "running", "finished"})


class TaskInMemoryTestCase(InMemory, TaskTestCase):
    pass
