"""The assertions for users' tests hold when they should, and say what is wrong when they do not."""

from collections.abc import Callable
from typing import Any
from unittest import TestCase

import pytest

from triggers_nb import runners
from triggers_nb.manager import TriggerManager
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.testing import (
    DevNullTask,
    FailingTask,
    PassThruTask,
    SelfRetryingTask,
    SelfSkippingTask,
    TriggerManagerTestCaseMixin,
)


class Case(TriggerManagerTestCaseMixin, TestCase):
    """A test case of a user; not collected, because its tests are called by name."""

    __test__ = False

    def setUp(self) -> None:
        self.manager = TriggerManager(BaseTriggerStorage("case", MemoryStore()))
        self.manager.update_configuration({
            "t_finished": {"after": ["go"], "run": PassThruTask.name},
            "t_failed": {"after": ["go"], "run": FailingTask.name},
            "t_skipped": {"after": ["go"], "run": SelfSkippingTask.name},
            "t_replayed": {"after": ["go"], "run": SelfRetryingTask.name},
            "t_unstarted": {"after": ["go", "never"], "run": DevNullTask.name},
            "t_abandoned": {"after": ["never"], "unless": ["go"], "run": DevNullTask.name},
            "t_missing": {"after": ["never"], "run": DevNullTask.name},
        })  # fmt: skip
        self.manager.fire("go", {"n": 1})
        ThreadingTaskRunner.join_all()


STATUSES = ["finished", "failed", "skipped", "replayed", "unstarted", "abandoned", "missing"]


@pytest.fixture
def case() -> Case:
    """A case that has been set up."""
    ready: list[Case] = []

    class Ready(Case):
        def test(self) -> None:
            ready.append(self)

    result = Ready("test").run()
    assert result is not None
    assert result.wasSuccessful()
    return ready[0]


def check(case: Case, assertion: str, status: str) -> None:
    arguments = (RuntimeError,) if assertion == "failed" else ()
    getattr(case, f"assertInstance{assertion.title()}")(f"t_{status}#0", *arguments)


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("assertion", STATUSES)
def test_an_assertion_holds_for_its_own_status_alone(case: Case, assertion: str, status: str) -> None:
    if assertion == status:
        check(case, assertion, status)
    else:
        with pytest.raises(AssertionError, match=f"t_{status}#0"):
            check(case, assertion, status)


@pytest.mark.parametrize(
    "assertion",
    [
        lambda case: case.assertInstanceFinished("t_finished#0", {"kwargs": {}}),
        lambda case: case.assertInstanceFailed("t_failed#0", ValueError),
        lambda case: case.assertInstanceFailed("t_failed#0", Exception),
        lambda case: case.assertUnresolvedTasks(["t_failed"]),
        lambda case: case.assertUnresolvedInstances(["t_failed#0"]),
    ],
)
def test_a_wrong_result_exception_or_list_is_told(case: Case, assertion: Callable[[Case], object]) -> None:
    with pytest.raises(AssertionError):
        assertion(case)


def test_right_ones_hold(case: Case) -> None:
    case.assertInstanceFinished("t_finished#0", {"kwargs": {"go": {"n": 1}}})
    case.assertUnresolvedTasks(["t_unstarted", "t_missing", "t_failed"])
    case.assertUnresolvedInstances(["t_unstarted#0", "t_failed#0"])


def test_while_a_case_runs_tasks_run_in_threads_without_cooldown_and_paths_are_imported() -> None:
    seen: list[Any] = []

    class Looking(TriggerManagerTestCaseMixin, TestCase):
        def test(self) -> None:
            runner = ThreadingTaskRunner
            seen.append((runners.DEFAULT_TASK_RUNNER, runner.respect_cooldown, runner.allow_python_path_target))

    Looking("test").run()
    assert seen == [(ThreadingTaskRunner, False, True)]
    after = (runners.DEFAULT_TASK_RUNNER, ThreadingTaskRunner.respect_cooldown)
    assert after == (None, True)
    assert not ThreadingTaskRunner.allow_python_path_target
