"""What a task runner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from triggers_nb.registry import Registry

if TYPE_CHECKING:
    from triggers_nb.core.instances import TaskInstance
    from triggers_nb.manager import TriggerManager


class BaseTaskRunner(ABC):
    """Takes scheduled instances to where they run.

    A runner is made for each hand-over; it holds nothing.
    """

    #: Key under which it is registered; the value of a task's ``using``.
    name: ClassVar[str]

    #: Whether the work leaves this process, so that others have to find the manager's class and the storage.
    crosses_processes: ClassVar[bool] = False

    @abstractmethod
    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        """Hand an instance over; called after the commit that scheduled it, with nothing held.

        Parameters
        ----------
        manager : TriggerManager
            The manager that scheduled it.
        task_instance : TaskInstance
            What is to run, in status ``scheduled``.

        Raises
        ------
        TaskNotFound
            If no task class has the name that ``run`` gives: the instance fails.
        Exception
            Anything else: the instance stays pending and is handed over again by ``recover()``.
        """

    def resolve(self, target: str) -> object:
        """Find the task class of that name, where the work is to run in this process.

        Raises
        ------
        TaskNotFound
            If it would have to be known here, and is not: ``recover()`` then leaves the instance to others.
        """
        return None

    def check(self, manager: TriggerManager, run: str) -> None:  # noqa: B027 most runners refuse nothing
        """Raise, before anything is committed, if this runner can never take work of that manager and task class."""


def left_of_cooldown_s(task_instance: TaskInstance) -> float:
    """Return how long a scheduled instance has still to wait; less than its cooldown if it is handed over again."""
    cooldown_s, scheduled_at = task_instance.cooldown, task_instance.scheduled_at
    if not cooldown_s or scheduled_at is None:
        return cooldown_s
    return max(0.0, cooldown_s - (datetime.now(UTC) - scheduled_at).total_seconds())


#: Task runners by entry point.
task_runners: Registry[BaseTaskRunner] = Registry("triggers.runners", BaseTaskRunner)
