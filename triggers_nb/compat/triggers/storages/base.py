"""Alias of what `triggers_nb.storages.base` offers to applications."""

from __future__ import annotations

from triggers_nb.storages import BaseTriggerStorage, storage_backends

__all__ = ["BaseTriggerStorage", "storage_backends"]
