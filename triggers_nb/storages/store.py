"""The contract of a store: where sessions are kept, and how a change is committed.

A store knows nothing of tasks and triggers. It keeps, for each session (named by its UID):

- **cells**: name → bytes, each with the *revision* (the session's sequence number) of the commit that wrote it;
- **counts**: name → integer, changed by increments that never conflict;
- **due items**: name → moment and bytes; what has to be looked at when that moment has come (a hand-over that nobody
  has claimed, a lease that has run out, a hook that has not been run). They belong to no revision;
- **events**: one for each commit;
- a random **epoch** (another one if the session is deleted and made again), the sequence number of the last commit,
  the moments of the first and the last one, a **lock** that may stand.

`commit` is atomic: all or nothing, for every reader, whatever dies meanwhile.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, NamedTuple

import msgspec

from triggers_nb.core.records import links_of
from triggers_nb.errors import StorageError
from triggers_nb.storages.trials import refuse_in_trial, refuse_writes_in_trial

#: How many steps `Store.read` follows links.
LINK_STEPS: Final = 2

#: Shortest pause between two looks for new events, where a store has to be polled.
POLL_S: Final = 0.05


class Cell(NamedTuple):
    """A cell's bytes and the revision of the commit that wrote them."""

    revision: int
    data: bytes


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Some cells of a session, all at one moment."""

    #: Random number of this life of the session; positive.
    epoch: int
    #: Sequence number of the last commit.
    seq: int
    #: The cells that were asked for and are there.
    cells: dict[str, Cell]


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """All of a session at one moment."""

    epoch: int
    seq: int
    created_us: int
    modified_us: int
    cells: dict[str, Cell]
    counts: dict[str, int]
    due: dict[str, DueItem]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing says of a session, without reading any instance."""

    uid: str
    epoch: int
    seq: int
    created_us: int
    modified_us: int
    counts: dict[str, int]
    #: The bytes of the cell ``head``.
    head: bytes


class DueItem(NamedTuple):
    """Something to be looked at when its moment has come."""

    #: Microseconds since 1970 by the store's clock.
    due_us: int
    data: bytes


class StoredEvent(NamedTuple):
    """An event as it is kept."""

    seq: int
    #: Microseconds since 1970; never less than the one before.
    at_us: int
    data: bytes


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """A change to be committed as one."""

    #: 16 random bytes: the same commit is never applied twice.
    commit_id: bytes
    #: The session's epoch when it was read; 0 if it did not exist.
    epoch: int
    #: Sequence number of the session when the writer last looked, before it sent this for the first time: a commit
    #: whose answer was lost is looked for after it. `reads` may be older.
    base_seq: int
    #: Revision of every cell that the decision rests on; 0 for one that was not there.
    reads: dict[str, int]
    #: New bytes of cells. Nothing else is written.
    writes: dict[str, bytes]
    #: Increments of counts. An increment of 0 makes a count exist.
    counts: dict[str, int]
    #: Due items: seconds from now and bytes, or None to remove it. Removing one that is not there is fine.
    due: dict[str, tuple[float, bytes] | None]
    #: The encoded event.
    event: bytes
    #: The writer's clock; the event's moment is this or that of the event before, whichever is later.
    at_us: int
    #: Seconds after its last change at which the session expires (None: never), applied only while the count
    #: ``unresolved`` is 0 (or does not exist) and there is no due item; any later change starts it anew, or stops it.
    #: Settling the last due item starts it, too.
    timeout_s: float | None = None
    #: Whether all `reads` are known to be what the session had at `base_seq`: while it still is there, a store may do
    #: without comparing them.
    is_current: bool = False
    #: Token of the session's lock, if the writer holds it. A token that is not needed (any more) does no harm.
    lock: bytes = b""


class Committed(NamedTuple):
    """A commit that was applied."""

    epoch: int
    seq: int
    at_us: int


class Conflict(NamedTuple):
    """A commit that was refused: nothing was written.

    `view` holds the current cells among those that the commit read (all of them, or at least every one that differs);
    it is None if the session does not exist now. `locked_s`: somebody else's lock stands for that many seconds at most,
    else 0.
    """

    view: View | None
    locked_s: float


