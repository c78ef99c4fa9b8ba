"""The picture of a cascade: a graph of tasks and triggers, or of instances, as SVG, and the same as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import graphlay

from triggers_nb.analysis.graph import order_counts
from triggers_nb.analysis.graph_collapse import LIMIT, collapse
from triggers_nb.render.cascade_edges import EDGE_RULES, ROLE_WORDS, draw_edge
from triggers_nb.render.cascade_nodes import NODE_RULES, Box, clip_paths, draw_node, fact_of, measure
from triggers_nb.render.cascade_rows import Laid, fold
from triggers_nb.render.figure import Drawing, Point, frame
from triggers_nb.render.legend import Entry, draw_legend, role_entry, status_entry
from triggers_nb.render.theme import Theme, style_of
from triggers_nb.render.wording import plural, shown_name

if TYPE_CHECKING:
    from triggers_nb.analysis.graph import Graph

    EdgeKey = tuple[str, str, str]

_MARGIN: Final = 24.0
_LEAST_WIDTH: Final = 320.0

#: What graphlay is told; `help(graphlay)` has the rest.
_LAYOUT: Final = {
    "direction": "leftright",
    "spacing": {
        "layer_gap": 60.0,
        "node_gap": 22.0,
        "dummy_gap": 16.0,
        "port_gap": 12.0,
        "port_stroke_clear": 10.0,
        "isolated_gap": 22.0,
    },
    "routing": {"lane_gap": 9.0},
}


def cascade_svg(graph: Graph, *, title: str | None = None, theme: Theme = "auto", limit: int = LIMIT) -> str:
    """Draw a graph from left to right, as an SVG document.

    The same graph gives the same bytes. Nodes have the attribute ``data-node`` with their key, edges ``data-from``,
    ``data-to`` and ``data-role``; all text is escaped.

    Parameters
    ----------
    graph
        A graph of `triggers_nb.analysis.graph` or `triggers_nb.analysis.graph_fleet`.
    title
        What it shows, for those who do not see it; by default the number of tasks and triggers.
    theme
        ``"auto"`` follows the page, see `triggers_nb.render.theme`.
    limit
        The most nodes drawn one by one; more are merged, see `triggers_nb.analysis.graph_collapse.collapse`.

    Examples
    --------
    >>> import networkx as nx
    >>> cascade_svg(nx.MultiDiGraph(), theme="light").startswith("<svg xmlns=")
    True
    """
    small = collapse(graph, limit)
    edges = sorted(small.edges(keys=True))
    boxes = [measure(key, small.nodes[key], _degree(small, key)) for key in sorted(small)]
    places, ways, width, height = _lay_out(boxes, edges)
    body = _draw(small, boxes, places, dict(zip(edges, ways, strict=True)))
    width = max(width + 2 * _MARGIN, _LEAST_WIDTH)
    legend, legend_px = draw_legend(_legend(small), _MARGIN, height + 2 * _MARGIN, width - 2 * _MARGIN)
    drawing = Drawing(
        body=body + legend,
        width=width,
        height=height + 2 * _MARGIN + (legend_px + _MARGIN / 2 if legend_px else 0),
        rules=NODE_RULES + EDGE_RULES,
        statuses=tuple(dict.fromkeys(style_of(status).css for status in _statuses(small))),
    )
    return frame(drawing, title=title or summary(graph), description=text_twin(small), theme=theme)


def text_twin(graph: Graph) -> str:
    """Say in plain text what the picture of the graph shows: one line per node, what it waits for below.

    Examples
    --------
    >>> from triggers_nb.analysis.graph import task_graph
    >>> from triggers_nb.core.instances import TaskConfig
    >>> print(text_twin(task_graph({"t_a": TaskConfig("t_a", after=["go"], run="A")}, fired=["go"])))
    1 task, 1 trigger
      fired: go
    · t_a  no instance yet
        after go
    """
    lines = [summary(graph)]
    triggers = [facts for _, facts in graph.nodes(data=True) if facts["kind"] == "trigger"]
    for state, word in ((True, "fired"), (False, "not fired")):
        names = [
            shown_name(facts["label"]) + _in_brackets(fact_of(facts)) for facts in triggers if facts["fired"] is state
        ]
        lines += [f"  {word}: {', '.join(names)}"] if names else []
    for key, facts in graph.nodes(data=True):
        if facts["kind"] != "trigger":
            sign = style_of(facts["status"]).sign if facts["status"] else "·"
            lines.append(f"{sign} {shown_name(facts['label'])}  {fact_of(facts)}")
            lines += _said_rules(graph, key)
    return "\n".join(lines)


def summary(graph: Graph) -> str:
    """Return how many nodes of each kind there are.

    >>> import networkx as nx
    >>> summary(nx.MultiDiGraph())
    'nothing to show'
    """
    kinds: dict[str, int] = {}
    for _, facts in graph.nodes(data=True):
        kinds[facts["kind"]] = kinds.get(facts["kind"], 0) + len(facts.get("members", "1"))
    return (
        ", ".join(plural(kinds[kind], kind) for kind in ("instance", "task", "trigger") if kind in kinds)
        or "nothing to show"
    )


def _degree(graph: Graph, key: str) -> int:
    """Return the number of edges on a node's busier side, each of which needs room to begin or end."""
    return max(graph.in_degree(key), graph.out_degree(key))


