"""Changes as columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from triggers_nb.analysis.reading import Source, warn_unreadable
from triggers_nb.analysis.schema import EVENTS
from triggers_nb.core.events import Event, decode_event
from triggers_nb.core.status import STATUSES
from triggers_nb.errors import StorageError
from triggers_nb.storages.store import Store, StoredEvent

#: How many events are read at once.
BATCH: Final = 2000
#: How many events of each of many sessions are read at once.
FIRST: Final = 100


def read_stored_events(store: Store, uid: str, *, after: int = 0) -> Iterator[StoredEvent]:
    """Read a session's events, oldest first, a batch at a time."""
    while True:
        batch = store.events(uid, after=after, limit=BATCH)
        yield from batch
        if len(batch) < BATCH:
            return
        after = batch[-1].seq


def read_events_of(store: Store, uids: Sequence[str]) -> Iterator[tuple[str, StoredEvent]]:
    """Read the events of many sessions, each session's oldest first, many sessions at a time."""
    for uid, first in zip(uids, store.first_events(uids, FIRST), strict=True):
        yield from ((uid, event) for event in first)
        if len(first) == FIRST:
            yield from ((uid, event) for event in read_stored_events(store, uid, after=first[-1].seq))


def event_columns(source: Source, events: Iterable[tuple[str, StoredEvent]], now_us: int) -> dict[str, Any]:
    """Return the columns of `schema.EVENTS`, a row for each change; damaged events are left out, with a warning."""
    rows = [row for uid, stored in events for row in _rows(source, uid, stored)]
    names = [name for name in EVENTS.names if name != "observed_at"]
    columns: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return columns | {"observed_at": [now_us] * len(rows)}


def decode_or_warn(uid: str, stored: StoredEvent) -> Event | None:
    """Decode an event; one that is damaged is None, with a warning."""
    try:
        return decode_event(stored.data)
    except StorageError as error:
        warn_unreadable(uid, StorageError(f"event {stored.seq} is damaged: {error}"))
        return None


def _rows(source: Source, uid: str, stored: StoredEvent) -> Iterator[tuple[Any, ...]]:
    event = decode_or_warn(uid, stored)
    if event is None:
        return
    reason, error = source.text(event.reason), source.text(event.error)
    for number, change in enumerate(event.changes):
        yield (
            uid, stored.seq, number, stored.at_us, event.actor, event.action, change.target or None,
            _status(change.from_status), _status(change.to_status), change.trigger, change.cause,
            reason, event.action_id, event.plan_id, error,
        )  # fmt: skip


def _status(code: int | None) -> str | None:
    return None if code is None else STATUSES[code] if code < len(STATUSES) else f"status {code}"
