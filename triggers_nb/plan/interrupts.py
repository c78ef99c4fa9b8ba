"""Interrupts that wait until a step is over."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupts:
    """Puts the first interrupt (Ctrl-C, the kernel's ■) off until the step that it hits is over.

    A second one comes through at once, as does one between two steps. Outside of the main thread, where Python delivers
    none, it does nothing.
    """

    def __init__(self) -> None:
        #: Whether there was one.
        self.requested = False
        self._in_step = False
        self._is_held = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread() and callable(signal.getsignal(signal.SIGINT)):
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *error: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """Put an interrupt off until the block is over, and raise it then.

        Raises
        ------
        KeyboardInterrupt
            At the end of the block, if there was an interrupt in it.
        """
        self._in_step = True
        try:
            yield
        finally:
            self._in_step = False
        if self.requested:
            raise KeyboardInterrupt

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Let no interrupt into the block: what is written down in it is written once, and whole."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        is_first, self.requested = not self.requested, True
        if not (self._is_held or (is_first and self._in_step)):
            self._before(number, frame)
