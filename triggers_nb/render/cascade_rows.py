"""A picture that is much wider than high, folded into rows like text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from triggers_nb.render.figure import Point

#: What is narrower, in pixels, or not that much wider than high, is not folded.
MIN_WIDTH: Final = 2400.0
MIN_RATIO: Final = 3.5

#: How wide rows are, in pixels.
_ROW_LEAST: Final = 1300.0
_ROW_MOST: Final = 2200.0

#: Most edges that lead from one row to the next; with more, a fold confuses.
_MAX_CROSSING: Final = 5

#: Between edges side by side, between rows, and the least room between nodes for a fold.
_LANE: Final = 9.0
_ROW_GAP: Final = 26.0
_LEAST_GAP: Final = 24.0

#: Left, top, right and bottom.
Rect = tuple[float, float, float, float]


class Laid(msgspec.Struct, frozen=True, kw_only=True):
    """Nodes and edges in their places, with the upper left corner at 0, 0 and a margin around."""

    #: A rectangle for each node.
    rects: Sequence[Rect]
    #: The points of each edge.
    ways: Sequence[Sequence[Point]]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    #: Where it begins and ends in the picture before.
    start: float
    end: float
    #: What is to be added to the coordinates of its contents.
    dx: float
    dy: float
    #: Where its contents end, afterwards.
    bottom: float
    #: Edges that go on in the next row, from top to bottom.
    crossing: Sequence[int]


def fold(laid: Laid, margin: float) -> Laid:
    """Fold a picture that is wide and low into rows, if few enough edges lead from each to the next.

    Examples
    --------
    >>> chain = [(x * 200.0, 0.0, x * 200.0 + 140, 44.0) for x in range(40)]
    >>> ways = [[(x * 200.0 + 140, 22.0), (x * 200.0 + 200, 22.0)] for x in range(39)]
    >>> folded = fold(Laid(rects=chain, ways=ways), 24.0)
    >>> max(right for _, _, right, _ in folded.rects) < 2400
    True
    """
    cuts = _cuts(laid)
    if not cuts:
        return laid
    rows = _stack(laid, cuts, margin)
    rects = [_moved(rect, _row_at(rows, rect[0])) for rect in laid.rects]
    return Laid(rects=rects, ways=[_folded(number, way, rows) for number, way in enumerate(laid.ways)])


def _cuts(laid: Laid) -> list[float]:
    """Where it is folded; nowhere if it need not, or cannot well."""
    if not laid.rects:
        return []
    width, height = max(rect[2] for rect in laid.rects), max(rect[3] for rect in laid.rects)
    steps = [(one, other) for way in laid.ways for one, other in pairwise(way)]
    if width < MIN_WIDTH or width < MIN_RATIO * height or any(one[0] > other[0] + 0.5 for one, other in steps):
        return []
    wanted = min(max(math.sqrt(width * height * 2.5), _ROW_LEAST), _ROW_MOST)
    wanted = width / math.ceil(width / wanted) * 1.05  # rows of one width
    places = [(x, sum(one[0] < x < other[0] for one, other in steps)) for x in _gaps(laid)]
    cuts, start = [], 0.0
    while width - start > wanted * 1.15:
        near = [place for place in places if start + wanted * 0.6 < place[0] <= start + wanted]
        if not near or min(n for _, n in near) > _MAX_CROSSING:
            return []
        start = min(near, key=lambda place: (place[1], -place[0]))[0]
        cuts.append(start)
    return cuts


def _gaps(laid: Laid) -> list[float]:
    """Where there is no node, and no edge that goes up or down."""
    ups = {one[0] for way in laid.ways for one, other in pairwise(way) if one[1] != other[1]}
    blocked = sorted([(left, right) for left, _, right, _ in laid.rects])
    found, end = [], blocked[0][1]
    for left, right in blocked:
        if left - end >= _LEAST_GAP:
            middles = (end + (left - end) * part / 12 for part in (11, 9, 7, 5, 3))
            found += [x for x in middles if all(abs(x - up) > 2 for up in ups)][:1]
        end = max(end, right)
    return found


def _stack(laid: Laid, cuts: Sequence[float], margin: float) -> list[_Row]:
    """Put the rows below each other."""
    bounds = [0.0, *cuts, math.inf]
    crossing = [_crossing(laid, cut) for cut in cuts]
    left = margin + _LANE * max(map(len, crossing))
    rows: list[_Row] = []
    top = margin
    for start, end, leaving in zip(bounds, bounds[1:], [*crossing, []], strict=False):
        ys = [y for rect in laid.rects if start <= rect[0] < end for y in (rect[1], rect[3])]
        for way in laid.ways:
            inside = [y for x, y in way if start <= x <= end]
            ys += inside + [_height_at(way, x) for x in (start, end) if way[0][0] < x < way[-1][0]]
        dx = left - (start or margin)
        row = _Row(start=start, end=end, dx=dx, dy=top - min(ys), bottom=top - min(ys) + max(ys), crossing=leaving)
        rows.append(row)
        top = row.bottom + _ROW_GAP + _LANE * len(leaving)
    return rows


def _crossing(laid: Laid, cut: float) -> list[int]:
    found = [number for number, way in enumerate(laid.ways) if way[0][0] < cut < way[-1][0]]
    return sorted(found, key=lambda number: _height_at(laid.ways[number], cut))


def _height_at(way: Sequence[Point], x: float) -> float:
    """How far down an edge is at some place, which it passes."""
    return next(one[1] for one, other in pairwise(way) if one[0] <= x <= other[0])


def _row_at(rows: Sequence[_Row], x: float) -> _Row:
    return next(row for row in rows if x < row.end)


def _moved(rect: Rect, row: _Row) -> Rect:
    return (rect[0] + row.dx, rect[1] + row.dy, rect[2] + row.dx, rect[3] + row.dy)


def _folded(number: int, way: Sequence[Point], rows: Sequence[_Row]) -> list[Point]:
    """The way of an edge through the rows: where one ends, to its right end, below it, and to the next one's left end.

    The uppermost edge goes the outermost way, so that edges side by side do not cross.
    """
    points: list[Point] = []
    for row, after in zip(rows, [*rows[1:], None], strict=True):
        points += [(x + row.dx, y + row.dy) for x, y in way if row.start <= x < row.end]
        if after is None or number not in row.crossing:
            continue
        place, n, y = row.crossing.index(number), len(row.crossing), _height_at(way, row.end)
        right = row.end + row.dx + _LANE * (n - place)
        lane = row.bottom + _ROW_GAP / 2 + _LANE * (n - place - 0.5)
        left = after.start + after.dx - _LANE * (place + 1)
        points += [(right, y + row.dy), (right, lane), (left, lane), (left, y + after.dy)]
    return points
