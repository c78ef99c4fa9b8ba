"""Alias of `triggers_nb.storages`."""

from __future__ import annotations

from triggers_nb.storages import BaseTriggerStorage, CacheStorageBackend, storage_backends

__all__ = ["BaseTriggerStorage", "CacheStorageBackend", "storage_backends"]
