"""Moments on a line of pixels, with long stretches in which nothing happens cut short."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

Span = tuple[datetime, datetime]

#: A stretch is cut short if nothing happens in more than this share of the whole.
_LONG: Final = 0.15
_GAP_PX: Final = 34.0
_TICK_PX: Final = 96.0
_STEPS_S: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000, 31536000),
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeAxis:
    """A scale of time.

    Parameters
    ----------
    moments
        Everything that happens, in any order; at least one.
    busy
        Spans that are not to be cut.
    width_px
        The length of the axis, from the first moment to the last.

    Examples
    --------
    >>> day = datetime(2013, 2, 8, tzinfo=UTC)
    >>> axis = TimeAxis([day, day + timedelta(seconds=1), day + timedelta(hours=1)], [], 134)
    >>> axis.x(day), axis.x(day + timedelta(seconds=1)), axis.x(day + timedelta(hours=1))
    (0.0, 100.0, 134.0)
    """

    def __init__(self, moments: Iterable[datetime], busy: Sequence[Span], width_px: float) -> None:
        times = sorted(set(moments))
        self.first, self.last = times[0], times[-1]
        self.gaps = _gaps(times, busy)
        pieces = _pieces(self.first, self.last, self.gaps)
        shown = sum((end - start for start, end, is_gap in pieces if not is_gap), timedelta())
        shown_px = width_px - _GAP_PX * len(self.gaps)
        #: pixels per second outside of what is cut short
        self.scale = shown_px / shown.total_seconds() if shown else 0.0
        #: begin and end of each piece, in time and in pixels
        self._pieces: list[tuple[datetime, datetime, float, float]] = []
        x = 0.0
        for start, end, is_gap in pieces:
            piece_px = _GAP_PX if is_gap else shown_px * ((end - start) / shown)
            self._pieces.append((start, end, x, x + piece_px))
            x += piece_px

    def x(self, moment: datetime) -> float:
        """Return where a moment is, in pixels from the first one."""
        if not self._pieces:
            return 0.0
        index = max(bisect_right(self._pieces, moment, key=lambda piece: piece[0]) - 1, 0)
        start, end, left, right = self._pieces[index]
        return round(left + (right - left) * ((moment - start) / (end - start)), 3)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Yield the places of round moments that are not in a gap, with their labels, in UTC."""
        if not self.scale:
            return
        step_s = next((step for step in _STEPS_S if step * self.scale >= _TICK_PX), _STEPS_S[-1])
        last_x = -_TICK_PX
        for start, end, is_gap in _pieces(self.first, self.last, self.gaps):
            first = -int(-(start - _EPOCH).total_seconds() // step_s)
            count = int((end - _EPOCH).total_seconds() // step_s) - first + 1
            for n in range(0 if is_gap else min(count, 50)):
                moment = _EPOCH + timedelta(seconds=(first + n) * step_s)
                if self.x(moment) - last_x >= _TICK_PX * 0.8:
                    last_x = self.x(moment)
                    yield last_x, _label(moment, step_s)


def _gaps(times: Sequence[datetime], busy: Sequence[Span]) -> list[Span]:
    whole = times[-1] - times[0]
    steps = pairwise(times)
    long = [(start, end) for start, end in steps if end - start > whole * _LONG]
    quiet = [gap for gap in long if not any(start <= gap[0] and end >= gap[1] for start, end in busy)]
    return quiet if len(quiet) < len(times) - 1 else []


def _pieces(first: datetime, last: datetime, gaps: Sequence[Span]) -> list[tuple[datetime, datetime, bool]]:
    """Return the stretches between the first and the last moment, and whether each is a gap."""
    pieces, start = [], first
    for gap_start, gap_end in gaps:
        pieces += [(start, gap_start, False), (gap_start, gap_end, True)]
        start = gap_end
    return [piece for piece in [*pieces, (start, last, False)] if piece[0] < piece[1]]


def _label(moment: datetime, step_s: float) -> str:
    if step_s >= 86400:
        return f"{moment:%Y-%m-%d}"
    if step_s >= 60:
        return f"{moment:%H:%M}"
    return f"{moment:%H:%M:%S}" if step_s >= 1 else f"{moment:%H:%M:%S.%f}"[:-3]
