"""The triage of a fleet's failures: ``ws.triage()``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from triggers_nb.notebook.surface import SurfaceWidget
from triggers_nb.notebook.table_widget import TableWidget
from triggers_nb.notebook.triage_logic import TriageLogic
from triggers_nb.notebook.twins import triage_twin
from triggers_nb.render.wording import plural

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.workspace import Workspace


class Triage(SurfaceWidget):
    """Failures by cause, live: groups, the instances of one group, the detail of one, and what can be done with all.

    Parameters
    ----------
    workspace : Workspace
        Where the sessions are.
    pattern, values
        See `TriageLogic`.
    """

    groups: traitlets.List[Any] = traitlets.List().tag(sync=True)
    group = traitlets.Unicode("").tag(sync=True)
    order = traitlets.Unicode("count").tag(sync=True)

    def __init__(self, workspace: Workspace, pattern: str | None = None, values: pd.DataFrame | None = None) -> None:
        self.triage = TriageLogic(workspace, pattern, values)
        table = TableWidget(self.request, columns=self.triage.columns(), n_key=2, has_checks=True)
        super().__init__(self.triage, self.triage.look, kind="triage", table=table)

    def publish_first(self) -> None:
        """Make ready all: it is read already."""
        self.publish()

    def publish(self) -> None:
        """Send what has changed."""
        triage, table = self.triage, self.table
        rows = triage.rows()
        table.show(rows)
        with table.hold_sync():
            table.unchecked = sorted("\n".join(key) for key in triage.unchecked)
            table.current = "\n".join(triage.current or ())
            table.label = plural(len(rows), "instance")
        with self.hold_sync():
            self.groups, self.group, self.order = triage.group_list(), triage.group or "", triage.order
            super().publish()

    def _bar(self) -> dict[str, Any]:
        return self.triage.bar()

    def _detail(self) -> str:
        return self.triage.detail()

    def _tabs(self) -> list[dict[str, str]]:
        return self.triage.tabs()

    def _twin(self) -> dict[str, str]:
        with self._lock:
            return triage_twin(self.triage)
