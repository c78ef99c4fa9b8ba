"""Sessions in a SQLite file, for several processes of one machine at once."""

# ruff: noqa: D102  (what the methods do is told by `Store`)

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from sqlite3 import Connection
from typing import Final, NamedTuple

import msgspec

from triggers_nb.errors import StorageUrlError
from triggers_nb.storages.sqlite_pool import SqlitePool, Transaction
from triggers_nb.storages.sqlite_rows import (
    CHUNK,
    LIVE,
    decode_counts,
    in_batches,
    read_cells,
    read_states,
    read_summaries,
    select_cells,
)
from triggers_nb.storages.store import (
    LINK_STEPS,
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

#: How many sessions are read in one transaction.
STATES_BATCH: Final = 32
#: How many sessions are listed in one transaction.
SUMMARIES_BATCH: Final = 500
#: How many expired sessions a commit removes at most.
PURGE_BATCH: Final = 20

_encode_counts = msgspec.msgpack.Encoder().encode

_PUT_SESSION: Final = "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_PUT_CELL: Final = "INSERT OR REPLACE INTO cell VALUES (?, ?, ?, ?)"
_PUT_DUE: Final = "INSERT OR REPLACE INTO due VALUES (?, ?, ?, ?, ?)"
_DROP_DUE: Final = "DELETE FROM due WHERE epoch = ? AND item = ?"
#: One row, whether the session exists or not.
_FOR_COMMIT: Final = """
    SELECT s.epoch, s.seq, s.created_us, s.modified_us, s.expires_us, s.counts, l.token, l.until_us,
        (SELECT min(expires_us) FROM session WHERE expires_us IS NOT NULL), (SELECT min(until_us) FROM lock)
    FROM (SELECT ? AS uid) q LEFT JOIN session s ON s.uid = q.uid LEFT JOIN lock l ON l.uid = q.uid"""


class SqliteStore(Store):
    """A store in a SQLite file, which is made when it is first used.

    A file in a directory that is not writable, or on a read-only file system, can be read if it was closed cleanly
    (no ``-wal`` file is beside it). It is read without locks (``mode=ro&immutable=1``), so nobody may change it
    meanwhile; changes through this store are refused.

    Parameters
    ----------
    path : str or path
        The file; relative to the working directory of now.

    Raises
    ------
    StorageUrlError
        If there can be no file of that name.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as directory:
    ...     store = SqliteStore(directory + "/sessions.db")
    ...     print(store.commit("order-17", Commit(commit_id=b"1" * 16, epoch=0, base_seq=0, reads={},
    ...                        writes={"head": b"x"}, counts={}, due={}, event=b"", at_us=1)).seq)
    ...     print(store.read("order-17", ["head"]).cells)
    ...     store.close()
    1
    {'head': Cell(revision=1, data=b'x')}
    """

    embedded = True

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path).resolve()
        self.url = self.storage_id = f"sqlite:///{self.path}"
        if not self.path.parent.is_dir():
            raise StorageUrlError(f"{self.url}: there is no directory {self.path.parent}; make it, or use another path")
        if self.path.is_dir():
            raise StorageUrlError(f"{self.url}: this is a directory; expected the path of a file in it")
        self._pool = SqlitePool(self.path)

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def close(self) -> None:
        self._pool.close()

    # Reading ------------------------------------------------------------------------------------------------------

    def read(self, uid: str, names: Iterable[str], *, follow: bool = True) -> View | None:
        with Transaction(self._pool) as db:
            return self._read(db, uid, set(names), LINK_STEPS if follow else 0)

    def read_many(self, names: Mapping[str, Sequence[str]]) -> dict[str, View | None]:
        views: dict[str, View | None] = {}
        for batch in in_batches(list(names), STATES_BATCH):
            with Transaction(self._pool) as db:
                views.update((uid, self._read(db, uid, set(names[uid]), 0)) for uid in batch)
        return views

    def _read(self, db: Connection, uid: str, asked: set[str], steps: int) -> View | None:
        found = db.execute(f"SELECT epoch, seq FROM session WHERE uid = ? AND {LIVE}", (uid, self.now_us())).fetchone()
        if found is None:
            return None
        epoch, seq = found
        cells = fresh = read_cells(db, epoch, asked)
        for _ in range(steps):
            links = missing_links(fresh, asked)
            if not links:
                break
            asked.update(links)
            fresh = read_cells(db, epoch, links)
            cells = {**cells, **fresh}
        return View(epoch=epoch, seq=seq, cells=cells)

    def counts(self, uid: str) -> dict[str, int] | None:
        with Transaction(self._pool) as db:
            found = db.execute(f"SELECT counts FROM session WHERE uid = ? AND {LIVE}", (uid, self.now_us())).fetchone()
        return None if found is None else decode_counts(uid, found[0])

    def state(self, uid: str) -> SessionState | None:
        return next(self.states([uid]))[1]

    def states(self, uids: Sequence[str], prefixes: Sequence[str] = ()) -> Iterator[tuple[str, SessionState | None]]:
        for batch in in_batches(uids, STATES_BATCH):
            with Transaction(self._pool) as db:
                states = read_states(db, batch, tuple(prefixes), self.now_us())
            for uid in batch:
                yield uid, states.get(uid)

    def summaries(
        self, *, since_us: int | None = None, until_us: int | None = None, uids: Sequence[str] | None = None
    ) -> Iterator[Summary]:
        span = _span(since_us, until_us)
        for batch in in_batches(self._listed(*span) if uids is None else uids, SUMMARIES_BATCH):
            with Transaction(self._pool) as db:
                found = read_summaries(db, batch, self.now_us())
            for uid in batch:
                if uid in found and span[0] <= found[uid].modified_us < span[1]:
                    yield found[uid]

    def uids(self, *, since_us: int | None = None, until_us: int | None = None) -> list[str]:
        return self._listed(*_span(since_us, until_us))

    def _listed(self, since_us: int, until_us: int) -> list[str]:
        statement = f"""SELECT uid FROM session WHERE modified_us >= ? AND modified_us < ? AND {LIVE}
            ORDER BY modified_us DESC, uid"""
        with Transaction(self._pool) as db:
            return [uid for (uid,) in db.execute(statement, (since_us, until_us, self.now_us()))]

    # Changing -----------------------------------------------------------------------------------------------------

    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        with Transaction(self._pool, writes=True) as db:
            now_us = self.now_us()
            session, locked_s = _read_for_commit(db, uid, commit.lock, now_us)
            stale = _is_stale(db, session, commit)
            # A commit that was applied and wrote what it had read is stale by now: only others have to be looked for.
            if session is not None and (stale or commit.reads.keys().isdisjoint(commit.writes)):
                applied = _find_applied(db, session.epoch, commit)
                if applied is not None:
                    return applied
            if stale or locked_s:
                return Conflict(None if session is None else _view(db, session, commit.reads), locked_s)
            return _apply(db, uid, session, commit, now_us)

    def delete(self, uid: str) -> bool:
        with Transaction(self._pool, writes=True) as db:
            db.execute("DELETE FROM lock WHERE uid = ?", (uid,))
            found = db.execute("SELECT epoch, expires_us FROM session WHERE uid = ?", (uid,)).fetchone()
            if found is None:
                return False
            _forget(db, [(uid, found[0])])
            return found[1] is None or found[1] > self.now_us()

    def clear(self) -> None:
        with Transaction(self._pool, writes=True) as db:
            for table in ("session", "cell", "event", "due", "lock"):
                db.execute(f"DELETE FROM {table}")

    # Events -------------------------------------------------------------------------------------------------------

    def events(self, uid: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        statement = f"""SELECT e.seq, e.at_us, e.data FROM session s JOIN event e ON e.epoch = s.epoch
            WHERE s.uid = ? AND {LIVE} AND e.seq > ? ORDER BY e.seq LIMIT ?"""
        with Transaction(self._pool) as db:
            rows = db.execute(statement, (uid, self.now_us(), after, -1 if limit is None else limit))
            return [StoredEvent(*row) for row in rows]

    def first_event_seq(self, uid: str) -> int | None:
        statement = f"""SELECT coalesce((SELECT min(seq) FROM event WHERE epoch = s.epoch), seq + 1)
            FROM session s WHERE uid = ? AND {LIVE}"""
        with Transaction(self._pool) as db:
            found = db.execute(statement, (uid, self.now_us())).fetchone()
        return None if found is None else int(found[0])

    def trim_events(self, uid: str, keep: int) -> int:
        statement = f"""DELETE FROM event WHERE epoch = (SELECT epoch FROM session WHERE uid = ? AND {LIVE})
            AND seq <= (SELECT seq FROM session WHERE uid = ?) - ?"""
        with Transaction(self._pool, writes=True) as db:
            return db.execute(statement, (uid, self.now_us(), uid, keep)).rowcount

    # Due items ----------------------------------------------------------------------------------------------------

    def due(self, *, limit: int = 1000) -> list[tuple[str, str, DueItem]]:
        statement = "SELECT uid, item, due_us, data FROM due WHERE due_us <= ? ORDER BY due_us, uid, item LIMIT ?"
        with Transaction(self._pool) as db:
            rows = db.execute(statement, (self.now_us(), limit))
            return [(uid, item, DueItem(due_us, data)) for uid, item, due_us, data in rows]

    def next_due_us(self) -> int | None:
        with Transaction(self._pool) as db:
            (found,) = db.execute("SELECT min(due_us) FROM due").fetchone()
        return None if found is None else int(found)

    def postpone(self, uid: str, item: str, delay_s: float, *, due_us: int | None = None) -> bool:
        statement = """UPDATE due SET due_us = ? WHERE epoch = (SELECT epoch FROM session WHERE uid = ?) AND item = ?
            AND due_us = ifnull(?, due_us)"""
        with Transaction(self._pool, writes=True) as db:
            moment = self.now_us() + _microseconds(delay_s)
            moment += moment == due_us  # it must be another one: who saw the old one has lost
            return db.execute(statement, (moment, uid, item, due_us)).rowcount > 0

    def settle(self, uid: str, item: str) -> bool:
        with Transaction(self._pool, writes=True) as db:
            found = db.execute("SELECT epoch, timeout_s, counts FROM session WHERE uid = ?", (uid,)).fetchone()
            if found is None or not db.execute(_DROP_DUE, (found[0], item)).rowcount:
                return False
            expires_us = _expiry(db, found[0], found[1], decode_counts(uid, found[2]), self.now_us())
            if expires_us is not None:
                db.execute("UPDATE session SET expires_us = ? WHERE uid = ?", (expires_us, uid))
            return True

    # Locks --------------------------------------------------------------------------------------------------------

    def acquire_lock(self, uid: str, token: bytes, lease_s: float) -> float:
        with Transaction(self._pool, writes=True) as db:
            now_us = self.now_us()
            found = db.execute("SELECT until_us FROM lock WHERE uid = ? AND token != ?", (uid, token)).fetchone()
            if found is not None and found[0] > now_us:
                return float(found[0] - now_us) / 1e6
            db.execute("INSERT OR REPLACE INTO lock VALUES (?, ?, ?)", (uid, token, now_us + _microseconds(lease_s)))
            return 0.0

    def release_lock(self, uid: str, token: bytes) -> bool:
        with Transaction(self._pool, writes=True) as db:
            found = db.execute("SELECT until_us FROM lock WHERE uid = ? AND token = ?", (uid, token)).fetchone()
            if found is not None:
                db.execute("DELETE FROM lock WHERE uid = ?", (uid,))
            return found is not None and found[0] > self.now_us()


class _Row(NamedTuple):
    """A session as a commit finds it."""

    epoch: int
    seq: int
    created_us: int
    modified_us: int
    expires_us: int | None
    counts: bytes


def _read_for_commit(db: Connection, uid: str, token: bytes, now_us: int) -> tuple[_Row | None, float]:
    """Return the session, and for how long somebody else's lock stands; remove what has run out."""
    *columns, holder, until_us, first_expiry_us, first_lease_us = db.execute(_FOR_COMMIT, (uid,)).fetchone()
    session = None if columns[0] is None else _Row(*columns)
    if first_lease_us is not None and first_lease_us <= now_us:
        db.execute("DELETE FROM lock WHERE until_us <= ?", (now_us,))
    if first_expiry_us is not None and first_expiry_us <= now_us:
        session = _purge(db, uid, session, now_us)
    is_locked = holder is not None and holder != token and until_us > now_us
    return session, (until_us - now_us) / 1e6 if is_locked else 0.0


def _purge(db: Connection, uid: str, session: _Row | None, now_us: int) -> _Row | None:
    """Remove some expired sessions, this one among them if it has; return what is left of it."""
    expired = db.execute(
        "SELECT uid, epoch FROM session WHERE expires_us <= ? LIMIT ?", (now_us, PURGE_BATCH)
    ).fetchall()
    if session is not None and session.expires_us is not None and session.expires_us <= now_us:
        expired.append((uid, session.epoch))
        session = None
    _forget(db, expired)
    return session


def _is_stale(db: Connection, session: _Row | None, commit: Commit) -> bool:
    if session is None:
        return commit.epoch != 0 or any(commit.reads.values())
    if session.epoch != commit.epoch:
        return True
    if commit.is_current and session.seq == commit.base_seq:
        return False
    found: dict[str, int] = {}
    for names in in_batches(commit.reads, CHUNK):
        found.update(db.execute(select_cells("name, revision", len(names)), (session.epoch, *names)).fetchall())
    return found != {name: revision for name, revision in commit.reads.items() if revision}


def _find_applied(db: Connection, epoch: int, commit: Commit) -> Committed | None:
    statement = "SELECT seq, at_us FROM event WHERE epoch = ? AND seq > ? AND commit_id = ?"
    found = db.execute(statement, (epoch, commit.base_seq, commit.commit_id)).fetchone()
    return None if found is None else Committed(epoch, *found)


def _apply(db: Connection, uid: str, session: _Row | None, commit: Commit, now_us: int) -> Committed:
    if session is None:
        session = _Row(secrets.randbits(62) + 1, 0, commit.at_us, commit.at_us, None, _encode_counts({}))
    epoch, seq, at_us = session.epoch, session.seq + 1, max(session.modified_us, commit.at_us)
    db.executemany(_PUT_CELL, [(epoch, name, seq, data) for name, data in commit.writes.items()])
    if commit.due:
        _apply_due(db, uid, epoch, commit.due, now_us)
    db.execute("INSERT INTO event VALUES (?, ?, ?, ?, ?)", (epoch, seq, at_us, commit.commit_id, commit.event))
    counts = decode_counts(uid, session.counts)
    for name, increment in commit.counts.items():
        counts[name] = counts.get(name, 0) + increment
    expires_us = _expiry(db, epoch, commit.timeout_s, counts, now_us)
    row = (uid, epoch, seq, session.created_us, at_us, commit.timeout_s, expires_us, _encode_counts(counts))
    db.execute(_PUT_SESSION, row)
    return Committed(epoch, seq, at_us)


def _apply_due(
    db: Connection, uid: str, epoch: int, changes: Mapping[str, tuple[float, bytes] | None], now_us: int
) -> None:
    dropped, put = [], []
    for item, change in changes.items():
        if change is None:
            dropped.append((epoch, item))
        else:
            put.append((epoch, item, uid, now_us + _microseconds(change[0]), change[1]))
    if dropped:
        db.executemany(_DROP_DUE, dropped)
    if put:
        db.executemany(_PUT_DUE, put)


def _expiry(db: Connection, epoch: int, timeout_s: float | None, counts: Mapping[str, int], now_us: int) -> int | None:
    if timeout_s is None or counts.get("unresolved"):
        return None
    is_pending = db.execute("SELECT 1 FROM due WHERE epoch = ? LIMIT 1", (epoch,)).fetchone()
    return None if is_pending else now_us + _microseconds(timeout_s)


def _forget(db: Connection, sessions: Sequence[tuple[str, int]]) -> None:
    for uid, epoch in sessions:
        db.execute("DELETE FROM session WHERE uid = ?", (uid,))
        for table in ("cell", "event", "due"):
            db.execute(f"DELETE FROM {table} WHERE epoch = ?", (epoch,))


def _view(db: Connection, session: _Row, names: Collection[str]) -> View:
    return View(epoch=session.epoch, seq=session.seq, cells=read_cells(db, session.epoch, names))


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


def _span(since_us: int | None, until_us: int | None) -> tuple[int, int]:
    return (-(2**63) if since_us is None else since_us, 2**63 - 1 if until_us is None else until_us)
