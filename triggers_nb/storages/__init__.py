"""Where sessions are kept.

The names below are loaded when they are first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from triggers_nb.storages.base import BaseTriggerStorage as BaseTriggerStorage
    from triggers_nb.storages.base import storage_backends as storage_backends
    from triggers_nb.storages.cache import CacheStorageBackend as CacheStorageBackend

_MODULES = {
    "BaseTriggerStorage": "triggers_nb.storages.base",
    "CacheStorageBackend": "triggers_nb.storages.cache",
    "storage_backends": "triggers_nb.storages.base",
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
