"""One session as a graph: of its tasks and triggers, or of its instances.

Every node carries the same facts, so that any networkx algorithm and any picture can rely on them:
``kind``, ``label``, ``status`` (the one that matters most, or None), ``counts`` (instances per status),
``total`` (their sum), ``fired``, ``exceptions``, ``waits_for``, ``detail`` (the one fact that matters, as text).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import networkx as nx

from triggers_nb.core.records import is_moment
from triggers_nb.core.status import (
    ABANDONED,
    FAILED,
    FINISHED,
    REPLAYED,
    RUNNING,
    SCHEDULED,
    SKIPPED,
    UNSTARTED,
)

if TYPE_CHECKING:
    from triggers_nb.core.instances import TaskConfig, TaskInstance

    Graph = nx.MultiDiGraph[str]

#: Statuses by what a reader must see first: what needs someone, what is under way, what is over.
SEVERITY: Final = (FAILED, RUNNING, SCHEDULED, UNSTARTED, FINISHED, SKIPPED, ABANDONED, REPLAYED)

#: Roles of the edges of a task graph and of an instance graph.
AFTER, AND_EVERY, UNLESS, CASCADE, REPLAY = "after", "and_every", "unless", "cascade", "replay"

#: Columns of times: the attribute of an instance's node, and the key of its timestamp.
TIMES: Final = {
    "created_at": "created",
    "scheduled_at": SCHEDULED,
    "started_at": RUNNING,
    "finished_at": FINISHED,
    "failed_at": FAILED,
    "last_modified_at": "lastModified",
}


def task_graph(
    tasks: Mapping[str, TaskConfig], instances: Iterable[TaskInstance] = (), fired: Collection[str] = ()
) -> Graph:
    """Build the graph of a session's tasks and triggers.

    Parameters
    ----------
    tasks
        The session's configuration.
    instances
        Its instances.
    fired
        The names of all triggers that have fired, those of tasks included.

    Returns
    -------
    networkx.MultiDiGraph
        Nodes are names. ``kind`` is ``"task"`` or ``"trigger"``; a task that others wait for is one node. Edges run
        from trigger to task, their key is the role: ``"after"``, ``"and_every"`` or ``"unless"``. Edge attributes:
        ``cascade`` (the trigger is a task's name) and ``satisfied`` (it has fired, and no instance waits for it).
        Tasks come in the order of the configuration, then triggers in the order in which tasks name them, then
        triggers that fired although nothing waits for them.

    Examples
    --------
    >>> from types import SimpleNamespace as Config
    >>> t_a = Config(name="t_a", run="A", after={"go"}, and_every=None, unless=set())
    >>> t_b = Config(name="t_b", run="B", after={"t_a"}, and_every=None, unless={"stop"})
    >>> graph = task_graph({"t_a": t_a, "t_b": t_b}, fired={"go"})
    >>> sorted(graph.edges(keys=True))
    [('go', 't_a', 'after'), ('stop', 't_b', 'unless'), ('t_a', 't_b', 'after')]
    >>> graph.nodes["go"]["kind"], graph.nodes["go"]["fired"], graph.edges["t_a", "t_b", "after"]["cascade"]
    ('trigger', True, True)
    """
    groups = group_by_task(instances)
    known = {**dict(tasks), **{name: group[0].config for name, group in groups.items() if name not in tasks}}
    graph: Graph = nx.MultiDiGraph(level="task")
    for name, config in known.items():
        graph.add_node(name, **describe_task(name, groups.get(name, ())))
        graph.nodes[name].update(run=config.run, fired=name in fired)
    for name, config in known.items():
        waiting = {trigger for instance in groups.get(name, ()) for trigger in missing_triggers(instance)}
        for role, trigger in rules(config):
            if trigger not in graph:
                graph.add_node(trigger, **describe_trigger(trigger, trigger in fired))
            satisfied = trigger in fired and trigger not in waiting
            graph.add_edge(trigger, name, key=role, cascade=trigger in known, satisfied=satisfied)
    for trigger in sorted(set(fired) - set(graph)):
        graph.add_node(trigger, **(describe_trigger(trigger, True) | {"detail": "nothing waits for it"}))
    return graph


def instance_graph(
    tasks: Mapping[str, TaskConfig], instances: Iterable[TaskInstance], causes: Mapping[str, Sequence[str]]
) -> Graph:
    """Build the graph of a session's instances.

    Parameters
    ----------
    tasks
        The session's configuration; nodes come in its order, then by number.
    instances
        The session's instances.
    causes
        For an instance, those whose finish released it. Names of instances that were not passed are left out.

    Returns
    -------
    networkx.MultiDiGraph
        Nodes are instance names; ``kind`` is ``"instance"``; besides the common facts they carry ``task``, ``number``,
        ``parent``, ``depth`` and the times ``created_at``, ``scheduled_at``, ``started_at``, ``finished_at``,
        ``failed_at``, ``last_modified_at`` and ``ended_at`` (when waiting or running was over), each an aware datetime
        or None. Edge keys are ``"cascade"`` (whose finish released which) and ``"replay"`` (parent to clone).

    Examples
    --------
    >>> from types import SimpleNamespace as Record
    >>> config = Record(name="t_a", run="A", after={"go"}, and_every=None, unless=set())
    >>> failed = Record(name="t_a#0", config=config, status="replayed", metadata={}, kwargs={}, abandon_state=set())
    >>> clone = Record(name="t_a#1", config=config, status="scheduled", metadata={"parent": "t_a#0"}, kwargs={},
    ...                abandon_state=set())
    >>> list(instance_graph({"t_a": config}, [failed, clone], {}).edges(keys=True))
    [('t_a#0', 't_a#1', 'replay')]
    """
    order = {name: position for position, name in enumerate(tasks)}
    ordered = sorted(instances, key=lambda i: (order.get(i.config.name, len(order)), i.config.name, number(i.name)))
    graph: Graph = nx.MultiDiGraph(level="instance")
    for instance in ordered:
        graph.add_node(instance.name, **describe_instance(instance))
    for instance in ordered:
        for cause in dict.fromkeys(causes.get(instance.name, ())):
            if cause in graph and cause != instance.name:
                graph.add_edge(cause, instance.name, key=CASCADE, cascade=True, satisfied=True)
        parent = instance.metadata.get("parent")
        if isinstance(parent, str) and parent in graph and parent != instance.name:
            graph.add_edge(parent, instance.name, key=REPLAY, cascade=False, satisfied=True)
    return graph


def rules(config: TaskConfig) -> Iterator[tuple[str, str]]:
    """Yield a task's (role, trigger) pairs, in a fixed order; ``and_every`` is not repeated as ``after``."""
    if config.and_every is not None:
        yield AND_EVERY, config.and_every
    for trigger in sorted(config.after):
        if trigger != config.and_every:
            yield AFTER, trigger
    for trigger in sorted(config.unless or ()):
        yield UNLESS, trigger


def required(config: TaskConfig) -> set[str]:
    """Return the triggers that must all fire before the task runs: ``after`` and ``and_every``."""
    return {trigger for role, trigger in rules(config) if role != UNLESS}


def missing_triggers(instance: TaskInstance) -> list[str]:
    """Return what an unstarted instance still waits for, sorted; nothing for any other instance."""
    return sorted(required(instance.config) - set(instance.kwargs)) if instance.status == UNSTARTED else []


def group_by_task(instances: Iterable[TaskInstance]) -> dict[str, list[TaskInstance]]:
    """Return the instances of each task, by number."""
    groups: dict[str, list[TaskInstance]] = {}
    for instance in instances:
        groups.setdefault(instance.config.name, []).append(instance)
    for group in groups.values():
        group.sort(key=lambda instance: number(instance.name))
    return groups


def number(instance_name: str) -> int:
    """Return the number in an instance's name, ``0`` for ``"t_x#0"``; -1 if there is none.

    >>> number("t_x#12"), number("t_x")
    (12, -1)
    """
    digits = instance_name.rpartition("#")[2]
    return int(digits) if digits.isascii() and digits.isdigit() else -1


def order_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the counts that are not zero, what matters most first; unknown statuses stay, last.

    >>> order_counts({"finished": 3, "failed": 1, "running": 0})
    {'failed': 1, 'finished': 3}
    """
    known = {status: counts[status] for status in SEVERITY if counts.get(status)}
    return known | {status: n for status, n in sorted(counts.items()) if n and status not in SEVERITY}


def describe_trigger(name: str, fired: bool) -> dict[str, Any]:
    """Return the facts of a trigger's node."""
    return describe("trigger", name, {}) | {"fired": fired}


def describe_task(name: str, instances: Sequence[TaskInstance]) -> dict[str, Any]:
    """Return the facts of a task's node, from its instances."""
    facts = describe("task", name, Counter(instance.status for instance in instances))
    return facts | _reasons(facts["status"], instances)


def describe_instance(instance: TaskInstance) -> dict[str, Any]:
    """Return the facts of an instance's node."""
    facts = describe("instance", instance.name, {instance.status: 1}) | _reasons(instance.status, [instance])
    metadata = instance.metadata
    own = {"task": instance.config.name, "number": number(instance.name), "run": instance.config.run}
    lineage = {"parent": metadata.get("parent"), "depth": metadata.get("depth") or 0}
    return facts | own | lineage | _times(metadata.get("timestamps") or {})


def summarize(
    status: str | None, exceptions: Mapping[str, int], waits_for: Sequence[str], stopped_by: Sequence[str]
) -> str:
    """Say the one fact that matters about instances whose most severe status is `status`.

    >>> summarize("failed", {"KeyError": 2, "ValueError": 1}, (), ())
    '2 KeyError, 1 ValueError'
    >>> summarize("unstarted", {}, ("departed", "landed"), ())
    'waits for departed, landed'
    """
    if status == FAILED and exceptions:
        many = len(exceptions) > 1
        return ", ".join(f"{n} {name}" if many else name for name, n in exceptions.items())
    if status == UNSTARTED and waits_for:
        return "waits for " + ", ".join(waits_for)
    if status == ABANDONED and stopped_by:
        return ", ".join(stopped_by) + " fired"
    return ""


def describe(kind: str, label: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the facts that every node has; `counts` are its instances per status."""
    ordered = order_counts(counts)
    status = next(iter(ordered), None)
    common = {"kind": kind, "label": label, "status": status, "counts": ordered, "total": sum(ordered.values())}
    return common | {"fired": False, "exceptions": {}, "waits_for": [], "detail": ""}


def _reasons(status: str | None, instances: Sequence[TaskInstance]) -> dict[str, Any]:
    """Return why these instances failed, what they wait for and what stopped them."""
    errors = Counter(
        str(i.metadata.get("exceptionType") or "").rpartition(".")[2] for i in instances if i.status == FAILED
    )
    exceptions = {name: n for name, n in sorted(errors.items(), key=lambda e: (-e[1], e[0])) if name}
    waits_for = sorted({trigger for instance in instances for trigger in missing_triggers(instance)})
    stopped_by = sorted({trigger for i in instances if i.status == ABANDONED for trigger in _completed_unless(i)})
    detail = summarize(status, exceptions, waits_for, stopped_by)
    return {"exceptions": exceptions, "waits_for": waits_for, "detail": detail}


def _completed_unless(instance: TaskInstance) -> set[str]:
    """Return the instance's ``unless`` triggers if all of them fired; otherwise someone abandoned it by hand."""
    unless = set(instance.config.unless or ())
    return unless if unless <= set(instance.abandon_state) else set()


def _times(timestamps: Mapping[str, object]) -> dict[str, datetime | None]:
    """Return an instance's times as attributes of its node."""
    moments = {key: at for key, at in timestamps.items() if is_moment(at)}
    times = {attribute: moments.get(key) for attribute, key in TIMES.items()}
    ends = [moments[status] for status in (FINISHED, FAILED, SKIPPED, ABANDONED) if status in moments]
    return times | {"ended_at": min(ends, default=None)}
