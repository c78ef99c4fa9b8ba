"""Attributes that are other ones for the length of a block."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from inspect import getattr_static, isdatadescriptor
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
                undo.callback(_restore, self._obj, name, _own_value(self._obj, name))
                setattr(self._obj, name, value)
            self._blocks.append(undo.pop_all())
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._blocks.pop().close()


def _own_value(obj: Any, name: str) -> Any:
    """Return what the object itself holds under that name, not what it inherits; `_MISSING` if nothing."""
    if isdatadescriptor(getattr_static(type(obj), name, None)):  # a property or a slot
        return getattr(obj, name, _MISSING)
    return getattr(obj, "__dict__", {}).get(name, _MISSING)


def _restore(obj: Any, name: str, value: Any) -> None:
    if value is not _MISSING:
        setattr(obj, name, value)
        return
    with suppress(AttributeError):  # the block may have deleted it itself
        delattr(obj, name)
