"""What the widgets show, as text and HTML for where there is no front end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from triggers_nb.core.status import STATUSES
from triggers_nb.render.board import Board, Status, Table, Text, board_html, board_text, moment_text
from triggers_nb.render.cascade import text_twin
from triggers_nb.render.dashboard import status_counts
from triggers_nb.render.figure import img_tag
from triggers_nb.render.wording import plural, printable

if TYPE_CHECKING:
    from triggers_nb.notebook.panel_logic import PanelLogic
    from triggers_nb.notebook.runs import Executed
    from triggers_nb.notebook.triage_logic import TriageLogic

#: Most rows of a table in a twin.
MAX_ROWS: Final = 20

#: Hides the complaint about a widget whose kernel is gone: the twin says more.
_STYLE: Final = ".jp-OutputArea:has(.tnb-twin) .jp-OutputArea-output.jupyter-widgets{display:none}"

#: Marks a twin, so that a page that shows the widget hides it.
CLASS: Final = "tnb-twin"


def panel_twin(panel: PanelLogic) -> dict[str, str]:
    """Return the twin of a session's panel."""
    moment = panel.moment
    if moment is None:
        board = Board(title=panel.session.uid, about="this session does not exist (any more)")
        return _bundle(board)
    uid = panel.session.uid
    rows = moment.rows
    shown = [(row[0], Status(STATUSES[row[1]]), _moment(row[2]), row[4]) for row in _urgent(rows)[:MAX_ROWS]]
    more = f"{plural(len(rows) - MAX_ROWS, 'more row')}: ws[{uid!r}].instances()" if len(rows) > MAX_ROWS else ""
    columns = ("instance", "status", "changed", "what")
    parts: list[Table | Text] = [Table(caption="Instances", columns=columns, rows=shown, more=more)]
    said = []
    if panel.current is not None:
        said.append(moment.situation.explain(panel.current).sentence)
    if panel.at_seq is not None:
        said.append(f"As it was: {panel.history()['said']}.")
    graph = moment.graph("task")
    board = Board(
        title=uid,
        about=f"session panel · {panel.workspace.url} · as of {moment_text(datetime.now(UTC))}",
        tag=panel.workspace.env,
        counts=status_counts(moment.state.counts),
        said=tuple(said),
        parts=(*parts, *_last(panel.executed)),
    )
    bundle = _bundle(board, img_tag(moment.picture("task"), f"{uid}\n{text_twin(graph)}"))
    bundle["text/plain"] += "\n" + text_twin(graph)
    return bundle


def triage_twin(triage: TriageLogic) -> dict[str, str]:
    """Return the twin of a triage."""
    groups = triage.group_list()
    rows = [(group["n"], group["type"], group["task"], group["message"], group["said"]) for group in groups[:MAX_ROWS]]
    more = f"{plural(len(groups) - MAX_ROWS, 'more group')}: ws.failure_groups()" if len(groups) > MAX_ROWS else ""
    by_cause = ("failed", "exception", "task", "message", "where")
    parts: list[Table | Text] = [Table(caption="Groups by cause", columns=by_cause, rows=rows, more=more)]
    members = [(row[0], row[1], Status(STATUSES[row[2]]), row[4]) for row in triage.rows()]
    if members:
        more = f"{plural(len(members) - MAX_ROWS, 'more instance')}: ws.failures()" if len(members) > MAX_ROWS else ""
        columns = ("session", "instance", "status", triage.columns()[4]["name"])
        parts.append(Table(caption="Instances of the first group", columns=columns, rows=members[:MAX_ROWS], more=more))
    board = Board(
        title="Triage",
        about=f"{triage.bar()['about']} · as of {moment_text(datetime.now(UTC))}",
        tag=triage.workspace.env,
        counts=triage.counts(),
        said=() if groups else ("Nothing has failed.",),
        parts=(*parts, *_last(triage.executed)),
    )
    return _bundle(board)


def _bundle(board: Board, picture: str = "") -> dict[str, str]:
    html = f'<div class="{CLASS}"><style>{_STYLE}</style>{board_html(board)}{picture}</div>'
    return {"text/plain": board_text(board), "text/html": html}


def _last(executed: Executed | None) -> list[Text]:
    if executed is None:
        return []
    return [Text(caption=f"Last action: {executed.said}", text=printable(executed.python))]


def _urgent(rows: list[list[Any]]) -> list[list[Any]]:
    order = ("failed", "running", "scheduled", "unstarted")
    place = {code: order.index(name) if name in order else len(order) for code, name in enumerate(STATUSES)}
    return sorted(rows, key=lambda row: place[row[1]])


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
