"""What is wrong with a configuration before anything fires."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec
import networkx as nx

from triggers_nb.analysis.graph import UNLESS, rules
from triggers_nb.analysis.lint_spelling import near_misses
from triggers_nb.core.configuration import misspelt_directive, parse_configuration
from triggers_nb.core.instances import TaskConfig
from triggers_nb.errors import brief

if TYPE_CHECKING:
    Flow = nx.DiGraph[str]

ERROR: Final = "error"
WARNING: Final = "warning"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong, or probably wrong, with a configuration."""

    #: ``"error"``: it can never work unless someone intervenes by hand; ``"warning"``: it is probably not meant.
    severity: str
    #: ``"cycle"``, ``"nothing-fires"``, ``"always-abandoned"``, ``"never-runs"``, ``"near-miss"`` or, in a file only,
    #: ``"duplicate"``.
    code: str
    #: The task concerned; of a cycle, the first one.
    task: str
    #: The names that it is about: triggers, the tasks of a cycle, or directives.
    names: tuple[str, ...]
    #: What is wrong, in a sentence.
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.message} [{self.code}]"


def lint(
    configuration: Mapping[str, TaskConfig | Mapping[str, Any]], triggers: Collection[str] | None = None
) -> list[Finding]:
    """Check a configuration for what is legal, but cannot work or is probably not meant.

    Parameters
    ----------
    configuration
        What ``update_configuration`` takes, or a session's ``tasks``.
    triggers
        All triggers that the application fires, if they are known. Without them a trigger that is no task's name is
        suspicious only if it looks like one, or is spelt almost like another name.

    Returns
    -------
    list of Finding
        Errors first, then in the order of the configuration; empty if nothing was found. For a frame:
        ``pandas.DataFrame([msgspec.structs.asdict(finding) for finding in findings])``.

    Raises
    ------
    ConfigurationError
        If it is a configuration that ``update_configuration`` would refuse.
    TypeError
        If `triggers` is no collection of names.

    Examples
    --------
    >>> configuration = {
    ...     "t_a": {"after": ["cancelled"], "run": "A"},
    ...     "t_b": {"after": ["t_a", "t_c"], "run": "B", "unless": ["canceled"]},
    ...     "t_c": {"after": ["t_b"], "run": "C"},
    ... }
    >>> for finding in lint(configuration):
    ...     print(finding)
    error: t_b → t_c → t_b: each waits for the one before it, so none of them ever runs [cycle]
    warning: task 't_b' names 'canceled' in unless; did you mean 'cancelled'? [near-miss]
    """
    tasks = {name: TaskConfig.from_record(name, record) for name, record in parse_configuration(configuration).items()}
    if triggers is not None and (isinstance(triggers, str) or not isinstance(triggers, Collection)):
        raise TypeError(f"triggers={brief(triggers)}: expected a list or set of triggers, or None")
    fired = frozenset(triggers or ())
    flow = _flow(tasks, fired)
    findings = [*_find_cycles(flow, tasks), *_find_near_misses(tasks, fired)]
    findings += _find_unfired(tasks, triggers, {name for finding in findings for name in finding.names})
    findings += _find_abandoned(tasks, flow, {finding.task for finding in findings if finding.severity == ERROR})
    findings += _find_never(tasks, flow, findings)
    findings += _find_misspelt_directives(tasks)
    order = {name: position for position, name in enumerate(tasks)}
    return sorted(findings, key=lambda finding: (finding.severity != ERROR, order[finding.task]))


def _flow(tasks: Mapping[str, TaskConfig], fired: frozenset[str]) -> Flow:
    """Return what must happen before what: edges from trigger to task, but for what the application fires itself."""
    flow: Flow = nx.DiGraph()
    flow.add_nodes_from(tasks)
    for name, config in tasks.items():
        flow.add_edges_from((trigger, name) for role, trigger in rules(config) if role != UNLESS)
    flow.remove_edges_from([edge for edge in flow.edges if edge[0] in fired and edge[0] in tasks])
    return flow


def _find_cycles(flow: Flow, tasks: Mapping[str, TaskConfig]) -> Iterator[Finding]:
    order = {name: position for position, name in enumerate(tasks)}
    for component in nx.strongly_connected_components(flow):
        first = min(component, key=lambda name: order.get(name, -1))
        if len(component) == 1 and not flow.has_edge(first, first):
            continue
        steps = [source for source, _ in nx.find_cycle(flow.subgraph(component), first)]
        others = tuple(sorted(component - set(steps), key=order.__getitem__))
        message = f"{' → '.join([*steps, steps[0]])}: each waits for the one before it, so none of them ever runs"
        if len(component) == 1:
            message = f"task {first!r} waits for its own name, so it never runs"
        elif others:
            message += f"; neither {'does' if len(others) == 1 else 'do'} {_list(others)}, in a cycle with them"
        yield Finding(severity=ERROR, code="cycle", task=first, names=(*steps, *others), message=message)


