"""The legend of a figure: what occurs in it, and only that."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from triggers_nb.render.cascade_edges import ROLE_LABELS, draw_line
from triggers_nb.render.figure import number, text
from triggers_nb.render.text_measure import cut_end, text_width
from triggers_nb.render.theme import glyph, style_of
from triggers_nb.render.wording import printable

ROW_PX: Final = 22.0
_GAP: Final = 24.0
_SAMPLE: Final = 32.0
_WIDEST: Final = 150.0

#: An entry: a drawing around (0, 0) from left to right, its width, its word.
Entry = tuple[str, float, str]


def status_entry(status: str) -> Entry:
    """Return the entry of a status."""
    css = f"s-{style_of(status).css}"
    word = cut_end(printable(style_of(status).word), _WIDEST, 11.5)
    return f'<g class="{css}">{glyph(status, 6, 0)}</g>', 12.0, word


def role_entry(role: str, satisfied: bool, word: str | None = None) -> Entry:
    """Return the entry of an edge's role."""
    line = draw_line(role, satisfied, [(13.0, 0.0), (_SAMPLE, 0.0)])
    css = f"e {role} {'on' if satisfied else 'off'}"
    return f'<g class="{css}">{line}</g>', _SAMPLE, word or ROLE_LABELS[role]


def draw_legend(entries: Iterable[Entry], left: float, top: float, width: float) -> tuple[str, float]:
    """Return the entries in rows of at most `width` pixels, and the height of all rows."""
    parts, x, row = [], left, 0
    for drawing, drawing_px, word in entries:
        whole = drawing_px + 6 + text_width(word, 11.5)
        if x > left and x + whole > left + width:
            x, row = left, row + 1
        y = top + row * ROW_PX + ROW_PX / 2
        label = text(word, x + drawing_px + 6, y + 4, "muted")
        parts.append(f'<g transform="translate({number(x)} {number(y)})">{drawing}</g>{label}')
        x += whole + _GAP
    return f'<g class="legend">{"".join(parts)}</g>', (row + 1) * ROW_PX if parts else 0.0
