"""What cannot run because of an instance."""

from __future__ import annotations

import pytest

from triggers_nb.analysis.graph_impact import Blocked, Impacts, impact
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.errors import UnknownInstance

TASKS = {
    "t_import": TaskConfig("t_import", after=["scheduled"], run="Import"),
    "t_plane": TaskConfig("t_plane", after=["t_import"], run="Plane"),
    "t_rebook": TaskConfig("t_rebook", after=["t_plane", "cancelled"], run="Rebook"),
    "t_mail": TaskConfig("t_mail", after=["t_rebook", "t_plane"], run="Mail"),
    "t_delay": TaskConfig("t_delay", after=["t_plane"], unless=["cancelled"], run="Delay"),
    "t_each": TaskConfig("t_each", after=["scheduled"], andEvery="t_plane", run="Each"),
}


def instance(name: str, status: str, *held: str, **metadata: object) -> TaskInstance:
    return TaskInstance(name, TASKS[name.partition("#")[0]], status, metadata, {trigger: {} for trigger in held})


FAILED = instance("t_plane#0", "failed", "t_import")
FIRED = ["scheduled", "t_import", "cancelled"]


def blocked_by(name: str, *instances: TaskInstance, fired=FIRED) -> dict[str, Blocked]:
    return {blocked.task: blocked for blocked in impact(TASKS, instances, fired, name)}


def test_tasks_without_an_instance_and_instances_that_wait_are_blocked_and_what_follows_them():
    found = blocked_by("t_plane#0", FAILED, instance("t_rebook#0", "unstarted", "cancelled"))
    assert {task: (b.instance, b.waits_for, b.distance) for task, b in found.items()} == {
        "t_rebook": ("t_rebook#0", "t_plane", 1),
        "t_delay": (None, "t_plane", 1),
        "t_each": (None, "t_plane", 1),
        "t_mail": (None, "t_plane", 1),
    }


def test_what_else_is_missing_is_said_but_not_what_follows_from_the_failure_itself():
    found = blocked_by("t_plane#0", FAILED, fired=["scheduled", "t_import"])
    assert found["t_rebook"].also_waits_for == ("cancelled",)
    assert found["t_mail"].also_waits_for == ()


def test_nearest_first():
    failed = instance("t_import#0", "failed")
    order = [(blocked.distance, blocked.task) for blocked in impact(TASKS, [failed], ["scheduled"], "t_import#0")]
    assert order == sorted(order)
    assert order[0] == (1, "t_plane")


def test_what_was_abandoned_or_has_run_is_not_blocked():
    over = [instance("t_delay#0", "abandoned"), instance("t_rebook#0", "finished"), instance("t_mail#0", "finished")]
    assert set(blocked_by("t_plane#0", FAILED, *over)) == {"t_each"}


def test_a_replayed_instance_blocks_nothing_its_clone_does():
    replayed = instance("t_plane#0", "replayed")
    clone = instance("t_plane#1", "failed", parent="t_plane#0")
    impacts = Impacts(TASKS, [replayed, clone], FIRED)
    assert impacts.of("t_plane#0") == []
    assert {blocked.task for blocked in impacts.of("t_plane#1")} == {"t_rebook", "t_mail", "t_delay", "t_each"}


def test_a_task_that_runs_at_every_firing_misses_this_one_although_the_trigger_has_fired_before():
    fired = [*FIRED, "t_plane", "t_rebook"]
    earlier = [instance("t_plane#0", "finished"), instance("t_each#0", "finished"), instance("t_plane#1", "failed")]
    assert set(blocked_by("t_plane#1", *earlier, fired=fired)) == {"t_each"}
    assert blocked_by("t_plane#0", *earlier, fired=fired) == {}


def test_skipped_without_cascade_blocks_and_with_cascade_does_not():
    fired = [*FIRED, "t_plane", "t_rebook"]
    assert blocked_by("t_plane#0", instance("t_plane#0", "skipped", cascade=False)) != {}
    assert blocked_by("t_plane#0", instance("t_plane#0", "skipped", cascade=True), fired=fired) == {}


def test_cycles_end():
    tasks = {
        "t_a": TaskConfig("t_a", after=["t_b", "go"], run="A"),
        "t_b": TaskConfig("t_b", after=["t_a"], run="B"),
    }
    failed = TaskInstance("t_a#0", tasks["t_a"], "failed")
    assert [blocked.task for blocked in impact(tasks, [failed], ["go"], "t_a#0")] == ["t_b"]


def test_an_unknown_instance_is_an_error_with_near_names():
    with pytest.raises(UnknownInstance, match=r"t_plan#0.*t_plane#0"):
        impact(TASKS, [FAILED], FIRED, "t_plan#0")
