"""Sessions in the memory of one process: for tests, and for looking at changes that are never made."""

# ruff: noqa: D102  (what the methods do is told by `Store`)

from __future__ import annotations

import secrets
import threading
import time
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Generic, TypeVar

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

K = TypeVar("K")

_named: Final[dict[str, MemoryStore]] = {}


def open_memory(name: str) -> MemoryStore:
    """Return this process's store of that name, which lives as long as the process."""
    return _named.get(name) or _named.setdefault(name, MemoryStore(name))


class MemoryStore(Store):
    """A store in memory. Without a name it belongs to whoever made it, and no URL opens it.

    Examples
    --------
    >>> store = MemoryStore()
    >>> store.commit("order-17", Commit(commit_id=b"1" * 16, epoch=0, base_seq=0, reads={}, writes={"head": b"x"},
    ...                                 counts={}, due={}, event=b"", at_us=1)).seq
    1
    >>> store.read("order-17", ["head"]).cells
    {'head': Cell(revision=1, data=b'x')}
    """

    embedded = True

    def __init__(self, name: str = "") -> None:
        self.url = self.storage_id = f"memory://{name}"
        self._changed = threading.Condition()
        self._sessions: dict[str, _Session] = {}
        self._locks: dict[str, tuple[bytes, int]] = {}
        self._due: _Agenda[tuple[str, str]] = _Agenda()
        self._expiry: _Agenda[str] = _Agenda()

    def load(self, uid: str, state: SessionState, events: Iterable[StoredEvent] = ()) -> None:
        """Put a session as it was somewhere else, in place of the one of that UID."""
        with self._changed:
            self._forget(uid)
            session = self._sessions[uid] = _Session(state.epoch, state.created_us)
            session.seq, session.modified_us = state.seq, state.modified_us
            session.cells, session.counts = dict(state.cells), dict(state.counts)
            session.events = list(events)
            for item, due in state.due.items():
                self._put_due(uid, session, item, due)
            self._changed.notify_all()

    # Reading ------------------------------------------------------------------------------------------------------

    def read(self, uid: str, names: Iterable[str], *, follow: bool = True) -> View | None:
        with self._changed:
            session = self._find(uid)
            if session is None:
                return None
            asked = set(names)
            cells = fresh = session.some(asked)
            for _ in range(LINK_STEPS if follow else 0):
                fresh = session.some(missing_links(fresh, asked))
                asked.update(fresh)
                cells = {**cells, **fresh}
            return View(epoch=session.epoch, seq=session.seq, cells=cells)

    def counts(self, uid: str) -> dict[str, int] | None:
        with self._changed:
            session = self._find(uid)
            return None if session is None else dict(session.counts)

    def state(self, uid: str) -> SessionState | None:
        return next(self.states([uid]))[1]

    def states(self, uids: Sequence[str], prefixes: Sequence[str] = ()) -> Iterator[tuple[str, SessionState | None]]:
        for uid in uids:
            with self._changed:
                session = self._find(uid)
                state = None if session is None else session.state(tuple(prefixes))
            yield uid, state

    def summaries(
        self, *, since_us: int | None = None, until_us: int | None = None, uids: Sequence[str] | None = None
    ) -> Iterator[Summary]:
        for uid in self._listed() if uids is None else uids:
            with self._changed:
                session = self._find(uid)
                found = None if session is None else session.summary(uid)
            if found is None or (since_us is not None and found.modified_us < since_us):
                continue
            if until_us is None or found.modified_us < until_us:
                yield found

    def _listed(self) -> list[str]:
        with self._changed:
            keys = sorted((-session.modified_us, uid) for uid, session in self._sessions.items())
        return [uid for _, uid in keys]

    # Changing -----------------------------------------------------------------------------------------------------

    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        with self._changed:
            self._purge()
            session = self._find(uid)
            if session is not None and commit.commit_id in session.applied:
                return session.applied[commit.commit_id]
            locked_s = self._locked_s(uid, commit.lock)
            if locked_s or _is_stale(session, commit):
                view = None
                if session is not None:
                    view = View(epoch=session.epoch, seq=session.seq, cells=session.some(commit.reads))
                return Conflict(view, locked_s)
            if session is None:
                session = self._sessions[uid] = _Session(secrets.randbits(62) + 1, commit.at_us)
            committed = session.apply(commit)
            self._apply_due(uid, session, commit.due)
            self._schedule_expiry(uid, session)
            self._changed.notify_all()
            return committed

    def _apply_due(self, uid: str, session: _Session, changes: Mapping[str, tuple[float, bytes] | None]) -> None:
        now_us = self.now_us()
        for item, change in changes.items():
            if change is None:
                self._drop_due(uid, session, item)
            else:
                self._put_due(uid, session, item, DueItem(now_us + round(change[0] * 1e6), change[1]))

    def _schedule_expiry(self, uid: str, session: _Session) -> None:
        if session.timeout_s is None or session.due or session.counts.get("unresolved"):
            self._expiry.drop(uid)
        else:
            self._expiry.put(uid, self.now_us() + round(session.timeout_s * 1e6))

    def _find(self, uid: str) -> _Session | None:
        expires_us = self._expiry.moment(uid)
        if expires_us is not None and expires_us <= self.now_us():
            self._forget(uid)
        return self._sessions.get(uid)

    def _purge(self) -> None:
        now_us = self.now_us()
        for uid in self._expiry.until(now_us):
            self._forget(uid)
        self._locks = {uid: lock for uid, lock in self._locks.items() if lock[1] > now_us}

    def _forget(self, uid: str) -> bool:
        session = self._sessions.pop(uid, None)
        self._expiry.drop(uid)
        for item in session.due if session is not None else ():
            self._due.drop((uid, item))
        return session is not None

    def delete(self, uid: str) -> bool:
        with self._changed:
            existed = self._find(uid) is not None
            self._locks.pop(uid, None)
            return self._forget(uid) and existed

    def clear(self) -> None:
        with self._changed:
            self._sessions, self._locks, self._due, self._expiry = {}, {}, _Agenda(), _Agenda()

    # Events -------------------------------------------------------------------------------------------------------

    def events(self, uid: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        with self._changed:
            session = self._find(uid)
            if session is None:
                return []
            start = bisect_right(session.events, after, key=lambda event: event.seq)
            return session.events[start : None if limit is None else start + limit]

    def first_event_seq(self, uid: str) -> int | None:
        with self._changed:
            session = self._find(uid)
            if session is None:
                return None
            return session.events[0].seq if session.events else session.seq + 1

    def trim_events(self, uid: str, keep: int) -> int:
        with self._changed:
            session = self._find(uid)
            return 0 if session is None else session.trim(keep)

    def wait_for_events(self, uids: Mapping[str, int], timeout_s: float) -> set[str]:
        def changed() -> set[str]:
            found = ((uid, self._find(uid)) for uid in uids)
            return {uid for uid, session in found if session is not None and session.seq > uids[uid]}

        with self._changed:
            self._changed.wait_for(changed, timeout_s)
            return changed()

    # Due items ----------------------------------------------------------------------------------------------------

    def due(self, *, limit: int = 1000) -> list[tuple[str, str, DueItem]]:
        with self._changed:
            keys = self._due.until(self.now_us(), limit)
            return [(uid, item, self._sessions[uid].due[item]) for uid, item in keys]

    def next_due_us(self) -> int | None:
        with self._changed:
            return self._due.first()

    def postpone(self, uid: str, item: str, delay_s: float, *, due_us: int | None = None) -> bool:
        with self._changed:
            session = self._sessions.get(uid)
            found = None if session is None else session.due.get(item)
            if session is None or found is None or due_us not in (None, found.due_us):
                return False
            moment = self.now_us() + round(delay_s * 1e6)
            self._put_due(uid, session, item, DueItem(moment + (moment == due_us), found.data))
            return True

    def settle(self, uid: str, item: str) -> bool:
        with self._changed:
            session = self._sessions.get(uid)
            if session is None or item not in session.due:
                return False
            self._drop_due(uid, session, item)
            self._schedule_expiry(uid, session)
            return True

    def _put_due(self, uid: str, session: _Session, item: str, due: DueItem) -> None:
        session.due[item] = due
        self._due.put((uid, item), due.due_us)

    def _drop_due(self, uid: str, session: _Session, item: str) -> None:
        session.due.pop(item, None)
        self._due.drop((uid, item))

    # Locks --------------------------------------------------------------------------------------------------------

    def acquire_lock(self, uid: str, token: bytes, lease_s: float) -> float:
        with self._changed:
            locked_s = self._locked_s(uid, token)
            if not locked_s:
                self._locks[uid] = (token, self.now_us() + round(lease_s * 1e6))
            return locked_s

    def release_lock(self, uid: str, token: bytes) -> bool:
        with self._changed:
            holder, until_us = self._locks.get(uid, (b"", 0))
            if holder != token:
                return False
            del self._locks[uid]
            return until_us > self.now_us()

    def _locked_s(self, uid: str, token: bytes) -> float:
        holder, until_us = self._locks.get(uid, (token, 0))
        return 0.0 if holder == token else max(until_us - self.now_us(), 0) / 1e6

    def now_us(self) -> int:
        return time.time_ns() // 1000


def _is_stale(session: _Session | None, commit: Commit) -> bool:
    if session is None:
        return commit.epoch != 0 or any(commit.reads.values())
    if session.epoch != commit.epoch:
        return True
    absent = Cell(0, b"")
    return any(session.cells.get(name, absent).revision != revision for name, revision in commit.reads.items())


class _Session:
    """A session that can be changed; its store's lock guards it."""

    def __init__(self, epoch: int, created_us: int) -> None:
        self.epoch = epoch
        self.seq = 0
        self.created_us = self.modified_us = created_us
        self.timeout_s: float | None = None
        self.cells: dict[str, Cell] = {}
        self.counts: dict[str, int] = {}
        self.due: dict[str, DueItem] = {}
        self.events: list[StoredEvent] = []
        #: What was answered to each commit whose event is kept.
        self.applied: dict[bytes, Committed] = {}

    def some(self, names: Iterable[str]) -> dict[str, Cell]:
        cells = self.cells
        return {name: cells[name] for name in names if name in cells}

    def state(self, prefixes: tuple[str, ...]) -> SessionState:
        cells = self.cells.items()
        return SessionState(
            epoch=self.epoch,
            seq=self.seq,
            created_us=self.created_us,
            modified_us=self.modified_us,
            cells={name: cell for name, cell in cells if name.startswith(prefixes)} if prefixes else dict(cells),
            counts=dict(self.counts),
            due=dict(self.due),
        )

    def summary(self, uid: str) -> Summary:
        head = self.cells.get("head")
        return Summary(
            uid=uid,
            epoch=self.epoch,
            seq=self.seq,
            created_us=self.created_us,
            modified_us=self.modified_us,
            counts=dict(self.counts),
            head=b"" if head is None else head.data,
        )

    def apply(self, commit: Commit) -> Committed:
        """Write all of a commit but its due items."""
        self.seq += 1
        self.modified_us = max(self.modified_us, commit.at_us)
        self.timeout_s = commit.timeout_s
        for name, data in commit.writes.items():
            self.cells[name] = Cell(self.seq, data)
        for name, increment in commit.counts.items():
            self.counts[name] = self.counts.get(name, 0) + increment
        self.events.append(StoredEvent(self.seq, self.modified_us, commit.event))
        self.applied[commit.commit_id] = Committed(self.epoch, self.seq, self.modified_us)
        return self.applied[commit.commit_id]

    def trim(self, keep: int) -> int:
        n_trimmed = max(len(self.events) - keep, 0)
        del self.events[:n_trimmed]
        oldest = self.events[0].seq if self.events else self.seq + 1
        self.applied = {key: answer for key, answer in self.applied.items() if answer.seq >= oldest}
        return n_trimmed


class _Agenda(Generic[K]):
    """Keys by moment."""

    def __init__(self) -> None:
        self._moments: dict[K, int] = {}
        self._sorted: list[tuple[int, K]] = []

    def moment(self, key: K) -> int | None:
        return self._moments.get(key)

    def put(self, key: K, moment: int) -> None:
        self.drop(key)
        self._moments[key] = moment
        insort(self._sorted, (moment, key))

    def drop(self, key: K) -> None:
        moment = self._moments.pop(key, None)
        if moment is not None:
            del self._sorted[bisect_left(self._sorted, (moment, key))]

    def until(self, moment: int, limit: int | None = None) -> list[K]:
        """Keys whose moment is not later than this one, earliest first."""
        stop = bisect_right(self._sorted, moment, key=lambda entry: entry[0])
        return [key for _, key in self._sorted[:stop][:limit]]

    def first(self) -> int | None:
        """Return the earliest moment."""
        return self._sorted[0][0] if self._sorted else None
