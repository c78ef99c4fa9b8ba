"""Alias of `triggers_nb.manager`."""

from __future__ import annotations

from triggers_nb.manager import TriggerManager, trigger_managers

__all__ = ["TriggerManager", "trigger_managers"]
