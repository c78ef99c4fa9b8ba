"""A session as it would be: changes that are never made, over the session as it is stored."""

# ruff: noqa: D102  (what the methods do is told by `Store`)

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

from triggers_nb.errors import StorageError
from triggers_nb.storages.store import (
    LINK_STEPS,
    Cell,
    Commit,
    Committed,
    Conflict,
    DueItem,
    SessionState,
    Store,
    StoredEvent,
    Summary,
    View,
    missing_links,
)
from triggers_nb.storages.trials import refuse_in_trial


class MovedOn(StorageError):
    """Raised when the stored session changes under an overlay: start again with another one."""


class OverlayStore(Store):
    """One session of another store, with changes that stay here.

    Cells are read from the other store when they are needed, all at the revision that the session had at the first
    read; nothing is ever written there, not even a lock. Other sessions can be read, and not changed.

    Parameters
    ----------
    base : Store
        Where the session is.
    uid : str
        Which one.
    """

    def __init__(self, base: Store, uid: str) -> None:
        self.embedded = base.embedded  # type: ignore[misc]
        self.url = self.storage_id = base.url
        self._base, self._uid = base, uid
        #: What has been read from the other store; None: it was not there.
        self.fetched: dict[str, Cell | None] = {}
        self._written: dict[str, Cell] = {}
        self._increments: dict[str, int] = {}
        self._due: dict[str, DueItem] = {}
        self._events: list[StoredEvent] = []
        self._counts: dict[str, int] | None = None
        #: Whether the stored session has been changed: what was tried out here means nothing then.
        self.has_moved = False
        found = base.read(uid, (), follow=False)
        #: The session's epoch and sequence number in the other store; 0 and 0 if it does not exist.
        self.base_epoch, self.base_seq = (found.epoch, found.seq) if found is not None else (0, 0)
        self._epoch = self.base_epoch
        self._seq = self.base_seq

    # Reading ------------------------------------------------------------------------------------------------------

    def read(self, uid: str, names: Iterable[str], *, follow: bool = True) -> View | None:
        if uid != self._uid:
            return self._base.read(uid, names, follow=follow)
        asked = set(names)
        self._fetch(asked, follow)
        if not self._epoch:
            return None
        cells = fresh = self._some(asked)
        for _ in range(LINK_STEPS if follow else 0):
            links = set(missing_links(fresh, asked))
            self._fetch(links, False)
            fresh = self._some(links)
            asked.update(links)
            cells = {**cells, **fresh}
        return View(epoch=self._epoch, seq=self._seq, cells=cells)

    def _fetch(self, names: Iterable[str], follow: bool) -> None:
        missing = [name for name in names if name not in self.fetched and name not in self._written]
        if not missing or not self.base_epoch:
            return
        view = self._base.read(self._uid, missing, follow=follow)
        self._check(view)
        assert view is not None
        self.fetched.update(dict.fromkeys(missing))
        for name, cell in view.cells.items():
            self.fetched[name] = cell

    def _check(self, view: View | SessionState | None) -> None:
        found = (view.epoch, view.seq) if view is not None else (0, 0)
        if found != (self.base_epoch, self.base_seq):
            self.has_moved = True
            raise MovedOn(f"session {self._uid!r} was changed while a change of it was tried out; try again")

    def _some(self, names: Iterable[str]) -> dict[str, Cell]:
        found = {name: self._written.get(name) or self.fetched.get(name) for name in names}
        return {name: cell for name, cell in found.items() if cell is not None}

    def counts(self, uid: str) -> dict[str, int] | None:
        if uid != self._uid:
            return self._base.counts(uid)
        if self._counts is None:
            self._counts = (self._base.counts(uid) if self.base_epoch else None) or {}
            self._check(self._base.read(uid, (), follow=False))
        counts = dict(self._counts)
        for name, increment in self._increments.items():
            counts[name] = counts.get(name, 0) + increment
        return counts if self._epoch else None

    def state(self, uid: str) -> SessionState | None:
        return next(self.states([uid]))[1]

    def states(self, uids: Sequence[str], prefixes: Sequence[str] = ()) -> Iterator[tuple[str, SessionState | None]]:
        for uid, state in self._base.states(uids, prefixes):
            yield uid, self._overlaid(state, tuple(prefixes)) if uid == self._uid else state

    def _overlaid(self, state: SessionState | None, prefixes: tuple[str, ...]) -> SessionState | None:
        self._check(state)
        if not self._epoch:
            return None
        written = {name: cell for name, cell in self._written.items() if not prefixes or name.startswith(prefixes)}
        counts = dict(state.counts) if state is not None else {}
        for name, increment in self._increments.items():
            counts[name] = counts.get(name, 0) + increment
        at_us = self._events[-1].at_us if self._events else state.modified_us if state is not None else 0
        return SessionState(
            epoch=self._epoch,
            seq=self._seq,
            created_us=state.created_us if state is not None else at_us,
            modified_us=at_us,
            cells={**(state.cells if state is not None else {}), **written},
            counts=counts,
            due={**(state.due if state is not None else {}), **self._due},
        )

    def summaries(
        self, *, since_us: int | None = None, until_us: int | None = None, uids: Sequence[str] | None = None
    ) -> Iterator[Summary]:
        return self._base.summaries(since_us=since_us, until_us=until_us, uids=uids)

    def events(self, uid: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        stored = self._base.events(uid, after=after, limit=limit)
        if uid != self._uid:
            return stored
        events = [event for event in stored if event.seq <= self.base_seq]
        events += [event for event in self._events if event.seq > after]
        return events if limit is None else events[:limit]

    def new_events(self, after: int = 0) -> list[StoredEvent]:
        """Events of the changes that were tried out here."""
        return [event for event in self._events if event.seq > after]

    def first_event_seq(self, uid: str) -> int | None:
        return self._base.first_event_seq(uid)

    # Changing -----------------------------------------------------------------------------------------------------

    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        if uid != self._uid:
            self._refuse(uid)
        self._fetch(commit.reads, False)
        found = self._some(commit.reads)
        revisions = {name: found[name].revision if name in found else 0 for name in commit.reads}
        if commit.epoch != self._epoch or revisions != commit.reads:
            return Conflict(View(epoch=self._epoch, seq=self._seq, cells=found) if self._epoch else None, 0.0)
        self._epoch = self._epoch or 1
        self._seq += 1
        self._written.update({name: Cell(self._seq, data) for name, data in commit.writes.items()})
        for name, increment in commit.counts.items():
            self._increments[name] = self._increments.get(name, 0) + increment
        for item, change in commit.due.items():
            self._due.pop(item, None)
            if change is not None:
                self._due[item] = DueItem(self.now_us() + round(change[0] * 1e6), change[1])
        self._events.append(StoredEvent(self._seq, commit.at_us, commit.event))
        return Committed(self._epoch, self._seq, commit.at_us)

    def _refuse(self, uid: str) -> NoReturn:
        refuse_in_trial(None, f"session {uid!r} in {self.url}")
        raise StorageError(f"session {uid!r} in {self.url} is only tried out: nothing of it is changed like this")

    def trim_events(self, uid: str, keep: int) -> int:
        self._refuse(uid)

    def due(self, *, limit: int = 1000) -> list[tuple[str, str, DueItem]]:
        return []

    def next_due_us(self) -> int | None:
        return None

    def postpone(self, uid: str, item: str, delay_s: float, *, due_us: int | None = None) -> bool:
        return item in self._due

    def settle(self, uid: str, item: str) -> bool:
        return self._due.pop(item, None) is not None

    def acquire_lock(self, uid: str, token: bytes, lease_s: float) -> float:
        if uid != self._uid:
            self._refuse(uid)
        return 0.0

    def release_lock(self, uid: str, token: bytes) -> bool:
        return True

    def delete(self, uid: str) -> bool:
        self._refuse(uid)

    def clear(self) -> None:
        refuse_in_trial(None, f"every session in {self.url}")
        raise StorageError(f"sessions in {self.url} are only tried out: they are not cleared")

    def now_us(self) -> int:
        return time.time_ns() // 1000