def _lay_out(
    boxes: list[Box], edges: list[EdgeKey]
) -> tuple[dict[str, Point], Sequence[Sequence[Point]], float, float]:
    """Return the upper left corner of each node, the way of each edge, and the size of it all."""
    if not boxes:
        return {}, [], 0.0, 0.0
    request = graphlay.Graph()
    for position, box in enumerate(boxes):
        request.node(position, width=box.width, height=box.height)
    index = {box.key: position for position, box in enumerate(boxes)}
    for source, target, _ in edges:
        request.edge(index[source], index[target])
    layout = graphlay.layout(request, options=_LAYOUT)
    ways = [[(point["x"], point["y"]) for point in edge["points"]] for edge in layout.edges]
    rects = [
        (x - box.width / 2, y - box.height / 2, x + box.width / 2, y + box.height / 2)
        for x, y, box in (
            (node["center"]["x"], node["center"]["y"], box) for node, box in zip(layout.nodes, boxes, strict=True)
        )
    ]
    laid = _in_corner(fold(_in_corner(Laid(rects=rects, ways=ways)), _MARGIN))
    places = {box.key: (rect[0], rect[1]) for box, rect in zip(boxes, laid.rects, strict=True)}
    points = _points(laid)
    return places, laid.ways, max(x for x, _ in points) - _MARGIN, max(y for _, y in points) - _MARGIN


def _in_corner(laid: Laid) -> Laid:
    """Leave the margin at the left and above, and no more."""
    points = _points(laid)
    dx, dy = _MARGIN - min(x for x, _ in points), _MARGIN - min(y for _, y in points)
    return Laid(
        rects=[(left + dx, top + dy, right + dx, bottom + dy) for left, top, right, bottom in laid.rects],
        ways=[[(x + dx, y + dy) for x, y in way] for way in laid.ways],
    )


def _points(laid: Laid) -> list[Point]:
    corners = [corner for rect in laid.rects for corner in ((rect[0], rect[1]), (rect[2], rect[3]))]
    return corners + [point for way in laid.ways for point in way]


def _draw(graph: Graph, boxes: list[Box], places: Mapping[str, Point], ways: Mapping[EdgeKey, Sequence[Point]]) -> str:
    """Return nodes above edges, and edges that are satisfied above those that are not."""
    order = sorted(ways, key=lambda edge: graph.edges[edge]["satisfied"])
    edges = "".join(draw_edge(*edge, graph.edges[edge]["satisfied"], ways[edge]) for edge in order)
    nodes = "".join(draw_node(box, *places[box.key]) for box in boxes)
    clips = clip_paths(boxes)
    return (f"<defs>{clips}</defs>" if clips else "") + f'<g class="edges">{edges}</g><g class="nodes">{nodes}</g>'


def _legend(graph: Graph) -> Iterator[Entry]:
    """Yield what occurs in the graph: statuses, then roles."""
    yield from map(status_entry, _statuses(graph))
    roles = {role for _, _, role in graph.edges(keys=True)}
    yield from (role_entry(role, True) for role in ROLE_WORDS if role in roles)
    if not all(facts["satisfied"] for _, _, facts in graph.edges(data=True)):
        yield role_entry("after", False, "not yet")


def _statuses(graph: Graph) -> list[str]:
    """Return the statuses that occur, most severe first."""
    occurring = {status for _, facts in graph.nodes(data=True) for status in facts["counts"]}
    return list(order_counts(dict.fromkeys(occurring, 1)))


def _said_rules(graph: Graph, key: str) -> Iterator[str]:
    """Yield a line for each role by which other nodes lead to this one."""
    edges = sorted(graph.in_edges(key, keys=True))
    for role, word in ROLE_WORDS.items():
        said = [_said_end(graph, edge) for edge in edges if edge[2] == role]
        if said:
            yield f"    {word} {', '.join(said)}"


def _said_end(graph: Graph, edge: EdgeKey) -> str:
    label = shown_name(graph.nodes[edge[0]]["label"])
    return label if graph.edges[edge]["satisfied"] else f"{label} (not yet)"


def _in_brackets(fact: str) -> str:
    return f" ({fact})" if fact else ""