class Store(ABC):
    """Base of all stores. One object serves all threads of a process; a forked child opens its own connections."""

    #: Whether it belongs to this machine (or process) alone: work on it can only run in threads.
    embedded: ClassVar[bool]

    #: How it can be shown: an absolute URL without credentials.
    url: str

    #: Identifies what is stored: the same in every process, however its URL is spelled. Without credentials.
    storage_id: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        refuse_writes_in_trial(cls)

    def refuse_changes(self) -> None:
        """Raise if nothing may be changed here: through a handle that may not, or while something is tried out.

        All methods that change something do so.
        """
        refuse_in_trial(self, f"every session in {self.url}")

    @abstractmethod
    def read(self, uid: str, names: Iterable[str], *, follow: bool = True) -> View | None:
        """Read cells at one moment, in one trip.

        With `follow`, cells that ``links_of`` a cell that was asked for names are read, too, and the links of those
        (two steps, no further). None if the session does not exist (or has expired).
        """

    @abstractmethod
    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        """Apply a commit, or refuse it whole.

        Refused when: the epoch differs (0: the session exists; positive: it is another, or gone), a cell that was read
        has another revision now, or a lock with another token stands. If a commit of the same id was applied already
        to this life of the session, and its event is kept, the answer is what it was then, whatever holds now. A lock
        whose lease has run out is removed. Each commit that is applied gets the next sequence number and appends an
        event, also one that writes nothing.

        Raises
        ------
        StorageError
            If the store does not work. Whether the commit was applied is then unknown: the same one may be sent again.
        """

    def read_many(self, names: Mapping[str, Sequence[str]]) -> dict[str, View | None]:
        """Read cells of many sessions, by UID; each session at one moment, links not followed."""
        return {uid: self.read(uid, wanted, follow=False) for uid, wanted in names.items()}

    @abstractmethod
    def counts(self, uid: str) -> dict[str, int] | None:
        """All counts of a session, None if it does not exist."""

    @abstractmethod
    def state(self, uid: str) -> SessionState | None:
        """All of a session at one moment, None if it does not exist."""

    @abstractmethod
    def states(self, uids: Sequence[str], prefixes: Sequence[str] = ()) -> Iterator[tuple[str, SessionState | None]]:
        """All of many sessions, each at one moment, in the order given, a bounded number of them at a time.

        With `prefixes`, only cells whose names begin with one of them (``due`` and ``counts`` are always there).
        """

    @abstractmethod
    def summaries(
        self, *, since_us: int | None = None, until_us: int | None = None, uids: Sequence[str] | None = None
    ) -> Iterator[Summary]:
        """Sessions, last changed first (ties: by UID), that changed within ``since_us <= modified_us < until_us``.

        With `uids`, those of them that exist, in the order given. No instance is read; a bounded number at a time: the
        order is that of the first moment, what is said of a session is of the moment when it was read.
        """

    def uids(self, *, since_us: int | None = None, until_us: int | None = None) -> list[str]:
        """UIDs of what `summaries` lists, in its order; some may have expired meanwhile.

        A store may know a shorter way than this.
        """
        return [summary.uid for summary in self.summaries(since_us=since_us, until_us=until_us)]

    @abstractmethod
    def events(self, uid: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        """Events with a greater sequence number than `after`, oldest first; empty if the session does not exist."""

    def first_events(self, uids: Sequence[str], limit: int) -> Iterator[list[StoredEvent]]:
        """The oldest events of many sessions, at most `limit` of each, in the order given.

        A store may know a shorter way than this.
        """
        return (self.events(uid, limit=limit) for uid in uids)

    @abstractmethod
    def first_event_seq(self, uid: str) -> int | None:
        """Return the sequence number of the oldest event that is kept (1 unless some were trimmed).

        The next one's if none is kept, None without a session.
        """

    @abstractmethod
    def trim_events(self, uid: str, keep: int) -> int:
        """Forget all but the last `keep` events of a session; return how many were forgotten."""

    @abstractmethod
    def due(self, *, limit: int = 1000) -> list[tuple[str, str, DueItem]]:
        """Items (UID, name, item) of all sessions whose moment has come, longest due first.

        Costs nothing that grows with the number of sessions that have nothing due.
        """

    @abstractmethod
    def next_due_us(self) -> int | None:
        """Return the earliest moment of any due item of any session, None if there is none."""

    @abstractmethod
    def postpone(self, uid: str, item: str, delay_s: float, *, due_us: int | None = None) -> bool:
        """Set a due item's moment to `delay_s` from now.

        With `due_us`, only if that is its moment still, and never to the same one: of several who see the same item,
        one gets True. False, and nothing changes, if there is no such item any more. No commit, no event; no lock
        stops it.
        """

    @abstractmethod
    def settle(self, uid: str, item: str) -> bool:
        """Remove a due item; False if it was not there. No commit, no event; no lock stops it."""

    @abstractmethod
    def acquire_lock(self, uid: str, token: bytes, lease_s: float) -> float:
        """Take the lock of a session that exists, or may not exist yet, or renew it with the same token.

        Returns 0 if it is held by `token` now, else the seconds for which somebody else's stands at most.
        """

    @abstractmethod
    def release_lock(self, uid: str, token: bytes) -> bool:
        """Give the lock back; False if it was not held by `token` any more, or its lease had run out."""

    @abstractmethod
    def delete(self, uid: str) -> bool:
        """Delete a session, with its lock, which stops nobody from doing so; False if there was no session."""

    @abstractmethod
    def clear(self) -> None:
        """Delete all sessions."""

    @abstractmethod
    def now_us(self) -> int:
        """Return the store's clock: microseconds since 1970."""

    def wait_for_events(self, uids: Mapping[str, int], timeout_s: float) -> set[str]:
        """Wait until one of these sessions has events after the given sequence number, or the time is up.

        Returns the UIDs that have some. A store that can be woken by a change does better than this polling, which
        takes at most a tenth of the time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            started = time.monotonic()
            changed = {found.uid for found in self.summaries(uids=list(uids)) if found.seq > uids[found.uid]}
            looked = time.monotonic()
            if changed or looked >= deadline:
                return changed
            time.sleep(min(max(POLL_S, 9 * (looked - started)), deadline - looked))

    def close(self) -> None:  # noqa: B027  (there may be nothing to close)
        """Close connections; the store opens them again when it is used."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"


def missing_links(cells: Mapping[str, Cell], asked: Collection[str]) -> list[str]:
    """Names that these cells link to and that nobody has asked for yet.

    Raises
    ------
    StorageError
        If the links of a cell cannot be read.
    """
    found: dict[str, None] = {}
    for name, cell in cells.items():
        try:
            found.update(dict.fromkeys(links_of(name, cell.data)))
        except (msgspec.DecodeError, IndexError) as error:
            raise StorageError(f"the links of cell {name!r} cannot be read: {error}") from error
    return [name for name in found if name not in asked]
