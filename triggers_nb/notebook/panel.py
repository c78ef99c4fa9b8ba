"""The panel of a session: ``s.panel()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets
from ipywidgets import widget_serialization

from triggers_nb.notebook.graph_widget import GraphWidget
from triggers_nb.notebook.panel_logic import COLUMNS, PanelLogic
from triggers_nb.notebook.surface import SurfaceWidget
from triggers_nb.notebook.table_widget import TableWidget
from triggers_nb.notebook.twins import panel_twin
from triggers_nb.render.wording import plural

if TYPE_CHECKING:
    from triggers_nb.session import Session


class SessionPanel(SurfaceWidget):
    """A session, live: counts, picture, instances, the detail of one, and what can be done with it.

    Parameters
    ----------
    session : Session
        What to show.
    """

    level = traitlets.Unicode("task").tag(sync=True)
    history = traitlets.Dict().tag(sync=True)
    graph = traitlets.Instance(GraphWidget).tag(sync=True, **widget_serialization)

    def __init__(self, session: Session) -> None:
        self.panel = PanelLogic(session)
        table = TableWidget(self.request, columns=list(COLUMNS))
        graph = GraphWidget(self.request)
        super().__init__(self.panel, self.panel.look, kind="panel", table=table, graph=graph)

    def publish_first(self) -> None:
        """Make ready where it is, and the rows."""
        super().publish_first()
        self._publish_rows()

    def publish(self) -> None:
        """Send what has changed."""
        panel = self.panel
        self._publish_rows()
        with self.graph.hold_sync():
            self.graph.svg = panel.picture()
            self.graph.current = panel.current_node()
        with self.hold_sync():
            self.level, self.history = panel.level, panel.history()
            super().publish()

    def _publish_rows(self) -> None:
        rows = self.panel.rows()
        self.table.show(rows)
        with self.table.hold_sync():
            self.table.current = self.panel.current or ""
            self.table.label = plural(len(rows), "instance")

    def _bar(self) -> dict[str, Any]:
        return self.panel.bar()

    def _detail(self) -> str:
        return self.panel.detail()

    def _tabs(self) -> list[dict[str, str]]:
        return self.panel.tabs()

    def _children(self) -> list[Any]:
        return [*super()._children(), self.graph] if hasattr(self, "_follower") else []

    def _twin(self) -> dict[str, str]:
        with self._lock:
            return panel_twin(self.panel)
