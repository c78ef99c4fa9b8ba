"""A board: a few facts and tables, as HTML and as text that says the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from triggers_nb.analysis.graph import order_counts
from triggers_nb.render.chips import chips, style_sheet
from triggers_nb.render.theme import glyph, style_of
from triggers_nb.render.wording import escaped, printable

#: How much of a text is shown in a cell.
MAX_CELL: Final = 160

_RULES: Final = """
.tnb.tnb-board{background:var(--tnb-bg);border:1px solid var(--tnb-rule);border-radius:8px;max-width:1100px;\
padding:10px 14px;overflow-wrap:anywhere;container-type:inline-size}
.tnb .tnb-head{display:flex;flex-wrap:wrap;align-items:baseline;gap:4px 10px}
.tnb .tnb-title{font-weight:600;font-size:14px}
.tnb .tnb-tag{border:1.5px solid var(--tnb-skipped);color:var(--tnb-skipped-text);border-radius:4px;padding:0 6px;\
font-weight:600;font-size:12px}
.tnb .tnb-said{margin:6px 0 0}
.tnb .tnb-caption{margin:12px 0 2px;font-weight:600;font-size:12px;color:var(--tnb-muted)}
.tnb .tnb-table{border-collapse:collapse;margin:0;width:100%;font-size:12px;table-layout:auto;color:inherit;border:0}
.tnb .tnb-table th,.tnb .tnb-table td{text-align:left;vertical-align:top;padding:3px 12px 3px 0;border:0;\
border-bottom:1px solid var(--tnb-rule);background:none;max-width:none;white-space:normal}
.tnb .tnb-table th{color:var(--tnb-muted);font-weight:600}
.tnb .tnb-table tr{background:none}
.tnb .tnb-table td{min-width:4.4em}
.tnb .tnb-table .tnb-number{text-align:right;min-width:3em;white-space:nowrap;font-variant-numeric:tabular-nums}
.tnb .tnb-more{font-size:12px;color:var(--tnb-muted);margin:3px 0 0}
.tnb .tnb-text{font-family:var(--jp-code-font-family,ui-monospace,monospace);font-size:12px;white-space:pre-wrap;\
background:var(--tnb-raised);color:inherit;border-radius:4px;padding:6px 8px;\
margin:4px 0 0;max-height:24em;overflow:auto}
@container (max-width:560px){.tnb .tnb-table .tnb-minor{display:none}}
"""


class Status(msgspec.Struct, frozen=True):
    """A status in a cell or a line."""

    status: str


class Counts(msgspec.Struct, frozen=True):
    """Instances per status in a cell."""

    counts: Mapping[str, int]


Cell = str | int | datetime | Status | Counts | None


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """A table of a board; without rows it is left out."""

    caption: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Cell]]
    #: What is not shown, and how to see it; empty if all is.
    more: str = ""
    #: Columns that a narrow page leaves out.
    minor: tuple[str, ...] = ()


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A block of text of a board, as it is."""

    caption: str
    text: str


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """What a repr shows."""

    title: str
    #: What it is, where, as of when.
    about: str
    #: The environment, shown as a tag.
    tag: str | None = None
    counts: Mapping[str, int] = {}
    #: Sentences.
    said: tuple[str, ...] = ()
    parts: tuple[Table | Text, ...] = ()


def board_text(board: Board) -> str:
    """Return a board as text.

    Examples
    --------
    >>> table = Table(caption="Unresolved", columns=("instance", "status"), rows=[("t_a#0", Status("failed"))])
    >>> print(board_text(Board(title="order-17", about="session", counts={"failed": 1}, parts=(table,))))
    order-17 · session
    ✗ 1 failed
    Unresolved
      instance  status
      t_a#0     ✗ failed
    """
    head = " · ".join(printable(each) for each in (board.title, board.about, board.tag) if each)
    lines = [head]
    if board.counts:
        lines.append(_counts_text(board.counts))
    lines += [printable(sentence) for sentence in board.said]
    for part in board.parts:
        lines += _table_lines(part) if isinstance(part, Table) else _text_lines(part)
    return "\n".join(lines)


