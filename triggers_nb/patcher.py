"""Attributes that are other ones for the length of a block."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

_MISSING = object()


class AttrPatcher:
    """Sets attributes of an object for the length of a ``with`` block.

    Afterwards, also after an exception, each attribute is what it was before; one that was not there (or was
    inherited from the class) is deleted. A patcher may be used again, and inside itself.

    Parameters
    ----------
    obj
        What has the attributes: an instance, a class, or a module.
    **attrs
        The values that they take inside the block.

    Examples
    --------
    >>> class Settings:
    ...     grace_s = 30
    >>> with AttrPatcher(Settings, grace_s=0, lease_s=5):
    ...     (Settings.grace_s, Settings.lease_s)
    (0, 5)
    >>> (Settings.grace_s, hasattr(Settings, "lease_s"))
    (30, False)
    """

    def __init__(self, obj: Any, /, **attrs: Any) -> None:
        self._obj = obj
        self._attrs = attrs
        self._blocks: list[ExitStack] = []

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for name, value in self._attrs.items():
                own, seen = _own_value(self._obj, name), getattr(self._obj, name, _MISSING)
                setattr(self._obj, name, value)
                undo.callback(_restore, self._obj, name, own, seen)
            self._blocks.append(undo.pop_all())
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._blocks.pop().close()


def _own_value(obj: Any, name: str) -> Any:
    """Return what the object itself holds (a descriptor as such), or `_MISSING`."""
    return getattr(obj, "__dict__", {}).get(name, _MISSING)


def _restore(obj: Any, name: str, own: Any, seen: Any) -> None:
    if own is not _MISSING:
        setattr(obj, name, own)
        return
    try:
        delattr(obj, name)
    except AttributeError:  # a property: it has no value of its own to delete
        setattr(obj, name, seen)
        return
    if seen is not _MISSING and not hasattr(obj, name):  # a slot: its value is gone, its class has no default
        setattr(obj, name, seen)
