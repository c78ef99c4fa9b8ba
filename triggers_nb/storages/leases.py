"""Keeping due items in the future for as long as this process works on them."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from triggers_nb.storages.store import Store

logger = logging.getLogger("triggers_nb.leases")


class _Heartbeat:
    """One thread per process that postpones what is held; it ends when nothing is."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held: dict[object, tuple[Store, str, str, float, float, float]] = {}
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def hold(self, key: object, store: Store, uid: str, item: str, lease_s: float, every_s: float) -> None:
        due = time.monotonic() + every_s
        with self._condition:
            self._held[key] = (store, uid, item, lease_s, every_s, due)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="triggers_nb leases", daemon=True)
                self._wakes_at = due
                self._thread.start()
            elif due < self._wakes_at:
                self._condition.notify()

    def drop(self, key: object) -> None:
        with self._condition:
            self._held.pop(key, None)

    def _run(self) -> None:
        while True:
            with self._condition:
                if not self._held:
                    self._thread = None
                    return
                self._wakes_at = min(entry[5] for entry in self._held.values())
                self._condition.wait(max(0.0, self._wakes_at - time.monotonic()))
                now = time.monotonic()
                due = [(key, entry) for key, entry in self._held.items() if entry[5] <= now]
            for key, entry in due:
                self._renew(key, *entry[:4])

    def _renew(self, key: object, store: Store, uid: str, item: str, lease_s: float) -> None:
        try:
            alive = store.postpone(uid, item, lease_s)
        except Exception:
            logger.warning("the lease of %s in session %r could not be renewed", item, uid, exc_info=True)
            alive = True
        with self._condition:
            entry = self._held.get(key)
            if entry is None:
                return
            if alive:
                self._held[key] = (*entry[:5], time.monotonic() + entry[4])
            else:
                del self._held[key]


_heartbeat = _Heartbeat()


def _forget() -> None:
    global _heartbeat
    _heartbeat = _Heartbeat()


os.register_at_fork(after_in_child=_forget)


@contextmanager
def keep_alive(store: Store, uid: str, item: str, lease_s: float, every_s: float) -> Iterator[None]:
    """Postpone a due item by `lease_s`, every `every_s` seconds, while the block runs."""
    key, heartbeat = object(), _heartbeat
    heartbeat.hold(key, store, uid, item, lease_s, every_s)
    try:
        yield
    finally:
        heartbeat.drop(key)
