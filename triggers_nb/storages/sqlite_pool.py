"""Connections to a SQLite file: opened when they are needed, used by one thread at a time, kept for the next one.

SQLite's connections do not survive a fork, and a child that closes an inherited one can damage the file. So before this
process forks, its pools wait until nobody is at work and close their connections; parent and child open new ones.

A file in a directory that this process may not write is read as it stands, without locks: nobody was at work on it when
it was closed, or it would have a write-ahead log beside it. It is opened anew for each transaction.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType
from typing import Final

from triggers_nb.errors import StorageError

#: For how long a change waits for others to finish theirs.
BUSY_TIMEOUT_S: Final = 30.0

#: How often it looks whether they have; SQLite alone would look less and less often, and late comers would win.
BUSY_PAUSE_S: Final = 0.001

#: For how long a fork waits for the other threads of this process.
FORK_TIMEOUT_S: Final = 10.0

#: How often a pool looks whether its file was deleted, or replaced by another one.
LOOK_S: Final = 1.0

#: Marks a file as ours: ``TRIG``.
APPLICATION_ID: Final = 0x54524947

#: Version of the tables; a file of a newer one is refused.
SCHEMA_VERSION: Final = 1

_SCHEMA: Final = (
    # An epoch names one life of a session, and its rows in the other tables. `counts` is a msgpack map.
    """CREATE TABLE session (
        uid TEXT PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, created_us INTEGER NOT NULL,
        modified_us INTEGER NOT NULL, timeout_s REAL, expires_us INTEGER, counts BLOB NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX session_expiry ON session (expires_us) WHERE expires_us IS NOT NULL",
    """CREATE TABLE cell (
        epoch INTEGER, name TEXT, revision INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (epoch, name)
    ) WITHOUT ROWID""",
    """CREATE TABLE event (
        epoch INTEGER, seq INTEGER, at_us INTEGER NOT NULL, commit_id BLOB NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (epoch, seq)
    ) WITHOUT ROWID""",
    """CREATE TABLE due (
        epoch INTEGER, item TEXT, uid TEXT NOT NULL, due_us INTEGER NOT NULL, data BLOB NOT NULL,
        PRIMARY KEY (epoch, item)
    ) WITHOUT ROWID""",
    "CREATE INDEX due_moment ON due (due_us)",
    "CREATE TABLE lock (uid TEXT PRIMARY KEY, token BLOB NOT NULL, until_us INTEGER NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class _Connection(sqlite3.Connection):
    """A connection that knows which file it is to, whatever has that name by now."""

    file: tuple[int, int] | None = None
    #: Whether it reads the file as it stands, without locks: it would not notice changes by others.
    is_immutable = False


class SqlitePool:
    """The connections of this process to one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: Held by the thread of this process that changes something: waiting here is fair, in SQLite it is not.
        self.writing = threading.Lock()
        self._lock = threading.RLock()
        self._gate = threading.Condition(self._lock)
        self._idle: list[_Connection] = []
        self._n_used = 0
        self._is_forking = False
        self._look_at = 0.0
        with _pools_lock:
            _pools.add(self)
        weakref.finalize(self, _close_all, self._idle)

    def take(self) -> _Connection:
        """Return a connection for this thread alone, to be given back.

        Raises
        ------
        StorageError
            If the file cannot be opened, or is not one of ours.
        """
        with self._lock:
            if self._is_forking:
                self._gate.wait_for(lambda: not self._is_forking)
            self._n_used += 1
            if time.monotonic() >= self._look_at:
                self._drop_moved()
            if self._idle:
                return self._idle.pop()
        try:
            return _open(self.path)
        except BaseException as error:
            self.give_back(None)
            if isinstance(error, sqlite3.Error):
                raise explain(error, self.path) from error
            raise

    def give_back(self, connection: _Connection | None) -> None:
        """Keep a connection for whoever needs one next; None if it is of no use any more."""
        with self._lock:
            self._n_used -= 1
            if connection is not None and connection.is_immutable:
                connection.close()
            elif connection is not None:
                self._idle.append(connection)
            if self._is_forking:
                self._gate.notify_all()

    def _drop_moved(self) -> None:
        """Close connections to a file that is not there any more: what they write would be lost."""
        self._look_at = time.monotonic() + LOOK_S
        file = _identify(self.path)
        _close_all([connection for connection in self._idle if connection.file != file])
        self._idle[:] = [connection for connection in self._idle if connection.file == file]

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._lock:
            _close_all(self._idle)

    def before_fork(self) -> None:
        """Wait until no connection is in use, close them, and let nobody take one."""
        self._lock.acquire()
        self._is_forking = True
        self._gate.wait_for(lambda: self._n_used == 0, FORK_TIMEOUT_S)
        _close_all(self._idle)

    def after_fork(self, *, in_child: bool) -> None:
        """Go on."""
        self._is_forking = False
        if in_child and self._n_used:  # by threads that do not exist here
            self._n_used = 0
            self.writing = threading.Lock()
        self._gate.notify_all()
        self._lock.release()


class Transaction:
    """A transaction, entered with ``with``: committed at the end of the block, rolled back by an error."""

    __slots__ = ("_connection", "_pool", "_writes")

    def __init__(self, pool: SqlitePool, *, writes: bool = False) -> None:
        self._pool = pool
        self._writes = writes

    def __enter__(self) -> sqlite3.Connection:
        pool = self._pool
        self._connection = connection = pool.take()
        if self._writes:
            pool.writing.acquire()
        try:
            try:
                self._start(connection)
            except sqlite3.OperationalError as error:
                self._start_later(connection, error)
        except BaseException as error:
            self._leave(error)
            if isinstance(error, sqlite3.Error):
                raise explain(error, pool.path) from error
            raise
        return connection

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except BaseException as failure:
                error = failure
        self._leave(error)
        if isinstance(error, sqlite3.Error):
            raise explain(error, self._pool.path) from error
        if error is not None and kind is None:
            raise error

    def _start(self, connection: sqlite3.Connection) -> None:
        if self._writes:
            connection.execute("BEGIN IMMEDIATE")
        else:
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM session LIMIT 0")  # what may have to wait does so here

    def _start_later(self, connection: sqlite3.Connection, error: sqlite3.OperationalError) -> None:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY and time.monotonic() < deadline:
            if connection.in_transaction:
                connection.rollback()
            try:
                self._start(connection)
            except sqlite3.OperationalError as again:
                error = again
            else:
                return
        raise error

    def _leave(self, error: BaseException | None) -> None:
        connection: _Connection | None = self._connection
        if error is not None and connection is not None and connection.in_transaction:
            try:
                connection.rollback()
            except sqlite3.Error:
                connection.close()
                connection = None
        if self._writes:
            self._pool.writing.release()
        self._pool.give_back(connection)


def explain(error: sqlite3.Error, path: Path) -> StorageError:
    """Build the error that says what SQLite's means, and what to do."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_CANTOPEN:
        hint = "check that its directory exists and that you may read and write there"
    elif code == sqlite3.SQLITE_READONLY:
        hint = "this process may not write it; check the permissions of the file and of its directory"
    elif code == sqlite3.SQLITE_BUSY:
        hint = (
            f"another process has been changing it for more than {BUSY_TIMEOUT_S:.0f} s; look for one that is stopped"
        )
    elif code == sqlite3.SQLITE_FULL:
        hint = "free some space; nothing was written"
    elif code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        hint = "it is no SQLite database, or it is damaged; use another file, or restore this one from a backup"
    else:
        hint = "nothing was written"
    return StorageError(f"{path}: {error}; {hint}")


def _open(path: Path) -> _Connection:
    is_immutable = _is_settled(path)
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro&immutable=1" if is_immutable else path,
        uri=is_immutable,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        factory=_Connection,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("BEGIN")  # another process may be making the tables just now
        version = _check_version(connection, path)
        connection.execute("COMMIT")
        if is_immutable and version == 0:
            raise StorageError(f"{path} holds no sessions, and none can be written: {path.parent} is not writable")
        if not is_immutable:
            _set_wal(connection, path)
            if version == 0:
                _create_tables(connection, path)
        connection.is_immutable = is_immutable
        connection.execute(f"PRAGMA busy_timeout = {BUSY_PAUSE_S * 1000:.0f}")
        connection.file = _identify(path)
    except BaseException:
        connection.close()
        raise
    return connection


def _is_settled(path: Path) -> bool:
    """Tell whether this process can only read a file, and all of its content is in it."""
    log = path.with_name(path.name + "-wal")
    return path.is_file() and not os.access(path.parent, os.W_OK) and not log.exists()


def _check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the version of the tables, 0 for an empty file."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application_id == APPLICATION_ID and version > SCHEMA_VERSION:
        raise StorageError(
            f"{path} was written by a newer version (tables {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade triggers-nb, or use another file"
        )
    if (n_tables or version) and application_id != APPLICATION_ID:
        raise StorageError(f"{path} is the database of another application; expected a file of our own, or none")
    return int(version)


def _set_wal(connection: sqlite3.Connection, path: Path) -> None:
    # The first change to this mode does not wait for other processes that try the same.
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
    if mode != "wal":
        raise StorageError(f"{path}: this file system cannot hold a SQLite write-ahead log; use a local disk")
    connection.execute("PRAGMA synchronous = NORMAL")


def _create_tables(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    if _check_version(connection, path) == 0:
        for statement in _SCHEMA:
            connection.execute(statement)
    connection.execute("COMMIT")


def _identify(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _close_all(connections: list[_Connection]) -> None:
    while connections:
        connections.pop().close()


_pools: Final[weakref.WeakSet[SqlitePool]] = weakref.WeakSet()
_pools_lock = threading.Lock()
_forking: list[SqlitePool] = []


def _before_fork() -> None:
    _pools_lock.acquire()
    _forking.extend(_pools)
    for pool in _forking:
        pool.before_fork()


def _after_fork(*, in_child: bool) -> None:
    while _forking:
        _forking.pop().after_fork(in_child=in_child)
    _pools_lock.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(in_child=False),
    after_in_child=lambda: _after_fork(in_child=True),
)
