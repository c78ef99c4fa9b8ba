"""Alias of `triggers_nb.patcher`."""

from __future__ import annotations

from triggers_nb.patcher import AttrPatcher

__all__ = ["AttrPatcher"]
