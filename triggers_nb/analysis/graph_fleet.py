"""Many sessions as one graph: the union of their configurations, with counts and failure rates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import networkx as nx

from triggers_nb.analysis.graph import describe, describe_trigger, order_counts, rules
from triggers_nb.core.status import FAILED, FINISHED, REPLAYED, SKIPPED

if TYPE_CHECKING:
    from triggers_nb.analysis.graph import Graph
    from triggers_nb.core.instances import TaskConfig

    Edge = tuple[str, str, str]
    SessionFacts = tuple[Mapping[str, TaskConfig], Mapping[str, Mapping[str, int]], Collection[str]]


def fleet_graph(sessions: Iterable[SessionFacts]) -> Graph:
    """Build the union of many sessions' task graphs.

    Parameters
    ----------
    sessions
        For each session ``(tasks, counts, fired)``: its configuration, the number of its instances per task and
        status, and the names of all triggers that have fired. Read once, one at a time.

    Returns
    -------
    networkx.MultiDiGraph
        As `triggers_nb.analysis.graph.task_graph`, sorted by name, tasks first, and besides: ``n_sessions`` (that have
        the task; in which a task waits for the trigger), ``n_fired`` (sessions in which it fired), for tasks
        ``failure_rate`` (of the instances that ran to an end, the share that failed, replayed ones included; None if
        none did). Edges carry ``n_sessions`` and ``n_satisfied`` (sessions with the rule; of these, with the trigger
        fired); ``satisfied`` means in one at least.

    Examples
    --------
    >>> from types import SimpleNamespace as Config
    >>> tasks = {"t_a": Config(name="t_a", run="A", after={"go"}, and_every=None, unless=set())}
    >>> graph = fleet_graph([(tasks, {"t_a": {"failed": 1}}, ["go"]), (tasks, {"t_a": {"finished": 3}}, ["go"])])
    >>> graph.nodes["t_a"]["failure_rate"], graph.nodes["go"]["n_fired"], graph.nodes["t_a"]["detail"]
    (0.25, 2, '25 % failed')
    """
    tally = _Tally()
    for tasks, counts, fired in sessions:
        tally.add(tasks, counts, frozenset(fired))
    return tally.graph()


def failure_rate(counts: Mapping[str, int]) -> float | None:
    """Return the share of failures among the instances that ran to an end; None if there is none.

    >>> failure_rate({"failed": 1, "replayed": 1, "finished": 6, "unstarted": 9})
    0.25
    """
    failed = counts.get(FAILED, 0) + counts.get(REPLAYED, 0)
    ended = failed + counts.get(FINISHED, 0) + counts.get(SKIPPED, 0)
    return failed / ended if ended else None


class _Tally:
    """What was counted so far."""

    def __init__(self) -> None:
        #: sessions that have the task
        self.tasks: Counter[str] = Counter()
        #: sessions in which the trigger fired
        self.fired: Counter[str] = Counter()
        #: sessions in which a task waits for the trigger
        self.used: Counter[str] = Counter()
        #: sessions with the rule, and of these those in which its trigger fired
        self.edges: Counter[Edge] = Counter()
        self.satisfied: Counter[Edge] = Counter()
        #: instances per task and status
        self.counts: dict[str, Counter[str]] = {}

    def add(
        self, tasks: Mapping[str, TaskConfig], counts: Mapping[str, Mapping[str, int]], fired: frozenset[str]
    ) -> None:
        edges = {(trigger, name, role) for name, config in tasks.items() for role, trigger in rules(config)}
        self.tasks.update(tasks.keys())
        self.fired.update(fired)
        self.used.update({trigger for trigger, _, _ in edges})
        self.edges.update(edges)
        self.satisfied.update(edge for edge in edges if edge[0] in fired)
        for name, per_status in counts.items():
            self.counts.setdefault(name, Counter()).update(per_status)

    def graph(self) -> Graph:
        names = sorted(self.tasks.keys() | self.counts.keys())
        graph: Graph = nx.MultiDiGraph(level="fleet")
        for name in names:
            graph.add_node(name, **self._task(name))
        for trigger in sorted((self.used.keys() | self.fired.keys()) - set(names)):
            graph.add_node(trigger, **self._trigger(trigger))
        for trigger, name, role in sorted(self.edges):
            n, n_satisfied = self.edges[trigger, name, role], self.satisfied[trigger, name, role]
            facts = {"cascade": trigger in self.tasks, "satisfied": n_satisfied > 0}
            graph.add_edge(trigger, name, key=role, **facts, n_sessions=n, n_satisfied=n_satisfied)
        return graph

    def _task(self, name: str) -> dict[str, Any]:
        counts = order_counts(self.counts.get(name, {}))
        rate = failure_rate(counts)
        detail = f"{100 * rate:.1f}".removesuffix(".0") + " % failed" if rate else ""
        sessions = {"n_sessions": self.tasks[name], "n_fired": self.fired[name], "fired": self.fired[name] > 0}
        return describe("task", name, counts) | sessions | {"failure_rate": rate, "detail": detail}

    def _trigger(self, name: str) -> dict[str, Any]:
        n_fired, n_used = self.fired[name], self.used[name]
        detail = f"in {n_fired:,} of {n_used:,}" if n_used else "nothing waits for it"
        facts = describe_trigger(name, n_fired > 0)
        return facts | {"detail": detail, "n_sessions": n_used, "n_fired": n_fired}
