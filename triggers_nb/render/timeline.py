"""The timeline of a session: when each instance waited and ran, what released it, what it is a replay of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from triggers_nb.analysis.graph import CASCADE, REPLAY, order_counts
from triggers_nb.render.cascade_edges import EDGE_RULES, draw_line
from triggers_nb.render.cascade_nodes import node_attribute
from triggers_nb.render.figure import Drawing, Point, frame, number, text
from triggers_nb.render.legend import Entry, draw_legend, role_entry, status_entry
from triggers_nb.render.text_measure import cut_end, cut_middle, text_width
from triggers_nb.render.theme import Theme, glyph, style_of
from triggers_nb.render.time_axis import TimeAxis
from triggers_nb.render.wording import duration, escaped, plural, printable, shown_name

if TYPE_CHECKING:
    from triggers_nb.analysis.graph import Graph

    Facts = Mapping[str, Any]

#: The most rows; more instances are put together by task and status, then by task.
LIMIT: Final = 80

_MARGIN: Final = 24.0
_ROW: Final = 22.0
_HEAD: Final = 42.0
_NAMES: Final = 210.0
_CHART: Final = 640.0
_SAID: Final = 150.0
_LEAST_PX: Final = 2.0

#: Height of what waits for triggers, waits for a worker, runs.
_HEIGHTS: Final = {"waits": 2.0, "queued": 7.0, "runs": 11.0}

_RULES: Final = """
S .axis{stroke:${rule};stroke-width:1}
S .gapmark{fill:${raised}}
S .waits{fill:${faint}}
S .queued{fill:${bg};stroke:${line};stroke-width:1}
S .runs{fill:${line}}
S .row .name{font-size:11.5px}
S .legend .runs{fill:${line}}
"""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the timeline: one instance, or several of one task."""

    key: str
    label: str
    #: Facts of its instances.
    members: tuple[Mapping[str, Any], ...]
    #: The most severe of their statuses.
    status: str


def timeline_svg(
    graph: Graph, *, title: str | None = None, theme: Theme = "auto", until: datetime | None = None, limit: int = LIMIT
) -> str:
    """Draw when instances waited and ran, as an SVG document.

    A thin line is the time in which an instance waits for triggers, a hollow bar the time between being scheduled and
    being started, a full bar the time in which it runs. Long stretches in which nothing happens are cut short.

    Parameters
    ----------
    graph
        An instance graph, see `triggers_nb.analysis.graph.instance_graph`.
    title
        What it shows, for those who do not see it.
    theme
        ``"auto"`` follows the page, see `triggers_nb.render.theme`.
    until
        When the state was read: what has not ended lasts until then. By default the last change.
    limit
        The most rows: more instances are put together by task and status, then by task; then cascades are not drawn.

    Examples
    --------
    >>> import networkx as nx
    >>> timeline_svg(nx.MultiDiGraph(), theme="light").startswith("<svg xmlns=")
    True
    """
    rows = _rows(graph, limit)
    timed = [facts for row in rows for facts in row.members if facts["created_at"]]
    body, height = "", _MARGIN
    if timed:
        end = max(filter(None, [until, *(moment for facts in timed for moment in _moments(facts))]))
        axis = _axis(timed, end)
        height = _MARGIN + _HEAD + _ROW * len(rows)
        places = {row.key: _MARGIN + _HEAD + _ROW * (n + 0.5) for n, row in enumerate(rows)}
        chart = _draw_axis(axis, height) + _draw_links(graph, places, axis) if len(rows) else ""
        body = chart + "".join(_draw_row(row, places[row.key], axis, end) for row in rows)
    width = _MARGIN * 2 + _NAMES + _CHART + _SAID
    legend, legend_px = draw_legend(_legend(graph, rows), _MARGIN, height + _MARGIN / 2, width - 2 * _MARGIN)
    statuses = tuple(dict.fromkeys(style_of(status).css for status in _statuses(rows)))
    whole = height + legend_px + 1.5 * _MARGIN
    drawing = Drawing(body=body + legend, width=width, height=whole, rules=EDGE_RULES + _RULES, statuses=statuses)
    said = title or f"timeline of {plural(len(graph), 'instance')}"
    return frame(drawing, title=said, description=timeline_text(graph), theme=theme)


