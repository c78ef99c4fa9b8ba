"""The trigger manager of a flight's session: it finalises the session once nothing else is left to do."""

from __future__ import annotations

from typing import Final

from triggers_nb.core.instances import TaskInstance
from triggers_nb.demo import tasks  # noqa: F401 (whoever builds the manager can run the tasks)
from triggers_nb.manager import TriggerManager

#: What the manager fires, and the task that it releases.
FINALIZED: Final = "sessionFinalized"
CLOSING: Final = "t_closeReport"


class FlightsManager(TriggerManager):
    """Fires ``sessionFinalized``, once, when nothing but the closing report is unresolved.

    Registered under the key ``flights``.
    """

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        if trigger_name not in (FINALIZED, CLOSING):
            self._finalise()

    def _post_skip(self, task_instance: TaskInstance, cascade: bool) -> None:
        if not cascade:  # a cascade is a firing: the other hook has seen it
            self._finalise()

    def _finalise(self) -> None:
        if all(task.name == CLOSING for task in self.get_unresolved_tasks()):
            self.fire(FINALIZED, once=True)
