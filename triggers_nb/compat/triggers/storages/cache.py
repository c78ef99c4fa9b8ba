"""Alias of `triggers_nb.storages`'s `CacheStorageBackend`."""

from __future__ import annotations

from triggers_nb.storages import CacheStorageBackend

__all__ = ["CacheStorageBackend"]