def board_html(board: Board) -> str:
    """Return a board as HTML: escaped, without scripts, for the theme of the page."""
    tag = f' <span class="tnb-tag">{escaped(board.tag)}</span>' if board.tag else ""
    counts = f" {chips(board.counts)}" if board.counts else ""
    said = "".join(f'<p class="tnb-said">{escaped(sentence)}</p>' for sentence in board.said)
    parts = "".join(_table_html(part) if isinstance(part, Table) else _text_html(part) for part in board.parts)
    return (
        f'<div class="tnb tnb-board"><style>{style_sheet()}{_RULES}</style><div class="tnb-head">'
        f'<span class="tnb-title">{escaped(board.title)}</span> '
        f'<span class="tnb-muted">{escaped(board.about)}</span>{tag}{counts}</div>{said}{parts}</div>'
    )


def board_bundle(board: Board) -> dict[str, str]:
    """Return both, for ``_repr_mimebundle_``."""
    return {"text/plain": board_text(board), "text/html": board_html(board)}


def cut(text: object, most: int = MAX_CELL) -> str:
    """Return a text on one line, cut if it is long."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def moment_text(moment: datetime) -> str:
    """Return a moment in UTC.

    >>> from datetime import UTC
    >>> moment_text(datetime(2013, 2, 8, 6, 30, tzinfo=UTC))
    '2013-02-08 06:30:00 UTC'
    """
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _counts_text(counts: Mapping[str, int]) -> str:
    said = (f"{style_of(status).sign} {n:,} {style_of(status).word}" for status, n in order_counts(counts).items())
    return "  ".join(map(printable, said))


def _cell_text(cell: Cell) -> str:
    if isinstance(cell, Status):
        return f"{style_of(cell.status).sign} {printable(style_of(cell.status).word)}"
    if isinstance(cell, Counts):
        return _counts_text(cell.counts)
    if isinstance(cell, datetime):
        return moment_text(cell)
    if isinstance(cell, int):
        return f"{cell:,}"
    return printable(cut(cell)) if cell is not None else ""


def _cell_html(cell: Cell) -> str:
    if isinstance(cell, Status):
        return badge(cell.status)
    if isinstance(cell, Counts):
        return chips(cell.counts)
    return escaped(_cell_text(cell))


def badge(status: str) -> str:
    """Return a status as HTML, without a number."""
    style = style_of(status)
    mark = f'<svg class="tnb-glyph" viewBox="-7 -7 14 14" aria-hidden="true">{glyph(status)}</svg>'
    return f'<span class="tnb-chip tnb-s-{style.css}">{mark}{escaped(style.word)}</span>'


def _without_empty_columns(table: Table) -> Table:
    kept = [i for i in range(len(table.columns)) if any(_cell_text(row[i]) for row in table.rows)]
    return msgspec.structs.replace(
        table, columns=tuple(table.columns[i] for i in kept), rows=[[row[i] for i in kept] for row in table.rows]
    )


def _table_lines(table: Table) -> Iterator[str]:
    if not table.rows:
        return
    table = _without_empty_columns(table)
    yield printable(table.caption)
    rows = [[printable(name) for name in table.columns], *([_cell_text(cell) for cell in row] for row in table.rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.columns))]
    for row in rows:
        yield "  " + "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    if table.more:
        yield f"  {printable(table.more)}"


def _text_lines(part: Text) -> list[str]:
    return [printable(part.caption), *("  " + printable(line) for line in part.text.splitlines())]


def _table_html(table: Table) -> str:
    if not table.rows:
        return ""
    table = _without_empty_columns(table)
    kinds = [_css(table, i) for i in range(len(table.columns))]
    head = "".join(f"<th{css}>{escaped(name)}</th>" for css, name in zip(kinds, table.columns, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{css}>{_cell_html(cell)}</td>" for css, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in table.rows
    )
    more = f'<p class="tnb-more">{escaped(table.more)}</p>' if table.more else ""
    return (
        f'<p class="tnb-caption">{escaped(table.caption)}</p><table class="tnb-table"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>{more}"
    )


def _css(table: Table, column: int) -> str:
    numbers = all(isinstance(row[column], int | None) for row in table.rows)
    names = ["tnb-number"] * numbers + ["tnb-minor"] * (table.columns[column] in table.minor)
    return f' class="{" ".join(names)}"' if names else ""


def _text_html(part: Text) -> str:
    lines = "\n".join(escaped(line) for line in part.text.splitlines())
    return f'<p class="tnb-caption">{escaped(part.caption)}</p><pre class="tnb-text">{lines}</pre>'
