"""What a preview says is what an execution does: random configurations, histories, managers with hooks, and plans."""

import os
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

import triggers_nb as tnb
from tests.plan import fifo
from triggers_nb.core.events import decode_event
from triggers_nb.core.instances import TaskInstance
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.plan.plan import Plan
from triggers_nb.plan.rows import consequences
from triggers_nb.session import Session

EXTERNAL = ["go", "tick", "stop", "final"]
TASKS = ["t_a", "t_b", "t_c", "t_d"]
FIELDS = ["action", "target", "from_status", "to_status", "trigger", "kwargs"]


@trigger_managers.register("tests-finaliser")
class Finaliser(TriggerManager):
    """Fires ``final`` once nothing but t_d is unresolved."""

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        if {task.name for task in self.get_unresolved_tasks()} <= {"t_d"}:
            self.fire("final", {"after": trigger_name}, once=True)


@trigger_managers.register("tests-chatty")
class Chatty(TriggerManager):
    """Changes something in every hook."""

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        for instance in tasks_scheduled:
            self.update_instance_metadata(instance, {"because": trigger_name})

    def _post_replay(self, task_instance: TaskInstance) -> None:
        parent = self.storage[task_instance.metadata["parent"]]
        self.update_instance_metadata(parent, {"replayed_as": task_instance.name})

    def _post_skip(self, task_instance: TaskInstance, cascade: bool) -> None:
        if not cascade:
            self.fire("stop", {"skipped": task_instance.name}, once=True)


MANAGERS = ["default", "tests-finaliser", "tests-chatty"]


@st.composite
def configurations(draw: st.DrawFn, *, plain: bool = False) -> dict[str, dict[str, Any]]:
    configuration = {}
    for task in TASKS:
        others = [name for name in [*EXTERNAL, *TASKS] if name != task]
        directives: dict[str, Any] = {"after": draw(st.lists(st.sampled_from(others), max_size=2, unique=True)), "run": "x"}
        if not plain and draw(st.booleans()):
            directives["andEvery"] = draw(st.sampled_from([*EXTERNAL, *TASKS[: TASKS.index(task)]]))
        if not plain and draw(st.integers(0, 2)) == 0:
            directives["unless"] = draw(st.lists(st.sampled_from(others), min_size=1, max_size=2, unique=True))
        if not directives["after"] and "andEvery" not in directives:
            directives["after"] = [draw(st.sampled_from(EXTERNAL))]
        configuration[task] = directives
    return configuration


kwargs = st.one_of(st.none(), st.dictionaries(st.sampled_from(["n", "plane"]), st.integers(0, 9) | st.none(), max_size=2))
results = st.one_of(
    st.dictionaries(st.sampled_from(["seats", "n"]), st.integers(0, 9), max_size=1),
    st.sampled_from([ValueError("wrong"), KeyError("seats")]),
)
outcomes = st.fixed_dictionaries({task: results for task in TASKS})
firings = st.lists(st.tuples(st.sampled_from(EXTERNAL), kwargs), max_size=5)


def make_session(manager: str, configuration: Mapping[str, Any], history: list[Any], ends: Mapping[str, Any]) -> Session:
    """Given a session with a past."""
    fifo.forget()
    workspace = tnb.connect("memory://previews", manager=manager, runner=fifo.KEY)
    workspace.store.clear()
    session = workspace.create("s", configuration)
    for trigger, given_kwargs in history:
        session.manager.fire(trigger, given_kwargs)
        fifo.drain(ends)
    return session


def draw_plan(draw: st.DrawFn, session: Session) -> Plan:
    """Choose a plan that is possible now."""
    frame = session.instances()
    failed = list(frame.loc[frame["status"] == "failed", "instance"])
    unresolved = list(frame.loc[~frame["is_resolved"], "instance"])
    kinds = ["fire", "configure"] + ["replay", "skip"] * bool(failed) + ["update_status"] * bool(unresolved)
    kind = draw(st.sampled_from(kinds))
    if kind == "fire":
        return session.plan.fire(draw(st.sampled_from(EXTERNAL)), draw(kwargs), once=draw(st.booleans()))
    if kind == "configure":
        return session.plan.configure({"t_a": draw(configurations())["t_a"]})
    if kind == "update_status":
        chosen = draw(st.lists(st.sampled_from(unresolved), min_size=1, unique=True))
        status = draw(st.sampled_from(["finished", "failed", "skipped", "abandoned"]))
        return session.plan.update_status(chosen, status, cascade=draw(st.booleans()), cascade_kwargs={"by": "hand"})
    chosen = draw(st.lists(st.sampled_from(failed), min_size=1, unique=True))
    if kind == "skip":
        return session.plan.skip(chosen, cascade=draw(st.booleans()), result=draw(kwargs))
    return session.plan.replay(chosen, kwargs=draw(st.sampled_from([None, {}])))


def rows_of(session: Session, after: int) -> list[dict[str, Any]]:
    """What the session's events say has happened since."""
    found = []
    for stored in session.workspace.store.events("s", after=after):
        for row in consequences(decode_event(stored.data), step=0, uid="s"):
            found.append({field: getattr(row, field) for field in FIELDS})
    return found


def predicted(frame: Any) -> list[dict[str, Any]]:
    kept = frame[~frame["action"].isin(["blocked", "refused", "stopped"])][FIELDS]
    return [{key: None if value is pd.NA else value for key, value in row.items()} for row in kept.to_dict("records")]


@st.composite
def situations(draw: st.DrawFn) -> tuple[Session, Plan, dict[str, Any]]:
    configuration, ends = draw(configurations()), draw(outcomes)
    session = make_session(draw(st.sampled_from(MANAGERS)), configuration, draw(firings), ends)
    note(f"configuration {configuration}\noutcomes {ends}\n{session.instances()[['instance', 'status']]}")
    return session, draw_plan(draw, session), draw(outcomes)


def check(situation: tuple[Session, Plan, dict[str, Any]]) -> None:
    session, plan, ends = situation
    note(f"{plan!r}")
    before = session.storage.store.state("s")
    assert before is not None
    # When it is previewed, then executed by a runner that runs one instance after the other
    preview = plan.preview(hooks=True, outcomes=ends, max_steps=60)
    assert session.storage.store.state("s") == before, "a preview has changed something"
    if (preview["action"] == "stopped").any():
        return
    result = plan.execute(confirm="memory")
    fifo.drain(ends)
    # Then each step that was predicted has happened, and nothing else
    assert predicted(preview) == rows_of(session, before.seq)
    assert set(result.frame["outcome"]) <= {"done", "refused"}
    refused = result.frame.loc[result.frame["outcome"] == "refused", "target"]
    assert set(preview.loc[preview["action"] == "refused", "target"]) == set(refused)


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(situations())
def test_a_preview_with_hooks_and_outcomes_is_exactly_what_happens(situation: Any) -> None:
    check(situation)


@pytest.mark.long
@settings(max_examples=int(os.environ.get("PREVIEW_EXAMPLES", "4000")), suppress_health_check=list(HealthCheck))
@given(situations())
def test_a_preview_is_what_happens_in_thousands_of_cases(situation: Any) -> None:
    check(situation)
