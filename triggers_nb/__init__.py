"""Event-driven tasks with an atomic engine, and notebooks to explore, explain and repair their sessions.

Everything public is a name of this package. Names are loaded when they are first used (PEP 562), so that
``import triggers_nb`` is cheap and loads none of the libraries that only some of them need.

Examples
--------
>>> import triggers_nb as tnb
>>> "TriggerManager" in tnb.__all__
True
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from triggers_nb.analysis.failure_groups import failure_groups as failure_groups
    from triggers_nb.analysis.lint import lint as lint
    from triggers_nb.core.status import STATUSES as STATUSES
    from triggers_nb.errors import with_context as with_context
    from triggers_nb.manager import TriggerManager as TriggerManager
    from triggers_nb.manager import trigger_managers as trigger_managers
    from triggers_nb.patcher import AttrPatcher as AttrPatcher
    from triggers_nb.plan.comparison import compare as compare
    from triggers_nb.recovery import recover as recover
    from triggers_nb.runners import task_runners as task_runners
    from triggers_nb.session import Session as Session
    from triggers_nb.storages import CacheStorageBackend as CacheStorageBackend
    from triggers_nb.storages import storage_backends as storage_backends
    from triggers_nb.task import TaskContext as TaskContext
    from triggers_nb.task import TriggerTask as TriggerTask
    from triggers_nb.workspace import Workspace as Workspace
    from triggers_nb.workspace import connect as connect

__version__ = "0.1.0"

#: Where each public name lives.
_MODULES = {
    "failure_groups": "triggers_nb.analysis.failure_groups",
    "lint": "triggers_nb.analysis.lint",
    "compare": "triggers_nb.plan.comparison",
    "connect": "triggers_nb.workspace",
    "recover": "triggers_nb.recovery",
    "Workspace": "triggers_nb.workspace",
    "Session": "triggers_nb.session",
    "STATUSES": "triggers_nb.core.status",
    "AttrPatcher": "triggers_nb.patcher",
    "CacheStorageBackend": "triggers_nb.storages",
    "TaskContext": "triggers_nb.task",
    "TriggerManager": "triggers_nb.manager",
    "TriggerTask": "triggers_nb.task",
    "storage_backends": "triggers_nb.storages",
    "task_runners": "triggers_nb.runners",
    "trigger_managers": "triggers_nb.manager",
    "with_context": "triggers_nb.errors",
}

__all__ = sorted(_MODULES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: Any) -> None:
    """Register the line magic ``%triggers``; called by ``%load_ext triggers_nb``."""
    from triggers_nb.notebook.magics import load

    load(shell)
