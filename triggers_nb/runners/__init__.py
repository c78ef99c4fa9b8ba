"""Task runners: what takes scheduled instances to where they run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from triggers_nb.runners.base import BaseTaskRunner, task_runners

if TYPE_CHECKING:
    from triggers_nb.runners.celery import CeleryTaskRunner as CeleryTaskRunner
    from triggers_nb.runners.threads import ThreadingTaskRunner as ThreadingTaskRunner

#: The runner (a class) for work that nothing else says anything about; patched by `triggers_nb.testing`.
DEFAULT_TASK_RUNNER: type[BaseTaskRunner] | None = None

_MODULES = {
    "CeleryTaskRunner": "triggers_nb.runners.celery",
    "ThreadingTaskRunner": "triggers_nb.runners.threads",
}

__all__ = ["DEFAULT_TASK_RUNNER", "BaseTaskRunner", "CeleryTaskRunner", "ThreadingTaskRunner", "task_runners"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value
