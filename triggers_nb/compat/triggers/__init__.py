"""The import package ``triggers``: the names that existing applications import, each an alias of `triggers_nb`'s."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from triggers.exceptions import with_context as with_context
    from triggers.locking import LockAcquisitionFailed as LockAcquisitionFailed
    from triggers.manager import TriggerManager as TriggerManager
    from triggers.manager import trigger_managers as trigger_managers
    from triggers.patcher import AttrPatcher as AttrPatcher
    from triggers.storages import BaseTriggerStorage as BaseTriggerStorage
    from triggers.storages import CacheStorageBackend as CacheStorageBackend
    from triggers.storages import storage_backends as storage_backends
    from triggers.task import MaxRetriesExceeded as MaxRetriesExceeded
    from triggers.task import Retry as Retry
    from triggers.task import StatusChange as StatusChange
    from triggers.task import TaskContext as TaskContext
    from triggers.task import TriggerTask as TriggerTask
    from triggers.types import TaskConfig as TaskConfig
    from triggers.types import TaskInstance as TaskInstance
    from triggers_nb.runners import BaseTaskRunner as BaseTaskRunner
    from triggers_nb.runners import CeleryTaskRunner as CeleryTaskRunner
    from triggers_nb.runners import ThreadingTaskRunner as ThreadingTaskRunner
    from triggers_nb.runners import task_runners as task_runners

#: Where each name lives.
_MODULES = {
    "AttrPatcher": "triggers.patcher",
    "BaseTaskRunner": "triggers.runners",
    "BaseTriggerStorage": "triggers.storages",
    "CacheStorageBackend": "triggers.storages",
    "CeleryTaskRunner": "triggers.runners",
    "LockAcquisitionFailed": "triggers.locking",
    "MaxRetriesExceeded": "triggers.task",
    "Retry": "triggers.task",
    "StatusChange": "triggers.task",
    "TaskConfig": "triggers.types",
    "TaskContext": "triggers.task",
    "TaskInstance": "triggers.types",
    "ThreadingTaskRunner": "triggers.runners",
    "TriggerManager": "triggers.manager",
    "TriggerTask": "triggers.task",
    "storage_backends": "triggers.storages",
    "task_runners": "triggers.runners",
    "trigger_managers": "triggers.manager",
    "with_context": "triggers.exceptions",
}

#: Modules that are there as attributes once the package is imported, as they always were.
_SUBMODULES = ("exceptions", "locking", "manager", "patcher", "runners", "storages", "task", "testing", "types")

__all__ = sorted(_MODULES)  # noqa: PLE0605


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return import_module(f"triggers.{name}")
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