def _find_unfired(
    tasks: Mapping[str, TaskConfig], triggers: Collection[str] | None, explained: set[str]
) -> Iterator[Finding]:
    """Find triggers that neither a task nor the application fires."""
    prefix = _shared_prefix(tasks)
    for name, config in tasks.items():
        for role, trigger in rules(config):
            if trigger in tasks:
                continue
            if triggers is not None and trigger not in triggers:
                severity, reason = (
                    WARNING if role == UNLESS else ERROR,
                    "which neither a task nor the application fires",
                )
            elif triggers is None and prefix and trigger.startswith(prefix) and trigger not in explained:
                severity, reason = WARNING, "which is named like a task, but there is no such task"
            else:
                continue
            message = f"task {name!r} names {trigger!r} in {_directive(role)}, {reason}"
            yield Finding(severity=severity, code="nothing-fires", task=name, names=(trigger,), message=message)


def _find_abandoned(tasks: Mapping[str, TaskConfig], flow: Flow, dead: set[str]) -> Iterator[Finding]:
    """Find tasks whose ``unless`` is complete whenever their ``after`` is."""
    for name, config in tasks.items():
        if name in dead or not config.unless or not config.unless <= nx.ancestors(flow, name):
            continue
        unless = tuple(sorted(config.unless))
        message = f"task {name!r} is always abandoned: {_list(unless)} must fire before all that it waits for has"
        yield Finding(severity=ERROR, code="always-abandoned", task=name, names=unless, message=message)


def _find_never(tasks: Mapping[str, TaskConfig], flow: Flow, findings: list[Finding]) -> Iterator[Finding]:
    """Find tasks that wait for others that never run."""
    dead = {finding.task for finding in findings if finding.severity == ERROR}
    dead |= {name for finding in findings if finding.code == "cycle" for name in finding.names}
    unreached = {name for task in dead for name in nx.descendants(flow, task)} - dead
    for name in sorted(unreached & tasks.keys()):
        causes = tuple(sorted(set(flow.predecessors(name)) & (dead | unreached)))
        message = f"task {name!r} never runs, because {_list(causes)} never {'does' if len(causes) == 1 else 'do'}"
        yield Finding(severity=ERROR, code="never-runs", task=name, names=causes, message=message)


def _find_near_misses(tasks: Mapping[str, TaskConfig], fired: frozenset[str]) -> Iterator[Finding]:
    """Find triggers that are no task's name, but spelt almost like another trigger or a task."""
    users: dict[str, list[tuple[str, str]]] = {}
    for name, config in tasks.items():
        for role, trigger in rules(config):
            users.setdefault(trigger, []).append((name, _directive(role)))
    uses = {name: len(users.get(name, ())) for name in [*tasks, *users, *sorted(fired)]}
    for trigger, meant in near_misses(uses, fired | tasks.keys()):
        name, directive = users[trigger][0]
        message = f"task {name!r} names {trigger!r} in {directive}; did you mean {meant!r}?"
        yield Finding(severity=WARNING, code="near-miss", task=name, names=(trigger, meant), message=message)


def _find_misspelt_directives(tasks: Mapping[str, TaskConfig]) -> Iterator[Finding]:
    """Find directives that mean nothing, but are spelt almost like one that does."""
    for name, config in tasks.items():
        for directive in sorted(config.extra):
            for meant in misspelt_directive(directive):
                message = f"task {name!r} has {directive!r}, which is no directive; did you mean {meant!r}?"
                yield Finding(severity=WARNING, code="near-miss", task=name, names=(directive, meant), message=message)


def _shared_prefix(tasks: Mapping[str, TaskConfig]) -> str:
    """Return what all tasks' names begin with, up to a separator, such as ``t_``; empty if there is no such thing."""
    if len(tasks) < 2:
        return ""
    first, last = min(tasks), max(tasks)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return re.sub(r"[^\W_]+$", "", first[:same])


def _directive(role: str) -> str:
    return "andEvery" if role == "and_every" else role


def _list(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(map(repr, names[:-1])), repr(names[-1])]) if len(names) > 1 else repr(names[0])
