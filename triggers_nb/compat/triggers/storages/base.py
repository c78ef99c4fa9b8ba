"""Alias of `triggers_nb.storages`'s base class."""

from __future__ import annotations

from triggers_nb.storages import BaseTriggerStorage

__all__ = ["BaseTriggerStorage"]
