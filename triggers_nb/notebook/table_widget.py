"""A table of instances: virtual scroll, selection by id, rows replaced in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import anywidget
import traitlets

from triggers_nb.core.status import STATUSES
from triggers_nb.notebook.assets import read_script, read_styles
from triggers_nb.render.theme import glyph, style_of

Request = Callable[[Mapping[str, Any]], None]

#: If more rows than this part of all have changed, all are sent.
_MOST_PATCHED: Final = 0.5

#: Word, class and glyph of each status, by its position in ``STATUSES``.
_STATUSES: Final = [[style_of(each).word, style_of(each).css, glyph(each)] for each in STATUSES]


class TableWidget(anywidget.AnyWidget):
    """A table whose rows are lists; the first `n_key` cells of a row, joined by line feeds, are its id.

    Parameters
    ----------
    request : callable
        Takes what the user does: ``{"do": "select", "id": …}`` and ``{"do": "check", …}``.
    """

    _esm = read_script("elements.js", "table.js")
    _css = read_styles()

    statuses: traitlets.List[Any] = traitlets.List(_STATUSES).tag(sync=True)
    columns: traitlets.List[Any] = traitlets.List().tag(sync=True)
    rows: traitlets.List[Any] = traitlets.List().tag(sync=True)
    n_key = traitlets.Int(1).tag(sync=True)
    #: Id of the row whose detail is shown.
    current = traitlets.Unicode("").tag(sync=True)
    #: Whether rows can be selected; ids of those that are not.
    has_checks = traitlets.Bool(False).tag(sync=True)
    unchecked: traitlets.List[Any] = traitlets.List().tag(sync=True)
    label = traitlets.Unicode("").tag(sync=True)

    def __init__(self, request: Request, **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(lambda _widget, content, _buffers: request(content))

    def show(self, rows: Sequence[list[Any]]) -> None:
        """Show these rows; only what differs is sent."""
        old: Any = self.rows
        changed = [[i, row] for i, (row, before) in enumerate(zip(rows, old, strict=False)) if row != before]
        is_same = len(rows) == len(old) and all(self._id(row) == self._id(old[i]) for i, row in changed)
        if not is_same or len(changed) > len(rows) * _MOST_PATCHED:
            self.rows = list(rows)
        elif changed:
            for i, row in changed:
                old[i] = row  # the state that a page gets when it is opened later
            self.send({"patch": changed})

    def _id(self, row: Any) -> Any:
        return row[: self.n_key]