def timeline_text(graph: Graph) -> str:
    """Say in plain text what the timeline shows: instances by the time at which they were made.

    Examples
    --------
    >>> from datetime import timezone
    >>> from triggers_nb.analysis.graph import instance_graph
    >>> from triggers_nb.core.instances import TaskConfig, TaskInstance
    >>> task = TaskConfig("t_a", after=["go"], run="A")
    >>> moments = {"created": datetime(2013, 2, 8, tzinfo=timezone.utc)}
    >>> instance = TaskInstance("t_a#0", task, "scheduled", {"timestamps": moments})
    >>> print(timeline_text(instance_graph({"t_a": task}, [instance], {})))
    1 instance
    ◷ t_a#0  scheduled  2013-02-08 00:00:00 UTC
    """
    lines = [plural(len(graph), "instance")]
    for key in _in_order(graph):
        facts = graph.nodes[key]
        parts = [f"{style_of(facts['status']).sign} {shown_name(key)}", style_of(facts["status"]).word]
        parts += [f"{facts['created_at']:%Y-%m-%d %H:%M:%S} UTC"] if facts["created_at"] else []
        parts += _said_spans(facts)
        parts += [f"{role} of {shown_name(source)}" for source, _, role in sorted(graph.in_edges(key, keys=True))]
        lines.append("  ".join(map(printable, parts)))
    return "\n".join(lines)


def _in_order(graph: Graph) -> list[str]:
    """Return the instances by the time at which they were made; those of which it is unknown come last."""

    def begin(key: str) -> tuple[bool, float, str, int]:
        facts = graph.nodes[key]
        created = facts["created_at"]
        return (created is None, created.timestamp() if created else 0.0, facts["task"], facts["number"])

    return sorted(graph, key=begin)


def _rows(graph: Graph, limit: int) -> list[Row]:
    """Return the rows, by the time at which they begin."""
    ways: tuple[Callable[[str, Facts], tuple[str, ...]], ...] = (
        lambda key, facts: (key,),
        lambda key, facts: (facts["task"], facts["status"]),
        lambda key, facts: (facts["task"],),
    )
    for way in ways:
        groups: dict[tuple[str, ...], list[str]] = {}
        for key in _in_order(graph):
            groups.setdefault(way(key, graph.nodes[key]), []).append(key)
        if len(groups) <= limit:
            break
    return [_row(graph, keys) for keys in groups.values()]


def _row(graph: Graph, keys: Sequence[str]) -> Row:
    members = tuple(graph.nodes[key] for key in keys)
    status = next(iter(order_counts({facts["status"]: 1 for facts in members})))
    label = keys[0] if len(keys) == 1 else f"{members[0]['task']} × {len(keys):,}"
    return Row(key=keys[0], label=shown_name(label), members=members, status=status)


def _moments(facts: Facts) -> Iterator[datetime]:
    for name in ("created_at", "scheduled_at", "started_at", "ended_at"):
        if facts[name]:
            yield facts[name]


def _axis(timed: Iterable[Facts], end: datetime) -> TimeAxis:
    facts = list(timed)
    busy = [(f["started_at"], f["ended_at"] or end) for f in facts if f["started_at"]]
    return TimeAxis([*(moment for f in facts for moment in _moments(f)), end], busy, _CHART)


def _spans(facts: Facts, end: datetime) -> dict[str, tuple[datetime, datetime]]:
    """Return from when to when an instance waited for triggers, waited for a worker, and ran."""
    created, scheduled, started = facts["created_at"], facts["scheduled_at"], facts["started_at"]
    ended = facts["ended_at"] or end
    spans = {
        "waits": (created, scheduled or started or ended),
        "queued": (scheduled, started or ended),
        "runs": (started, ended),
    }
    return {phase: (start, max(start, stop)) for phase, (start, stop) in spans.items() if start}


def _said_spans(facts: Facts) -> list[str]:
    """Return how long an instance waited and ran, as far as both ends are known."""
    created, started, ended = facts["created_at"], facts["started_at"], facts["ended_at"]
    said = [f"waited {duration(started - created)}"] if created and started else []
    return said + ([f"ran {duration(ended - started)}"] if started and ended else [])


def _draw_row(row: Row, y: float, axis: TimeAxis, end: datetime) -> str:
    left = _MARGIN + _NAMES
    bars: dict[tuple[str, str], list[str]] = {}
    stop = 0.0
    for facts in row.members:
        for phase, (start, until) in _spans(facts, end).items():
            x, width = axis.x(start), max(axis.x(until) - axis.x(start), _LEAST_PX)
            stop = max(stop, x + width)
            bars.setdefault((phase, facts["status"]), []).append(_bar(left + x, y, width, _HEIGHTS[phase]))
    shapes = "".join(_draw_bars(phase, status, paths) for (phase, status), paths in sorted(bars.items(), key=_layer))
    name = text(cut_middle(row.label, _NAMES - 32, 11.5), _MARGIN + 22, y + 4)
    said = text(cut_end(_said(row), _CHART + _SAID - stop - 8, 11.5), left + stop + 8, y + 4, "fact")
    mark = f'<g class="s-{style_of(row.status).css}">{glyph(row.status, _MARGIN + 7, y)}{said}</g>'
    tip = f"<title>{escaped(row.label)}: {escaped(_said(row))}</title>"
    return f'<g class="row" data-node="{escaped(node_attribute(row.key))}">{tip}{mark}{name}{shapes}</g>'


