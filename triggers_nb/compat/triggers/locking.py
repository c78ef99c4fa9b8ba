"""Alias of `triggers_nb.errors`'s lock error."""

from __future__ import annotations

from triggers_nb.errors import LockAcquisitionFailed

__all__ = ["LockAcquisitionFailed"]
