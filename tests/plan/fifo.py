"""A runner for tests: keeps what is handed over, and runs it one at a time in that order when it is told."""

from collections import deque
from collections.abc import Mapping
from typing import Any

from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import ClaimRefused
from triggers_nb.manager import TriggerManager
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.task import InstanceRun, TaskContext, TriggerTask, rebuild_manager

KEY = "tests-fifo"

_queue: deque[tuple[TriggerManager, TaskInstance]] = deque()


@task_runners.register(KEY)
class FifoRunner(BaseTaskRunner):
    name = KEY

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        _queue.append((rebuild_manager(manager, self.name), task_instance))


def drain(outcomes: Mapping[str, Any]) -> list[str]:
    """Run everything, cascades included; each task ends as `outcomes` says by its name. Returns the instances run."""
    ran = []
    while _queue:
        manager, instance = _queue.popleft()
        run = InstanceRun(manager, instance.name, Ends)
        run.task = Ends(outcomes[instance.config.name])
        try:
            run.claim()
        except ClaimRefused:  # it was resolved meanwhile
            continue
        run.body()
        ran.append(instance.name)
    return ran


def forget() -> None:
    _queue.clear()


class Ends(TriggerTask):
    is_registered = False

    def __init__(self, outcome: Any = None) -> None:
        super().__init__()
        self.outcome = outcome

    def _run(self, context: TaskContext) -> Mapping[str, Any] | None:
        if isinstance(self.outcome, Exception):
            raise self.outcome.with_traceback(None)
        return self.outcome


def waiting() -> list[str]:
    return [instance.name for _, instance in _queue]
