"""What a preview says is what an execution does: random configurations, histories, managers with hooks, and plans."""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.plan import fifo
from tests.plan.conftest import cases
from tests.plan.worlds import MANAGERS, TASKS, draw_plan, make_world, outcomes
from triggers_nb.core.events import decode_event
from triggers_nb.plan.plan import Plan
from triggers_nb.plan.rows import consequences
from triggers_nb.runners import ThreadingTaskRunner
from triggers_nb.task import TaskContext, TriggerTask
from triggers_nb.workspace import Workspace

FIELDS = ["action", "target", "from_status", "to_status", "trigger", "detail"]
ALL = {"fire", "configure", "replay", "skip", "update_status", "update_metadata", "resolve_logs"}
#: What tells of the plan rather than of what happens.
ABOUT = ["blocked", "refused", "stopped", "note"]

quick = settings(max_examples=100, suppress_health_check=list(HealthCheck), deadline=None)
long = settings(quick, max_examples=int(os.environ.get("PREVIEW_EXAMPLES", "4000")))

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nobody keeps what thousands of clumsy hooks log."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def rows_of(workspace: Workspace, uid: str, after: int) -> Rows:
    """What the session's events say has happened since."""
    events = [decode_event(stored.data) for stored in workspace.store.events(uid, after=after)]
    return [
        {field: getattr(row, field) for field in FIELDS} | {"kwargs": row.kwargs if row.action == "fire" else None}
        for event in events
        for row in consequences(event, step=0, uid=uid)
    ]


def predicted(frame: pd.DataFrame) -> Rows:
    kept = frame[~frame["action"].isin(ABOUT)]
    rows = [{key: None if value is pd.NA else value for key, value in row.items()} for row in kept.to_dict("records")]
    return [
        {field: row[field] for field in FIELDS} | {"kwargs": row["kwargs"] if row["action"] == "fire" else None}
        for row in rows
    ]


def kwargs_at_last(frame: pd.DataFrame) -> dict[str, Any]:
    """The kwargs of each instance that is made or takes a trigger, as the last row of it says."""
    taken = frame[frame["action"].isin(["create", "apply"])]
    return dict(zip(taken["target"], taken["kwargs"], strict=True))


def refusals(frame: pd.DataFrame, column: str) -> set[tuple[str, str]]:
    refused = frame[frame[column].eq("refused")]
    return set(zip(refused["session_uid"], refused["target"], strict=True))


def check(workspace: Workspace, plan: Plan, ends: dict[str, Any]) -> None:
    note(f"{plan!r}")
    before = {uid: workspace.store.state(uid) for uid in workspace}
    # When it is previewed, then executed by a runner that runs one instance after the other
    preview = plan.preview(hooks=True, outcomes=ends, max_steps=60)
    assert {uid: workspace.store.state(uid) for uid in workspace} == before, "a preview has changed something"
    if preview["action"].eq("stopped").any():
        return
    result = plan.execute(confirm=workspace.access.phrase)
    fifo.drain(ends)
    # Then in each session exactly what was predicted has happened
    for uid, state in before.items():
        own = preview[preview["session_uid"].eq(uid)]
        assert predicted(own) == rows_of(workspace, uid, state.seq)
        storage = workspace.session(uid).storage
        assert {name: storage[name].kwargs for name in kwargs_at_last(own)} == kwargs_at_last(own)
    assert set(result.frame["outcome"]) <= {"done", "unchanged", "refused"}
    assert refusals(preview, "action") == refusals(result.frame, "outcome")
    without_effect = preview["action"].eq("note") & preview["detail"].str.endswith("nothing is changed")
    assert without_effect.sum() == result.frame["outcome"].eq("unchanged").sum()
    cases["previews that were exactly what happened"] += 1


def meddle(draw: st.DrawFn, workspace: Workspace, plan: Plan) -> None:
    """Sometimes, somebody else changes a target after the plan was made."""
    action = draw(st.sampled_from(plan.actions))
    if "#" in action.target and draw(st.integers(0, 4)) == 0:
        workspace.session(action.uid).manager.update_instance_metadata(action.target, {"touched": "by another"})


def one_case(draw: st.DrawFn, url: str) -> None:
    workspace = make_world(draw, url, MANAGERS)
    plan = draw_plan(draw, workspace, ALL)
    meddle(draw, workspace, plan)
    check(workspace, plan, draw(outcomes))


@quick
@given(st.data())
def test_a_preview_with_hooks_and_outcomes_is_exactly_what_happens(data: st.DataObject) -> None:
    one_case(data.draw, "memory://previews")


def test_a_preview_on_sqlite_is_exactly_what_happens(tmp_path: Any) -> None:
    @settings(quick, max_examples=20)
    @given(st.data())
    def check_on_sqlite(data: st.DataObject) -> None:
        one_case(data.draw, f"sqlite:///{tmp_path}/previews.db")

    check_on_sqlite()


@pytest.mark.long
@pytest.mark.timeout(1500)
@long
@given(st.data())
def test_a_preview_is_what_happens_in_thousands_of_cases(data: st.DataObject) -> None:
    one_case(data.draw, "memory://previews")


#: How each task ends that threads run.
ends_of_tasks: dict[str, Any] = {}


def define_task(task: str) -> None:
    class Ends(TriggerTask):
        name = f"tests-plan.{task}"

        def _run(self, context: TaskContext) -> Any:
            if isinstance(ends_of_tasks[task], Exception):
                raise type(ends_of_tasks[task])(*ends_of_tasks[task].args)
            return ends_of_tasks[task]


for name in TASKS:
    define_task(name)


def counted(rows: Rows) -> Counter[tuple[str, str]]:
    return Counter((row["target"].partition("#")[0], row["to_status"]) for row in rows if row["to_status"])


@settings(quick, max_examples=60)
@given(st.data())
def test_with_threads_as_many_instances_end_in_each_status_as_the_preview_says(data: st.DataObject) -> None:
    # Given configurations without andEvery and unless, where order does not matter
    workspace = make_world(data.draw, "memory://previews", ["default", "tests-finaliser"], plain=True)
    plan = draw_plan(data.draw, workspace, {"fire", "replay", "skip"})
    ends_of_tasks.update(data.draw(outcomes))
    before = {uid: workspace.store.summaries(uids=[uid]).__next__().seq for uid in workspace}
    preview = plan.preview(hooks=True, outcomes=dict(ends_of_tasks))
    # When threads run what the execution hands over, all at once
    workspace.runner = "threading"
    plan.execute(confirm="memory").raise_for_errors()
    ThreadingTaskRunner.join_all()
    # Then each task has entered each status as often as it was said
    happened: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for uid, seq in before.items():
        happened[uid] = counted(rows_of(workspace, uid, seq))
        assert counted(predicted(preview[preview["session_uid"].eq(uid)])) == happened[uid]
    cases["previews with as many ends as threads have made"] += 1
