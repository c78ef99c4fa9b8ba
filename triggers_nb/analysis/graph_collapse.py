"""A large graph made small enough to be looked at: like nodes merged into one that carries their counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import networkx as nx

from triggers_nb.analysis.graph import order_counts, summarize
from triggers_nb.analysis.lint_spelling import family
from triggers_nb.core.status import FAILED

if TYPE_CHECKING:
    from triggers_nb.analysis.graph import Graph

    Groups = Mapping[str, Hashable]

#: The most nodes that are laid out one by one.
LIMIT: Final = 120

#: The most edges per node of a merged graph; what has more is a tangle.
_EDGES: Final = 4

#: A merged graph with fewer nodes says too little, if there is another way.
_FEWEST: Final = 6


def collapse(graph: Graph, limit: int = LIMIT) -> Graph:
    """Merge like nodes until at most `limit` are left, and the edges between them can be followed.

    Tried in this order, each on the whole graph, until it fits: instances of one task and status; nodes of one status
    that wait for the same and release the same; instances of one task; nodes of one layer whose names differ only in
    their digits, first of one status, then of any; whole layers, of which only what failed stays apart, and of whose
    edges those that others imply are left out (``graph["n_edges_left_out"]``). Tasks, instances, triggers that fired
    and triggers that did not are never merged with each other.

    Parameters
    ----------
    graph
        A graph of `triggers_nb.analysis.graph` or `triggers_nb.analysis.graph_fleet`.
    limit
        The most nodes, 4 or more.

    Returns
    -------
    networkx.MultiDiGraph
        The graph itself if it is small enough. Else a node's key is the first of its members' names; ``members`` lists
        them all, ``label`` says what they have in common, counts are sums, ``status`` is the most severe. An edge's
        ``n`` is the number of edges in it, and it is satisfied if one of them is; edges inside a node are dropped.
        ``graph["n_nodes"]`` is the number of nodes before.

    Raises
    ------
    ValueError
        If `limit` is less than 4.

    Examples
    --------
    >>> from triggers_nb.analysis.graph import instance_graph
    >>> from triggers_nb.core.instances import TaskConfig, TaskInstance
    >>> task = TaskConfig("t_x", after=["go"], run="X")
    >>> instances = [TaskInstance(f"t_x#{n}", task, "failed", {"exceptionType": "KeyError"}) for n in range(200)]
    >>> small = collapse(instance_graph({"t_x": task}, instances, {}))
    >>> small.nodes["t_x#0"]["label"], small.nodes["t_x#0"]["counts"], small.nodes["t_x#0"]["detail"]
    ('t_x', {'failed': 200}, 'KeyError')
    """
    if limit < 4:
        raise ValueError(f"limit={limit!r}: expected 4 nodes or more, fewer cannot show what differs.")
    if len(graph) <= limit and graph.number_of_edges() <= 3 * limit:
        return graph
    layers = _layers(graph)
    for groups, fewest in _alike(graph, layers):
        merged = _merge(graph, groups)
        if fewest <= len(merged) <= limit and merged.number_of_edges() <= _EDGES * len(merged):
            return merged
    return _layered(graph, layers, limit)


def _alike(graph: Graph, layers: Mapping[str, int]) -> Iterator[tuple[Groups, int]]:
    """Yield ways to group nodes that are alike, from fine to coarse, and with how many groups they say enough."""
    facts = {name: dict(facts) for name, facts in graph.nodes(data=True)}
    statuses = {name: facts[name]["status"] for name in facts}
    tasks = {name: str(facts[name].get("task", name)) for name in facts}
    families = {name: (family(task), layers[name]) for name, task in tasks.items()}
    yield {name: (tasks[name], statuses[name]) for name in facts}, 1
    yield {name: (_surroundings(graph, name), statuses[name]) for name in facts}, 1
    yield tasks, 1
    yield {name: (families[name], statuses[name]) for name in facts}, _FEWEST
    yield families, _FEWEST


def _layered(graph: Graph, layers: Mapping[str, int], limit: int) -> Graph:
    """Return the graph merged by layers, as many as fit, with the edges that others do not imply."""
    depth = max(layers.values()) + 1
    bands = min(depth, limit // 4)
    band = {name: layer * bands // depth for name, layer in layers.items()}
    failed = {name: facts["status"] == FAILED for name, facts in graph.nodes(data=True)}
    merged = _merge(graph, {name: (band[name], failed[name]) for name in graph})
    edges = list(merged.edges(keys=True))
    # Within a band the way leads from triggers to tasks to what failed of them, so that there are no cycles.
    back = [e for e in edges if band[e[0]] == band[e[1]] and graph.nodes[e[0]]["kind"] != "trigger" and failed[e[0]]]
    merged.remove_edges_from(back)
    needed = nx.transitive_reduction(nx.DiGraph(merged))
    merged.remove_edges_from([edge for edge in list(merged.edges(keys=True)) if not needed.has_edge(*edge[:2])])
    merged.graph["n_edges_left_out"] = len(edges) - merged.number_of_edges()
    return merged


def _surroundings(graph: Graph, name: str) -> Hashable:
    """Return what a node is connected with; two nodes of which this is equal play the same part."""
    before = frozenset((source, role) for source, _, role in graph.in_edges(name, keys=True))
    after = frozenset((target, role) for _, target, role in graph.out_edges(name, keys=True))
    return (before, after)


def _layers(graph: Graph) -> dict[str, int]:
    """Return each node's layer: the length of the longest way to it; a cycle is in one layer."""
    whole = nx.condensation(nx.DiGraph(graph))
    layers: dict[str, int] = {}
    for layer, components in enumerate(nx.topological_generations(whole)):
        layers |= {name: layer for component in components for name in whole.nodes[component]["members"]}
    return layers


