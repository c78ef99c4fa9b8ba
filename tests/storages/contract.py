"""What the tests of all stores share: places, commits, a naive model, and what other processes do."""

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from triggers_nb.storages.store import Commit, Committed, Conflict, Store, View
from triggers_nb.storages.urls import open_store

#: Names that are easily mixed up, cut off, or taken for something else.
ODD_NAMES = (
    "plain",
    "Größe 雪 🛫",
    "e\u0301 \u00e9",
    "nul\0inside",
    "nul\0",
    "nul",
    "'quoted' \"twice\" `thrice`",
    "100%s %d _ * ?",
    "{tag}{}",
    "}{",
    "two\nlines\r\n",
    "tab\t\x1f\x7f",
    "back\\slash/../x",
    " spaces ",
    "colon:a:b",
    "-1",
    "0",
    "null",
    "\U0010ffff",
    "\ue000",
    "\ud7ff",
    "a" * 10_000,
    "ü" * 5_000,
)


class Place(Protocol):
    """Where the sessions of one test are kept."""

    #: What another process opens it by.
    url: str

    def open(self) -> Store:
        """Return a store of its own at this place, as another process would have."""
        ...


def change(
    *,
    epoch: int = 0,
    reads: Mapping[str, int] | None = None,
    writes: Mapping[str, bytes] | None = None,
    counts: Mapping[str, int] | None = None,
    due: Mapping[str, tuple[float, bytes] | None] | None = None,
    **others: Any,
) -> Commit:
    """Make a commit of nothing but what is given."""
    reads = dict(reads or {})
    facts = {
        "commit_id": os.urandom(16),
        "event": b"event",
        "at_us": 1_000_000,
        "base_seq": max(reads.values(), default=0),
    }
    return Commit(
        epoch=epoch,
        reads=reads,
        writes=dict(writes or {}),
        counts=dict(counts or {}),
        due=dict(due or {}),
        **{**facts, **others},
    )


def change_after(view: View, names: Iterable[str] = (), **others: Any) -> Commit:
    """Make a commit that rests on these cells, which were asked for, as they are in a view."""
    reads = {name: view.cells[name].revision if name in view.cells else 0 for name in names}
    return change(epoch=view.epoch, reads=reads, **{"base_seq": view.seq, "is_current": True, **others})


def applied(answer: Committed | Conflict) -> Committed:
    """Return the answer to a commit that must not have been refused."""
    assert isinstance(answer, Committed), answer
    return answer


def refused(answer: Committed | Conflict) -> Conflict:
    """Return the answer to a commit that must have been refused."""
    assert isinstance(answer, Conflict), answer
    return answer


def make(store: Store, uid: str, **others: Any) -> Committed:
    """Make a session."""
    return applied(store.commit(uid, change(**{"writes": {"head": b"head"}, **others})))


def seen(store: Store, uid: str, *names: str) -> View:
    """Read cells of a session that must exist."""
    view = store.read(uid, names, follow=False)
    assert view is not None
    return view


def increment(store: Store, uid: str, times: int) -> None:
    """Add one to a number so many times; a refusal is answered by another attempt."""
    for _ in range(times):
        view = store.read(uid, ["number"])
        while True:
            before = int(view.cells["number"].data) if view is not None and "number" in view.cells else 0
            writes, counts = {"number": b"%d" % (before + 1)}, {"n": 1}
            if view is None:
                answer = store.commit(uid, change(reads={"number": 0}, writes=writes, counts=counts))
            else:
                answer = store.commit(uid, change_after(view, ["number"], writes=writes, counts=counts))
            if isinstance(answer, Committed):
                break
            view = answer.view


def increment_at(url: str, uid: str, times: int) -> None:
    """Do the same in another process."""
    increment(open_store(url), uid, times)


def commit_for_ever(url: str, uid: str) -> None:
    """Commit until somebody kills this process: two cells of the same value, a count, a due item, an event."""
    store = open_store(url)
    number = 0
    while True:
        view = store.read(uid, ["a", "b"])
        number += 1
        value = b"%d" % number * 2000
        parts = {"writes": {"a": value, "b": value}, "counts": {"n": 1}, "due": {f"item {number % 7}": (0, value)}}
        commit = change(reads={"a": 0}, **parts) if view is None else change_after(view, ["a", "b"], **parts)
        applied(store.commit(uid, commit))


class ModelSession:
    """A session of the model."""

    def __init__(self) -> None:
        self.epoch = 0
        self.seq = 0
        self.times: tuple[int, int] = (0, 0)
        self.cells: dict[str, tuple[int, bytes]] = {}
        self.counts: dict[str, int] = {}
        #: Whether each item's moment has come, and its bytes.
        self.due: dict[str, tuple[bool, bytes]] = {}
        self.events: list[tuple[int, int, bytes, bytes]] = []
        self.timeout_s: float | None = None

    def expires(self) -> bool:
        return self.timeout_s is not None and not self.due and not self.counts.get("unresolved")


class Model:
    """A store as simple as it can be, in which every lease is long and every timeout has run out at once."""

    def __init__(self) -> None:
        self.sessions: dict[str, ModelSession] = {}
        self.locks: dict[str, bytes] = {}

    def answer(self, uid: str, commit: Commit) -> tuple[str, Any]:
        """Say what must come of a commit: ``applied`` with seq and moment, or ``refused`` with whether by a lock."""
        session = self.sessions.get(uid)
        for seq, at_us, commit_id, _ in session.events if session else ():
            if commit_id == commit.commit_id:
                return "applied", (seq, at_us)
        is_locked = self.locks.get(uid, commit.lock) != commit.lock
        is_stale = (session.epoch if session else 0) != commit.epoch or any(
            (session.cells.get(name, (0, b""))[0] if session else 0) != revision
            for name, revision in commit.reads.items()
        )
        if is_stale or is_locked:
            return "refused", is_locked
        return "applied", self._apply(self.sessions.setdefault(uid, ModelSession()), commit)

    def _apply(self, session: ModelSession, commit: Commit) -> tuple[int, int]:
        session.seq += 1
        created_us, modified_us = session.times if session.seq > 1 else (commit.at_us, commit.at_us)
        session.times = (created_us, max(modified_us, commit.at_us))
        session.cells.update({name: (session.seq, data) for name, data in commit.writes.items()})
        for name, delta in commit.counts.items():
            session.counts[name] = session.counts.get(name, 0) + delta
        for item, entry in commit.due.items():
            session.due.pop(item, None)
            if entry is not None:
                session.due[item] = (entry[0] <= 0, entry[1])
        session.events.append((session.seq, session.times[1], commit.commit_id, commit.event))
        session.timeout_s = commit.timeout_s
        return session.seq, session.times[1]

    def expire(self) -> None:
        self.sessions = {uid: session for uid, session in self.sessions.items() if not session.expires()}


def unique_uids(number: int) -> Sequence[str]:
    """Make UIDs that no other test uses."""
    return [f"session-{secrets.token_hex(8)}" for _ in range(number)]
