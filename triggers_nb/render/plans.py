"""Plans and their results as text and HTML, made from plain facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from triggers_nb.render.chips import style_sheet
from triggers_nb.render.wording import escaped, plural, printable

#: How many targets and differences are listed.
MAX_LISTED: Final = 10

_STYLE: Final = """
.tnb-plan{border:1px solid var(--tnb-rule);border-radius:6px;padding:8px 12px;max-width:60em}
.tnb-plan h4{margin:0 0 2px;font-size:14px}
.tnb-plan p{margin:2px 0}
.tnb-plan pre{margin:4px 0;padding:4px 8px;background:var(--tnb-raised);white-space:pre-wrap;overflow-wrap:anywhere}
.tnb-plan table{border-collapse:collapse;margin:4px 0;color:inherit;font-size:inherit}
.tnb-plan td{padding:1px 10px 1px 0;text-align:left;border:0;vertical-align:top;overflow-wrap:break-word}
.tnb-plan td:last-child{overflow-wrap:anywhere}
.tnb-tag{border:1px solid currentColor;border-radius:4px;padding:0 6px;font-weight:600;font-size:12px}
"""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a plan or a result."""

    #: ``Replay 130 instances in 116 sessions``.
    title: str
    #: The storage, without credentials.
    url: str
    env: str | None
    #: Sentences.
    notes: Sequence[str] = ()
    #: Cells of the first rows.
    rows: Sequence[Sequence[str]] = ()
    #: How many rows there are.
    n_rows: int = 0
    #: Distinct differences, redacted, with how often each occurs; the commonest first.
    patches: Sequence[tuple[str, int]] = ()
    #: In what they differ: ``kwargs``, ``results``, ``metadata``.
    differing: str = "kwargs"


def facts_text(facts: Facts) -> str:
    """Return the facts as lines of text."""
    where = facts.url + (f" · {facts.env}" if facts.env else "")
    lines = [f"{facts.title} · {where}", *facts.notes]
    widths = _widths(facts.rows)
    for row in facts.rows:
        lines.append("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    lines += _more(facts)
    if facts.patches:
        lines.append(_heading(facts))
        lines += [f"  {n:,} × {patch}" for patch, n in facts.patches[:MAX_LISTED]]
        if len(facts.patches) > MAX_LISTED:
            lines.append(f"  … and {len(facts.patches) - MAX_LISTED:,} more")
    return "\n".join(printable(line) for line in lines)


def facts_html(facts: Facts) -> str:
    """Return the facts as HTML."""
    env = f' <span class="tnb-tag">{escaped(facts.env)}</span>' if facts.env else ""
    parts = [f"<h4>{escaped(facts.title)}</h4>", f'<p class="tnb-muted">{escaped(facts.url)}{env}</p>']
    parts += [f"<p>{escaped(note)}</p>" for note in facts.notes]
    if facts.rows:
        rows = "".join("<tr>" + "".join(f"<td>{escaped(cell)}</td>" for cell in row) + "</tr>" for row in facts.rows)
        parts.append(f"<table>{rows}</table>")
    parts += [f'<p class="tnb-muted">{escaped(line.strip())}</p>' for line in _more(facts)]
    if facts.patches:
        parts.append(f"<p>{escaped(_heading(facts))}</p>")
        parts += [f"<pre>{n:,} × {escaped(patch)}</pre>" for patch, n in facts.patches[:MAX_LISTED]]
        if len(facts.patches) > MAX_LISTED:
            parts.append(f'<p class="tnb-muted">… and {len(facts.patches) - MAX_LISTED:,} more</p>')
    return f'<div class="tnb"><style>{style_sheet()}{_STYLE}</style><div class="tnb-plan">{"".join(parts)}</div></div>'


def counts_text(counts: Mapping[str, int]) -> str:
    """``128 done, 2 refused``."""
    return ", ".join(f"{n:,} {what}" for what, n in counts.items()) or "nothing to do"


def _heading(facts: Facts) -> str:
    return f"{plural(len(facts.patches), 'distinct difference')} in {facts.differing}:"


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []


def _more(facts: Facts) -> list[str]:
    rest = facts.n_rows - len(facts.rows)
    return [f"  … and {rest:,} more"] if rest > 0 else []
