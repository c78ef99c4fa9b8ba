"""Alias of `triggers_nb.task`."""

from __future__ import annotations

from triggers_nb.task import MaxRetriesExceeded, Retry, StatusChange, TaskContext, TriggerTask

__all__ = ["MaxRetriesExceeded", "Retry", "StatusChange", "TaskContext", "TriggerTask"]