def _merge(graph: Graph, groups: Mapping[str, Hashable]) -> Graph:
    """Return the graph with one node per group and kind."""
    members: dict[Hashable, list[str]] = {}
    for name, facts in graph.nodes(data=True):
        members.setdefault((groups[name], facts["kind"], _shows_fired(facts)), []).append(name)
    merged: Graph = nx.MultiDiGraph(**graph.graph, n_nodes=len(graph))
    home = {name: names[0] for names in members.values() for name in names}
    for names in members.values():
        merged.add_node(names[0], **_sum([graph.nodes[name] for name in names], names))
    for source, target, role, facts in graph.edges(keys=True, data=True):
        if home[source] != home[target]:
            _merge_edge(merged, home[source], home[target], role, facts)
    return merged


def _shows_fired(facts: Mapping[str, Any]) -> bool:
    """Tell whether a picture shows this node as fired: only triggers are."""
    return facts["kind"] == "trigger" and bool(facts["fired"])


def _merge_edge(graph: Graph, source: str, target: str, role: str, facts: Mapping[str, Any]) -> None:
    if graph.has_edge(source, target, role):
        edge = graph.edges[source, target, role]
        edge["n"] += 1
        edge["satisfied"] = edge["satisfied"] or facts["satisfied"]
    else:
        same = {"cascade": facts["cascade"], "satisfied": facts["satisfied"]}
        graph.add_edge(source, target, key=role, n=1, **same)


def _sum(nodes: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Return the facts of a merged node."""
    if len(nodes) == 1:
        return {**nodes[0], "members": list(names)}
    counts: Counter[str] = Counter()
    exceptions: Counter[str] = Counter()
    for facts in nodes:
        counts.update(facts["counts"])
        exceptions.update(facts["exceptions"])
    ordered = order_counts(counts)
    status = next(iter(ordered), None)
    errors = dict(sorted(exceptions.items(), key=lambda e: (-e[1], e[0])))
    waits_for = sorted({trigger for facts in nodes for trigger in facts["waits_for"]})
    same = {"kind": nodes[0]["kind"], "status": status, "fired": all(facts["fired"] for facts in nodes)}
    said = {"label": _common_label(nodes), "detail": summarize(status, errors, waits_for, ())}
    total = {"counts": ordered, "total": sum(counts.values()), "exceptions": errors}
    return same | said | total | {"waits_for": waits_for, "members": list(names)}


def _common_label(nodes: Sequence[Mapping[str, Any]]) -> str:
    """Return what the members have in common: a task, a family of names, or only their kind."""
    for label in ({facts.get("task", "") for facts in nodes}, {family(str(facts["label"])) for facts in nodes}):
        if len(label) == 1 and "" not in label:
            return str(label.pop())
    return f"{len(nodes):,} {nodes[0]['kind']}s"
