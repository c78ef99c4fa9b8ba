"""The output with a widget's twin, kept up to date: it is what a saved notebook shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from IPython.display import display, update_display

from triggers_nb.notebook.holds import has_pages

#: Shortest time between two versions of a twin, and the largest part of the time that making them takes.
TWIN_EVERY_S: Final = 5.0
MAX_SHARE: Final = 0.05


class TwinDisplay:
    """Shows a twin, and replaces it some time after something has changed.

    Parameters
    ----------
    name : str
        Identifies the output.
    make : callable
        Makes the twin: ``text/plain`` and ``text/html``.
    """

    def __init__(self, name: str, make: Callable[[], dict[str, str]]) -> None:
        self.name, self.make = name, make
        self._is_shown = self._is_stale = False
        self._next_at = 0.0

    def show(self) -> None:
        """Show it below what was displayed last."""
        display(self.make(), raw=True, display_id=self.name)  # type: ignore[no-untyped-call]
        self._is_shown, self._is_stale = has_pages(), False
        self._next_at = time.monotonic() + TWIN_EVERY_S

    def note_change(self) -> None:
        """Note that what is shown may be out of date."""
        self._is_stale = self._is_shown

    def renew(self, *, at_once: bool = False) -> None:
        """Replace it if it is out of date; not more often than every five seconds, unless `at_once`."""
        started = time.monotonic()
        if not self._is_stale or (started < self._next_at and not at_once):
            return
        self._is_stale = False
        update_display(self.make(), raw=True, display_id=self.name)  # type: ignore[no-untyped-call]
        now = time.monotonic()
        self._next_at = now + max(TWIN_EVERY_S, (now - started) / MAX_SHARE)
