"""Registered managers as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from triggers_nb.manager import hooks_of, overridden_methods
from triggers_nb.registry import RegistryEntry


def manager_columns(entries: Sequence[RegistryEntry]) -> dict[str, Any]:
    """Return the columns of `schema.MANAGERS`, a row for each key."""
    return {
        "key": [entry.key for entry in entries],
        "class": [entry.target for entry in entries],
        "distribution": [entry.distribution for entry in entries],
        "version": [entry.version for entry in entries],
        "hooks": [sorted(hooks_of(entry.cls)) if entry.cls else [] for entry in entries],
        "methods": [list(overridden_methods(entry.cls)) if entry.cls else [] for entry in entries],
        "error": [entry.error for entry in entries],
        "issue": [entry.issue for entry in entries],
    }
