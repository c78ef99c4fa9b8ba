"""Random sessions with a past, managers with hooks, and plans that are possible for them."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hypothesis import note
from hypothesis import strategies as st

import triggers_nb as tnb
from tests.plan import fifo
from triggers_nb.core.instances import TaskInstance
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.plan.plan import Plan
from triggers_nb.workspace import Workspace

EXTERNAL = ["go", "tick", "stop", "final"]
TASKS = ["t_a", "t_b", "t_c", "t_d"]


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


@trigger_managers.register("tests-clumsy")
class Clumsy(TriggerManager):
    """Raises in its hooks, sometimes after it has changed something, and reads whatever there is."""

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        n_failed = sum(instance.status == "failed" for instance in self.storage)
        if trigger_name in ("tick", "t_a"):
            self.fire("stop", {"failed": n_failed, "fired": sorted(self.storage.latest_kwargs)}, once=True)
        if trigger_name in ("go", "t_a", "t_b"):
            raise RuntimeError(f"{trigger_name} with {n_failed} failed")

    def _post_replay(self, task_instance: TaskInstance) -> None:
        raise LookupError(f"{task_instance.name} of depth {task_instance.metadata['depth']}")

    def _post_skip(self, task_instance: TaskInstance, cascade: bool) -> None:
        raise LookupError(f"{task_instance.name}, {cascade}")


MANAGERS = ["default", "tests-finaliser", "tests-chatty", "tests-clumsy"]


@st.composite
def configurations(draw: st.DrawFn, *, plain: bool = False) -> dict[str, dict[str, Any]]:
    configuration = {}
    for task in TASKS:
        others = [name for name in [*EXTERNAL, *TASKS] if name != task]
        # What is fired from outside more often than not, so that much happens
        after = draw(
            st.lists(st.sampled_from([*EXTERNAL[:2] * 3, *others]), min_size=draw(st.integers(0, 1)), max_size=2)
        )
        after = sorted(set(after))
        directives: dict[str, Any] = {"after": after, "run": f"tests-plan.{task}"}
        if not plain and draw(st.booleans()):
            directives["andEvery"] = draw(st.sampled_from([*EXTERNAL, *TASKS[: TASKS.index(task)]]))
        if not plain and draw(st.integers(0, 2)) == 0:
            directives["unless"] = draw(st.lists(st.sampled_from(others), min_size=1, max_size=2, unique=True))
        if not directives["after"] and "andEvery" not in directives:
            directives["after"] = [draw(st.sampled_from(EXTERNAL))]
        configuration[task] = directives
    return configuration


kwargs = st.one_of(
    st.none(), st.dictionaries(st.sampled_from(["n", "plane"]), st.integers(0, 9) | st.none(), max_size=2)
)
results = st.one_of(
    st.dictionaries(st.sampled_from(["seats", "n"]), st.integers(0, 9), max_size=1),
    st.sampled_from([ValueError("wrong"), KeyError("seats")]),
)
failures = st.sampled_from([ValueError("wrong"), KeyError("seats"), {}, ValueError("again")])
outcomes = st.fixed_dictionaries(dict.fromkeys(TASKS, results))


@st.composite
def firings(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """A past in which some triggers have not been fired yet."""
    fired = draw(st.lists(st.sampled_from(EXTERNAL), min_size=1, max_size=3, unique=True))
    return [(draw(st.sampled_from(fired)), draw(kwargs)) for _ in range(draw(st.integers(1, 5)))]


def make_world(draw: st.DrawFn, url: str, managers: list[str], *, plain: bool = False) -> Workspace:
    """Given sessions with a past, all of one manager."""
    fifo.forget()
    workspace = tnb.connect(url, manager=draw(st.sampled_from(managers)), runner=fifo.KEY)
    workspace.store.clear()
    ends = {task: draw(failures) for task in TASKS}
    for uid in ["s", "u", "v"][: draw(st.sampled_from([1, 2, 3]))]:
        configuration = draw(configurations(plain=plain))
        session = workspace.create(uid, configuration)
        for trigger, given in draw(firings()):
            fire_quietly(session.manager, trigger, given)
            fifo.drain(ends)
        note(f"{uid}: {configuration}\n{session.instances()[['instance', 'status']]}")
    return workspace


def fire_quietly(manager: TriggerManager, trigger: str, given: Mapping[str, Any] | None) -> None:
    with suppress(RuntimeError, LookupError):  # of a clumsy hook
        manager.fire(trigger, given)


def draw_plan(draw: st.DrawFn, workspace: Workspace, kinds: set[str]) -> Plan:
    """Choose a plan that is possible now."""
    frame = workspace.instances()
    failed, unresolved = frame[frame["status"].eq("failed")], frame[~frame["is_resolved"]]
    possible = {"fire", "configure"}
    possible |= ({"replay", "skip"} if len(failed) else set()) | ({"update_status"} if len(unresolved) else set())
    possible |= {"update_metadata", "resolve_logs"} if len(frame) else set()
    # What works on instances is more interesting, and rarer.
    weights = {"fire": 3, "replay": 8, "skip": 6, "update_status": 4}
    kind = draw(st.sampled_from([name for name in sorted(possible & kinds) for _ in range(weights.get(name, 1))]))
    uids = draw(st.lists(st.sampled_from(list(workspace)), min_size=1, unique=True))
    if kind == "fire":
        triggers = draw(st.lists(st.sampled_from(EXTERNAL), min_size=1, max_size=2))
        return workspace.plan.fire(uids, triggers, draw(kwargs), once=draw(st.booleans()))
    if kind == "configure":
        return workspace.plan.configure(uids, {"t_a": draw(configurations())["t_a"]})
    among = {"replay": failed, "skip": failed, "update_status": unresolved}.get(kind, frame)
    n_least = min(len(among), draw(st.integers(1, 3)))
    chosen = among.iloc[draw(st.lists(st.integers(0, len(among) - 1), min_size=n_least, max_size=6, unique=True))]
    return _plan_instances(draw, workspace, kind, chosen)


def _plan_instances(draw: st.DrawFn, workspace: Workspace, kind: str, chosen: Any) -> Plan:
    plan = workspace.plan
    if kind == "skip":
        return plan.skip(chosen, cascade=draw(st.booleans()), result=draw(kwargs))
    if kind == "update_status":
        status = draw(st.sampled_from(["finished", "failed", "skipped", "abandoned"]))
        return plan.update_status(chosen, status, cascade=draw(st.booleans()), cascade_kwargs={"by": "hand"})
    if kind == "update_metadata":
        return plan.update_metadata(chosen, lambda row: {"seen": row["instance"]})
    if kind == "resolve_logs":
        return plan.resolve_logs(chosen)
    how = draw(st.sampled_from(["as stored", "none", "merged by row", "replaced by series"]))
    triggers = {
        (row.session_uid, row.instance): sorted(workspace.session(row.session_uid).storage[row.instance].kwargs)
        for row in chosen.itertuples()
    }

    def patch(row: Any) -> dict[str, Any]:
        return {trigger: {"by": row["instance"]} for trigger in triggers[row["session_uid"], row["instance"]][:1]}

    if how == "merged by row":
        return plan.replay(chosen, merge_kwargs=patch)
    if how == "replaced by series":
        return plan.replay(chosen, kwargs=chosen.apply(patch, axis=1))
    return plan.replay(chosen, kwargs=None if how == "as stored" else {})
