"""What is needed to test tasks and managers: a mixin for test cases, and tasks that do next to nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pprint import pformat
from typing import Any, TypeVar
from unittest import TestCase, TestResult

from triggers_nb import runners
from triggers_nb.core.instances import TaskInstance
from triggers_nb.manager import TriggerManager
from triggers_nb.patcher import AttrPatcher
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.task import TaskContext, TriggerTask

C = TypeVar("C", bound=type[TriggerTask])

__all__ = [
    "DevNullTask",
    "FailingTask",
    "PassThruTask",
    "SelfRetryingTask",
    "SelfSkippingTask",
    "TriggerManagerTestCaseMixin",
    "name_matches_classpath",
]


def name_matches_classpath(cls: C) -> C:
    """Give a task class its dotted path as its name, which is what it has anyway unless it says otherwise."""
    cls.name = f"{cls.__module__}.{cls.__name__}"
    return cls


class PassThruTask(TriggerTask):
    """Returns the kwargs that it was given, as ``{"kwargs": …}``."""

    def _run(self, context: TaskContext) -> Mapping[str, Any]:
        return {"kwargs": context.trigger_kwargs}


class DevNullTask(TriggerTask):
    """Returns nothing."""

    def _run(self, context: TaskContext) -> Mapping[str, Any]:
        return {}


class FailingTask(TriggerTask):
    """Raises a RuntimeError."""

    def _run(self, context: TaskContext) -> Mapping[str, Any]:
        raise RuntimeError("this task always fails")


class SelfSkippingTask(TriggerTask):
    """Skips itself, and notes its kwargs in the instance's metadata."""

    def _run(self, context: TaskContext) -> Mapping[str, Any]:
        raise self.skip({"kwargs": context.trigger_kwargs})


class SelfRetryingTask(TriggerTask):
    """Retries itself as often as the kwarg ``max`` of ``retries`` says (else `max_retries`); returns the number."""

    def _run(self, context: TaskContext) -> Mapping[str, Any]:
        wanted = context.trigger_kwargs.get("retries", {}).get("max", self.max_retries)
        if self.request.retries < wanted:
            raise self.retry()
        return {"count": self.request.retries}


class TriggerManagerTestCaseMixin(TestCase):
    """Runs tasks in threads, without cooldowns, and asserts what became of a session.

    ``run`` in a configuration may be the dotted path of a task class. A test case sets ``self.manager``, and calls
    ``ThreadingTaskRunner.join_all()`` before it asserts.
    """

    manager: TriggerManager

    def run(self, result: TestResult | None = None) -> TestResult | None:
        """Run the test with the thread runner."""
        with (
            AttrPatcher(runners, DEFAULT_TASK_RUNNER=ThreadingTaskRunner),
            AttrPatcher(ThreadingTaskRunner, allow_python_path_target=True, respect_cooldown=False),
        ):
            return super().run(result)

    def assertInstanceStatus(self, instance_name: str, expected_status: str) -> None:
        """Assert that an instance exists and has that status."""
        try:
            instance = self.manager.storage[instance_name]
        except KeyError:
            self.fail(f"expected instance {instance_name!r} to be {expected_status}, but it has not been created")
        if instance.status != expected_status:
            self.fail(
                f"expected instance {instance_name!r} to be {expected_status}, but it is {instance.status}:\n\n"
                f"{pformat(instance.metadata)}"
            )

    def assertInstanceAbandoned(self, instance_name: str) -> None:
        """Assert that an instance was abandoned."""
        self.assertInstanceStatus(instance_name, TaskInstance.STATUS_ABANDONED)

    def assertInstanceFailed(self, instance_name: str, exc_type: type[BaseException]) -> None:
        """Assert that an instance failed with an exception of exactly that type."""
        self.assertInstanceStatus(instance_name, TaskInstance.STATUS_FAILED)
        found = self.manager.storage[instance_name].metadata[TaskInstance.META_EXCEPTION_TYPE]
        self.assertEqual(found, f"{exc_type.__module__}.{exc_type.__name__}")

    def assertInstanceFinished(self, instance_name: str, expected_result: Mapping[str, Any] | None = None) -> None:
        """Assert that an instance finished, and with that result (None: any)."""
        self.assertInstanceStatus(instance_name, TaskInstance.STATUS_FINISHED)
        if expected_result is not None:
            self.assertEqual(
                self.manager.storage[instance_name].metadata[TaskInstance.META_RESULT], dict(expected_result)
            )

    def assertInstanceReplayed(self, instance_name: str) -> None:
        """Assert that an instance was replayed."""
        self.assertInstanceStatus(instance_name, TaskInstance.STATUS_REPLAYED)

    def assertInstanceSkipped(self, instance_name: str) -> None:
        """Assert that an instance was skipped."""
        self.assertInstanceStatus(instance_name, TaskInstance.STATUS_SKIPPED)

    def assertInstanceMissing(self, instance_name: str) -> None:
        """Assert that an instance has not been created."""
        with contextlib.suppress(KeyError):
            instance = self.manager.storage[instance_name]
            self.fail(f"expected instance {instance_name!r} not to exist, but it is {instance.status}")

    def assertInstanceUnstarted(self, instance_name: str) -> None:
        """Assert that an instance was created, but not scheduled."""
        self.assertInstanceStatus(instance_name, TaskInstance.STATUS_UNSTARTED)

    def assertUnresolvedTasks(self, task_names: Sequence[str]) -> None:
        """Assert which tasks are unresolved, in any order."""
        found = sorted(task.name for task in self.manager.storage.get_unresolved_tasks())
        self.assertListEqual(found, sorted(task_names))

    def assertUnresolvedInstances(self, instance_names: Sequence[str]) -> None:
        """Assert which instances are unresolved, in any order."""
        found = sorted(instance.name for instance in self.manager.storage.get_unresolved_instances())
        self.assertListEqual(found, sorted(instance_names))
