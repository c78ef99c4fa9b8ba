"""Alias of the records in `triggers_nb.core`."""

from __future__ import annotations

from triggers_nb.core.instances import TaskConfig, TaskInstance

__all__ = ["TaskConfig", "TaskInstance"]
