"""What keeps a widget alive: its user, and pages that show it; not the registries that only know it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final

import ipywidgets
from IPython.core.getipython import get_ipython
from ipywidgets.widgets.widget import _instances

#: Widgets that a page shows, or is about to show.
_shown: Final[set[ipywidgets.Widget]] = set()


def has_pages() -> bool:
    """Whether a page may show what is displayed: this is the kernel of one."""
    return getattr(get_ipython(), "kernel", None) is not None


def know_weakly(widget: ipywidgets.DOMWidget) -> None:
    """Let ipywidgets and the widget's comm find it and its layout for as long as something else keeps it alive.

    By themselves they keep every widget until it is closed, whether or not anybody can still reach it.
    """
    for known in (widget, widget.layout):
        if known.comm is not None:
            _instances[known.model_id] = weakref.proxy(known)
            known.comm.on_msg(_weakly(known))


def _weakly(widget: ipywidgets.Widget) -> Callable[[Any], None]:
    find = weakref.ref(widget)

    def receive(message: Any) -> None:
        found = find()
        if found is not None:
            found._handle_msg(message)

    return receive


def hold(widget: ipywidgets.Widget) -> None:
    """Keep a widget alive: who looks at it can use it, even if no variable holds it."""
    if has_pages():
        _shown.add(widget)


def release(widget: ipywidgets.Widget) -> None:
    """Keep it alive no longer: no page shows it."""
    _shown.discard(widget)
