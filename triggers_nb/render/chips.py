"""Counts per status as HTML: the chips of a bar, and the style sheet that they and all other HTML of ours need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from triggers_nb.analysis.graph import order_counts
from triggers_nb.render.theme import STATUS_STYLES, glyph, style_of, variables
from triggers_nb.render.wording import escaped

_RULES: Final = """
.tnb{color:var(--tnb-ink);font-family:var(--jp-ui-font-family,system-ui,sans-serif);font-size:13px;line-height:1.4}
.tnb-muted{color:var(--tnb-muted)}
.tnb-chips{display:inline-flex;flex-wrap:wrap;gap:6px}
.tnb-chip{display:inline-flex;align-items:center;gap:5px;padding:1px 8px;border-radius:9px;font-size:12px;\
font-variant-numeric:tabular-nums;white-space:nowrap}
.tnb-glyph{width:14px;height:14px;flex:none}
.tnb-glyph .glyph{fill:none;stroke:currentColor;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
.tnb-glyph .solid{fill:currentColor}
"""


def style_sheet() -> str:
    """Return the CSS of everything within an element of class ``tnb``: variables, then chips.

    Every status has ``--tnb-<status>``, ``--tnb-<status>-tint`` and ``--tnb-<status>-text``; besides there are
    ``--tnb-bg``, ``-raised``, ``-ink``, ``-muted``, ``-line``, ``-faint`` and ``-rule``.
    """
    return variables(".tnb") + _RULES + "".join(map(_chip_rule, STATUS_STYLES))


def chip(status: str, n: int) -> str:
    """Return a status and how many there are, as HTML.

    >>> print(chip("failed", 1300))
    <span class="tnb-chip tnb-s-failed"><svg class="tnb-glyph" ... aria-hidden="true">...</svg>1,300 failed</span>
    """
    style = style_of(status)
    mark = f'<svg class="tnb-glyph" viewBox="-7 -7 14 14" aria-hidden="true">{glyph(status)}</svg>'
    return f'<span class="tnb-chip tnb-s-{style.css}">{mark}{n:,} {escaped(style.word)}</span>'


def chips(counts: Mapping[str, int]) -> str:
    """Return a chip for each status that occurs, what matters most first."""
    inner = " ".join(chip(status, n) for status, n in order_counts(counts).items())
    return f'<span class="tnb-chips">{inner}</span>'


def _chip_rule(status: str) -> str:
    return f".tnb-s-{status}{{color:var(--tnb-{status}-text);background:var(--tnb-{status}-tint)}}\n"
