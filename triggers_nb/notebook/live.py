"""Following a storage from a daemon thread: tells when something has changed, at a bounded rate."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, Protocol

#: Shortest time between two refreshes. Each sends up to three messages: never more than eight a second.
LEAST_INTERVAL_S: Final = 0.4

#: A refresh that takes long comes less often: refreshing takes this part of the time at most.
MAX_SHARE: Final = 0.3

#: How long one look waits for a change.
LOOK_S: Final = 0.5

#: Pauses after a storage could not be reached; the last one is repeated.
RETRY_S: Final = (0.25, 0.5, 1.0, 2.0)

#: Waits for a change, at most that many seconds; returns whether there was one.
Look = Callable[[float], bool]


class Followed(Protocol):
    """What a follower keeps up to date; its methods are called from the thread."""

    def refresh(self) -> None:
        """Read the state again and show it."""

    def note_lost(self, error: Exception) -> None:
        """Show that the storage cannot be reached."""

    def note_alive(self) -> None:
        """Show that the storage was reached just now."""


class Follower:
    """A thread that refreshes something whenever it has changed.

    The thread holds no reference to what it follows while it waits, and ends once that is gone.

    Parameters
    ----------
    target : Followed
        What to refresh.
    look : callable
        Waits for a change. It must not hold a reference to `target`.

    Examples
    --------
    >>> class Clock:
    ...     def __init__(self): self.shown = threading.Event()
    ...     def refresh(self): self.shown.set()
    ...     def note_lost(self, error): ...
    ...     def note_alive(self): ...
    >>> clock = Clock()
    >>> follower = Follower(clock, lambda timeout_s: True)
    >>> follower.start()
    >>> clock.shown.wait(5)
    True
    >>> follower.stop()
    >>> follower.is_alive
    False
    """

    def __init__(self, target: Followed, look: Look) -> None:
        self._target: weakref.ref[Any] = weakref.ref(target)
        self._look = look
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive() and not self._stopped.is_set()

    def start(self) -> None:
        """Begin to follow, or go on after `stop`; does nothing while it runs."""
        if self.is_alive:
            return
        self._stopped = threading.Event()
        arguments = (self._target, self._look, self._stopped)
        self._thread = threading.Thread(target=_follow, args=arguments, name="triggers-nb-live", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread, and wait for its end unless this is called from it."""
        self._stopped.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)


def _follow(target: weakref.ref[Any], look: Look, stopped: threading.Event) -> None:
    n_failures = 0
    while not stopped.is_set() and target() is not None:
        pause_s = LEAST_INTERVAL_S
        try:
            is_changed = look(LOOK_S)
            followed = target()
            if followed is None or stopped.is_set():
                return
            if is_changed:
                started = time.monotonic()
                followed.refresh()
                pause_s = max(pause_s, (time.monotonic() - started) * (1 / MAX_SHARE - 1))
            followed.note_alive()
            n_failures = 0
        except Exception as error:
            followed = target()
            if followed is not None:
                followed.note_lost(error)
            pause_s = RETRY_S[min(n_failures, len(RETRY_S) - 1)]
            n_failures += 1
        followed = None
        stopped.wait(pause_s)
