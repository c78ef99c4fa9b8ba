"""A session as it was: rebuilt by stepping back from now, event by event."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from triggers_nb.analysis.frames_events import read_stored_events
from triggers_nb.analysis.selection import is_number, parse_moment
from triggers_nb.core.events import Event, decode_event
from triggers_nb.core.records import CONFIG, from_us
from triggers_nb.core.work import CREATED_COUNT
from triggers_nb.errors import HistoryTrimmed, StorageError, UnknownSession, brief
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.store import Cell, SessionState, Store, StoredEvent

#: A sequence number, or a moment as in `triggers_nb.analysis.selection`.
When = int | datetime | timedelta | str

#: How often a session that changes while it is read is read again.
_ATTEMPTS: Final = 5


class PastStore(MemoryStore):
    """One session as it was, in a store whose clock stands still at that moment.

    Parameters
    ----------
    url : str
        The store that it comes from.
    now_us : int
        The moment.
    """

    def __init__(self, url: str, now_us: int) -> None:
        super().__init__()
        self.url = url
        self._now_us = now_us

    def now_us(self) -> int:
        """Return the moment."""
        return self._now_us


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A session as it was after an event."""

    #: Sequence number of the event.
    seq: int
    #: When it was committed, microseconds since 1970.
    at_us: int
    #: Holds that session, and its events up to this one as far as they are kept.
    store: PastStore


def rebuild(store: Store, uid: str, when: When) -> Past:
    """Rebuild a session as it was after an event.

    Parameters
    ----------
    store
        Where it is kept.
    uid
        The session.
    when
        The event's sequence number, from 1; or a moment, which means the last event at or before it.

    Raises
    ------
    UnknownSession
        If the session does not exist.
    HistoryTrimmed
        If the event, or one after it, is no longer kept.
    ValueError
        If there was no such event, or the session did not exist at that moment.
    """
    for _ in range(_ATTEMPTS):
        state = store.state(uid)
        if state is None:
            raise UnknownSession(uid, hint="It was never configured, was deleted, or has expired")
        kept = [event for event in read_stored_events(store, uid) if event.seq <= state.seq]
        again = store.read(uid, ("head",), follow=False)
        if again is not None and again.epoch == state.epoch:
            return _rebuild(store, uid, state, kept, _find_seq(store, uid, state, kept, when))
    raise StorageError(f"session {uid!r} was made anew again and again while it was read")


def _rebuild(store: Store, uid: str, state: SessionState, kept: Sequence[StoredEvent], seq: int) -> Past:
    at_us = next((event.at_us for event in kept if event.seq == seq), state.modified_us)
    later = [event for event in kept if event.seq > seq]
    past = step_back(state, (decode_event(event.data) for event in reversed(later)), seq, at_us)
    rebuilt = PastStore(store.url, at_us)
    rebuilt.load(uid, past, [event for event in kept if event.seq <= seq])
    return Past(seq=seq, at_us=at_us, store=rebuilt)


def step_back(state: SessionState, events: Iterator[Event], seq: int, at_us: int) -> SessionState:
    """Undo events, the latest first.

    What is due belongs to no event and is left out. A count that is 0 is left out, too, unless it says how many
    instances a task has.
    """
    cells, counts = dict(state.cells), dict(state.counts)
    for event in events:
        for undo in event.undo:
            if undo.data is None:
                cells.pop(undo.cell, None)
            else:
                cells[undo.cell] = Cell(undo.revision, undo.data)
        for name, delta in event.counts.items():
            counts[name] = counts.get(name, 0) - delta
    return msgspec.structs.replace(
        state,
        seq=seq,
        modified_us=at_us,
        cells=cells,
        counts={name: n for name, n in counts.items() if n or _counts_instances(name, cells)},
        due={},
    )


def _counts_instances(name: str, cells: dict[str, Cell]) -> bool:
    return name.startswith(CREATED_COUNT) and CONFIG + name.removeprefix(CREATED_COUNT) in cells


def _find_seq(store: Store, uid: str, state: SessionState, kept: Sequence[StoredEvent], when: When) -> int:
    """Find the event that is meant, and make sure that the way back to it is there."""
    if not is_number(when):
        return _find_moment(store, uid, state, kept, when)
    when = operator.index(when)
    if not 1 <= when <= state.seq:
        raise ValueError(f"session {uid!r} has events 1 to {state.seq}, there is no event {brief(when)}")
    first = kept[0].seq if kept else state.seq
    if when < first:
        raise HistoryTrimmed(
            f"event {when} of session {uid!r} is no longer kept, and with it how the session was then; "
            f"the oldest one that is kept is {first}"
        )
    return when


def _find_moment(store: Store, uid: str, state: SessionState, kept: Sequence[StoredEvent], when: object) -> int:
    moment_us = parse_moment(when, store.now_us(), "when")
    if moment_us >= state.modified_us:
        return state.seq
    before = [event.seq for event in kept if event.at_us <= moment_us]
    if before:
        return before[-1]
    moment = from_us(moment_us).isoformat()
    if kept and kept[0].seq == 1:
        raise ValueError(
            f"session {uid!r} did not exist at {moment}; its first event was at {from_us(kept[0].at_us).isoformat()}"
        )
    raise HistoryTrimmed(f"the events of session {uid!r} at {moment} are no longer kept")