def _bar(x: float, y: float, width: float, height: float) -> str:
    return f"M{number(x)},{number(y - height / 2)}h{number(width)}v{number(height)}h{number(-width)}z"


def _layer(item: tuple[tuple[str, str], list[str]]) -> tuple[int, str]:
    return (list(_HEIGHTS).index(item[0][0]), item[0][1])


def _draw_bars(phase: str, status: str, paths: Sequence[str]) -> str:
    inner = f'<path class="{"band" if phase == "runs" else phase}" d="{"".join(paths)}"/>'
    return f'<g class="s-{style_of(status).css}">{inner}</g>' if phase == "runs" else inner


def _said(row: Row) -> str:
    """Return what is said beside the bars of a row."""
    if len(row.members) == 1:
        facts = row.members[0]
        started, ended = facts["started_at"], facts["ended_at"]
        took = duration(ended - started) if started and ended else ""
        reason = facts["detail"] if facts["status"] == "failed" else ""
        return printable(" · ".join(filter(None, [style_of(row.status).word, reason, took])))
    counts: dict[str, int] = {}
    for facts in row.members:
        counts[facts["status"]] = counts.get(facts["status"], 0) + 1
    return " · ".join(f"{n:,} {style_of(status).word}" for status, n in order_counts(counts).items())


def _draw_axis(axis: TimeAxis, bottom: float) -> str:
    left, top = _MARGIN + _NAMES, _MARGIN + _HEAD
    parts = [text(f"{axis.first:%Y-%m-%d %H:%M:%S} UTC", _MARGIN, _MARGIN + 12, "muted")]
    for x, label in axis.ticks():
        parts.append(f'<path class="axis" d="M{number(left + x)},{number(top - 8)}V{number(bottom)}"/>')
        parts.append(text(label, left + x - text_width(label, 11.5) / 2, _MARGIN + 12, "muted"))
    free = 0.0  # where a label may begin without touching the one before
    for start, end in axis.gaps:
        x, width = left + axis.x(start), axis.x(end) - axis.x(start)
        shape = (
            f'x="{number(x + 3)}" y="{number(top - 8)}" width="{number(width - 6)}" height="{number(bottom - top + 8)}"'
        )
        label = duration(end - start)
        parts.append(f'<rect class="gapmark" {shape}><title>{label}</title></rect>')
        place = max(x + width / 2 - text_width(label, 11.5) / 2, free)
        if place < x + width:
            parts.append(text(label, place, top - 12, "muted"))
            free = place + text_width(label, 11.5) + 8
    return "".join(parts)


def _draw_links(graph: Graph, places: Mapping[str, float], axis: TimeAxis) -> str:
    """Return cascades and replays, if every instance has its own row."""
    if len(places) < len(graph):
        return ""
    parts = []
    for source, target, role in sorted(graph.edges(keys=True)):
        facts, end = graph.nodes[target], graph.nodes[source]["ended_at"]
        start = facts["scheduled_at"] or facts["created_at"]
        if end and start and not facts["scheduled_at"]:
            start = max(start, end)  # it waits for more: what happened later leads into its waiting
        if end and start:
            way = _way(_MARGIN + _NAMES + axis.x(end), places[source], _MARGIN + _NAMES + axis.x(start), places[target])
            parts.append(f'<g class="e {role} off">{draw_line(role, False, way)}</g>')
    return "".join(parts)


def _way(x: float, y: float, to_x: float, to_y: float) -> list[Point]:
    down = 6.0 if to_y > y else -6.0
    return [(x, y + down), (x, to_y - down)] if abs(to_x - x) < 12 else [(x, y + down), (x, to_y), (to_x - 1, to_y)]


def _statuses(rows: Iterable[Row]) -> list[str]:
    return list(order_counts({facts["status"]: 1 for row in rows for facts in row.members}))


def _legend(graph: Graph, rows: Sequence[Row]) -> Iterator[Entry]:
    yield from map(status_entry, _statuses(rows))
    phases = {phase for row in rows for facts in row.members for phase in _phases(facts)}
    for phase, word in (("waits", "waits for triggers"), ("queued", "waits for a worker"), ("runs", "runs")):
        if phase in phases:
            yield f'<path class="{phase}" d="{_bar(0, 0, 22, _HEIGHTS[phase])}"/>', 22.0, word
    if len(rows) == len(graph):
        roles = {role for _, _, role in graph.edges(keys=True)}
        yield from (role_entry(role, False) for role in (CASCADE, REPLAY) if role in roles)


def _phases(facts: Facts) -> set[str]:
    end = facts["ended_at"] or facts["created_at"]
    return {phase for phase, (start, stop) in _spans(facts, end).items() if start != stop or phase == "runs"}
