"""Waiting for changes of one session, and of all."""

from __future__ import annotations

import time
from typing import Final

from triggers_nb.storages.store import Store, Summary

#: Pause between two looks at all sessions.
FLEET_POLL_S: Final = 0.25

#: Clocks of writers may differ by this much.
SKEW_US: Final = 60_000_000

#: After so many looks at what changed, it is looked for what is gone, unless there are more sessions than this.
LOOKS_PER_LISTING: Final = 20
MAX_LISTED: Final = 20_000


class SessionLook:
    """Waits until a session has moved on from where it was last shown.

    Attributes
    ----------
    seen : tuple of int or None
        Epoch and sequence number that are shown; None if there is no session.
    """

    def __init__(self, store: Store, uid: str, seen: tuple[int, int] | None) -> None:
        self.store, self.uid, self.seen = store, uid, seen

    def __call__(self, timeout_s: float) -> bool:
        """Wait; return whether there is something else to be shown."""
        if self.seen is not None and self.uid in self.store.wait_for_events({self.uid: self.seen[1]}, timeout_s):
            return True
        if self.seen is None:
            time.sleep(timeout_s)
        # What a sequence number does not tell: it was deleted, or made anew.
        found = next(iter(self.store.summaries(uids=[self.uid])), None)
        return (None if found is None else (found.epoch, found.seq)) != self.seen


class FleetLook:
    """Waits until any session has moved on.

    Attributes
    ----------
    seen : dict of str to tuple of int
        Epoch and sequence number of each session that is shown.
    since_us : int
        What changed long before this moment has been shown.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: dict[str, tuple[int, int]] = {}
        self.since_us = 0
        self._n_looks = 0

    def __call__(self, timeout_s: float) -> bool:
        """Wait; return whether a session has changed, or is gone."""
        self._n_looks += 1
        if self._n_looks % LOOKS_PER_LISTING == 0 and len(self.seen) <= MAX_LISTED and self.gone():
            return True
        deadline = time.monotonic() + timeout_s
        while True:
            started = time.monotonic()
            if self.changed():
                return True
            now = time.monotonic()
            if now >= deadline:
                return False
            time.sleep(min(max(FLEET_POLL_S, 9 * (now - started)), deadline - now))

    def gone(self) -> set[str]:
        """Return the sessions that were seen and do not exist any more; this lists all."""
        return set(self.seen) - {each.uid for each in self.store.summaries()}

    def changed(self) -> list[Summary]:
        """Return the sessions that are not as they were seen."""
        recent = self.store.summaries(since_us=self.since_us - SKEW_US)
        return [each for each in recent if self.seen.get(each.uid) != (each.epoch, each.seq)]
