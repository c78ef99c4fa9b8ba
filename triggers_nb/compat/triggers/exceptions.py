"""Alias of what `triggers_nb.errors` offers to tasks."""

from __future__ import annotations

from triggers_nb.errors import with_context

__all__ = ["with_context"]
