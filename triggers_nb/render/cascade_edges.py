"""The edges of a cascade: roles that can be told apart without colour."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from triggers_nb.analysis.graph import AFTER, AND_EVERY, CASCADE, REPLAY, UNLESS
from triggers_nb.render.cascade_nodes import node_attribute
from triggers_nb.render.figure import Point, number, rounded_path
from triggers_nb.render.wording import escaped, printable

#: The roles as a legend names them, and as a sentence does.
ROLE_LABELS: Final = {AFTER: "after", AND_EVERY: "and every", UNLESS: "unless", CASCADE: "cascade", REPLAY: "replay"}
ROLE_WORDS: Final = {
    AFTER: "after",
    AND_EVERY: "and every",
    UNLESS: "unless",
    CASCADE: "released by",
    REPLAY: "replay of",
}

#: How far a line goes on below the node that it leaves, so that it begins at the round end of a pill.
_UNDER: Final = 13.0

#: CSS rules of edges; ``off`` is what has not happened yet.
EDGE_RULES: Final = """
S .e path{fill:none;stroke:${line};stroke-width:1.7}
S .e .head{fill:${line};stroke:none}
S .e .gap{stroke:${bg};stroke-width:1.7}
S .and_every .line{stroke-width:4.7}
S .unless .line{stroke-dasharray:5 3}
S .unless .bar{stroke-width:3.2}
S .replay .line{stroke-dasharray:.1 4;stroke-width:2.4;stroke-linecap:round}
S .replay .bar{stroke-linejoin:round}
S .off path{stroke:${faint};stroke-width:1}
S .off .head{fill:${faint}}
S .off .gap{stroke:${bg};stroke-width:1.7}
S .off.and_every .line{stroke-width:3.7}
S .off.unless .bar{stroke-width:2.4}
"""


def draw_edge(source: str, target: str, role: str, satisfied: bool, points: Sequence[Point]) -> str:
    """Return an edge as SVG, along `points` from border to border."""
    state = "on" if satisfied else "off"
    ends = f'data-from="{escaped(node_attribute(source))}" data-to="{escaped(node_attribute(target))}"'
    tip = f"{printable(target)} {ROLE_WORDS[role]} {printable(source)}" + ("" if satisfied else " (not yet)")
    line = draw_line(role, satisfied, points)
    return f'<g class="e {role} {state}" data-role="{role}" {ends}><title>{escaped(tip)}</title>{line}</g>'


def draw_line(role: str, satisfied: bool, points: Sequence[Point]) -> str:
    """Return the line of a role with its end, along `points`."""
    size = 1.0 if satisfied else 0.75
    before, tip = points[-2], points[-1]
    along = _direction(before, tip)
    length = {UNLESS: 5.0, REPLAY: 1.0}.get(role, 9.0 * size)
    stop = (tip[0] - along[0] * length, tip[1] - along[1] * length)
    start = _extended(points[0], points[1])
    path = rounded_path([start, *points[1:-1], stop])
    gap = f'<path class="gap" d="{path}"/>' if role == AND_EVERY else ""
    return f'<path class="line" d="{path}"/>{gap}{_end(role, tip, along, size)}'


def _end(role: str, tip: Point, along: Point, size: float) -> str:
    """Return a bar for ``unless``, an open arrow for replays, a filled one for what lets things go on."""
    across = (-along[1], along[0])
    if role == UNLESS:
        back, wide = 5.0, 7.0 * size
        ends = [_offset(tip, along, across, -back, side * wide) for side in (-1, 1)]
        return f'<path class="bar" d="M{_xy(ends[0])}L{_xy(ends[1])}"/>'
    left, right = (_offset(tip, along, across, -10 * size, side * 4.5 * size) for side in (-1, 1))
    if role == REPLAY:
        return f'<path class="bar" d="M{_xy(left)}L{_xy(tip)}L{_xy(right)}"/>'
    return f'<path class="head" d="M{_xy(left)}L{_xy(tip)}L{_xy(right)}z"/>'


def _direction(start: Point, end: Point) -> Point:
    """Return the direction of the straight piece, which is horizontal or vertical."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    if abs(dx) >= abs(dy):
        return (1.0 if dx >= 0 else -1.0, 0.0)
    return (0.0, 1.0 if dy > 0 else -1.0)


def _extended(start: Point, second: Point) -> Point:
    along = _direction(start, second)
    return (start[0] - along[0] * _UNDER, start[1] - along[1] * _UNDER)


def _offset(origin: Point, along: Point, across: Point, far: float, aside: float) -> Point:
    return (origin[0] + along[0] * far + across[0] * aside, origin[1] + along[1] * far + across[1] * aside)


def _xy(point: Point) -> str:
    return f"{number(point[0])},{number(point[1])}"
