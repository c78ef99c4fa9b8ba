"""The table of statuses: every pair, for the engine and by hand."""

import pytest

from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.status import (
    RESOLVED,
    STATUSES,
    check_by_hand,
    check_status,
    check_transition,
)
from triggers_nb.errors import InvalidStatus

#: What the engine does, as the drawing of an instance's life has it.
ENGINE = {
    ("unstarted", "scheduled"),
    ("unstarted", "abandoned"),
    ("scheduled", "running"),
    ("scheduled", "failed"),
    ("running", "finished"),
    ("running", "failed"),
    ("running", "skipped"),
    ("failed", "replayed"),
    ("failed", "skipped"),
}
UNRESOLVED = ("unstarted", "scheduled", "running", "failed")
BY_HAND = {(before, after) for before in UNRESOLVED for after in ("finished", "failed", "skipped", "abandoned")}
PAIRS = [(before, after) for before in STATUSES for after in STATUSES]


def test_there_are_eight_statuses() -> None:
    assert len(PAIRS) == 64
    assert set(UNRESOLVED) == set(STATUSES) - RESOLVED


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_what_the_engine_may_do(before: str, after: str) -> None:
    if (before, after) in ENGINE:
        check_transition("t#0", before, after)
    else:
        with pytest.raises(InvalidStatus, match=rf"'t#0' is {before}, it cannot become {after}"):
            check_transition("t#0", before, after)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_what_may_be_done_by_hand(before: str, after: str) -> None:
    if before == after or (before, after) in BY_HAND:
        check_by_hand("t#0", before, after)
    else:
        with pytest.raises(ValueError, match=rf"'t#0' is {before}, it cannot become {after}") as caught:
            check_by_hand("t#0", before, after)
        assert ("resolved" in str(caught.value)) == (before in RESOLVED)


@pytest.mark.parametrize("status", ["Finished", "finish", "", "done", None, 3, b"finished", ["finished"]])
def test_a_status_that_does_not_exist_is_an_error_that_lists_them(status: object) -> None:
    with pytest.raises(InvalidStatus, match="unstarted, scheduled, running"):
        check_status(status)


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(InvalidStatus, match=r"no status 'finishd'\. Did you mean 'finished'\? Statuses are"):
        check_status("finishd")


@pytest.mark.parametrize("status", STATUSES)
def test_an_instance_says_what_can_be_done_with_it(status: str) -> None:
    config = TaskConfig("t", ["a"], "app.Task", unless=["x"])
    ready = TaskInstance("t#0", config, status, kwargs={"a": {}})
    assert ready.can_schedule == ready.can_run == (status == "unstarted")
    assert ready.can_replay == ready.can_skip == (status == "failed")
    assert ready.is_resolved == (status in RESOLVED)
    assert not ready.can_abandon

    doomed = TaskInstance("t#0", config, status, kwargs={"a": {}}, abandonState={"x"})
    assert doomed.can_abandon == (status == "unstarted")
    assert not doomed.can_run


def test_an_instance_without_all_triggers_cannot_run() -> None:
    config = TaskConfig("t", ["a"], "app.Task", andEvery="b")
    assert not TaskInstance("t#0", config, kwargs={"a": {}}).can_run
    assert TaskInstance("t#0", config, kwargs={"a": {}, "b": {}}).can_run
    assert not TaskInstance("t#0", config, abandonState={"x"}).can_abandon


@pytest.mark.parametrize(
    ("status", "level", "is_marked", "is_resolved"),
    [
        ("finished", 30, False, True),
        ("finished", 40, False, False),
        ("finished", 50, True, True),
        ("failed", 40, False, False),
        ("running", 40, False, False),
        ("abandoned", 50, False, True),
        ("replayed", 50, False, True),
        ("skipped", 50, False, True),
    ],
)
def test_whose_logs_are_resolved(status: str, level: int, is_marked: bool, is_resolved: bool) -> None:
    config = TaskConfig("t", ["a"], "app.Task")
    instance = TaskInstance("t#0", config, status, metadata={"logLevel": level, "logsResolved": is_marked})
    assert instance.logs_resolved == is_resolved
