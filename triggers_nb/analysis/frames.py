"""Frames of sessions and of what is in them; their columns are in `triggers_nb.analysis.schema`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
import pandas as pd

from triggers_nb.analysis.frames_events import event_columns, read_events_of
from triggers_nb.analysis.frames_failures import failure_frames
from triggers_nb.analysis.frames_instances import BATCH, PREFIXES, Batch, Wanted, instance_frames
from triggers_nb.analysis.frames_sessions import session_columns, task_columns, trigger_columns
from triggers_nb.analysis.reading import Session, Source, batches, collect, cut, read_apart, warn_interrupted
from triggers_nb.analysis.schema import EVENTS, FAILURES, INSTANCES, SESSIONS, STUCK, TASKS, TRIGGERS
from triggers_nb.analysis.selection import Selection, Span, check_limit, parse_age
from triggers_nb.analysis.stuck import OLDER_THAN, STUCK_CODES
from triggers_nb.core import records as rec
from triggers_nb.errors import UnknownSession
from triggers_nb.storages.store import SessionState, Summary

#: Most rows of a frame, unless asked otherwise.
MAX_SESSIONS: Final = 10_000
MAX_INSTANCES: Final = 1_000_000
MAX_EVENTS: Final = 100_000

ALWAYS: Final = Span()


def read_sessions(source: Source, selection: Selection, max_results: int | None = MAX_SESSIONS) -> pd.DataFrame:
    """Read a frame of sessions (`schema.SESSIONS`), last changed first."""
    check_limit(max_results)
    summaries: list[Summary] = []
    now_us = source.store.now_us()
    wanted = selection.summaries(source.store)
    try:
        for summary in wanted if max_results is None else islice(wanted, max_results + 1):
            summaries.append(summary)
    except KeyboardInterrupt:
        warn_interrupted(f"{len(summaries):,} sessions", "sessions()")
    return cut(SESSIONS.frame(session_columns(summaries, now_us)), max_results, "sessions()")


def read_instances(
    source: Source, uids: Sequence[str], wanted: Wanted, max_results: int | None = MAX_INSTANCES, span: Span = ALWAYS
) -> pd.DataFrame:
    """Read a frame of instances (`schema.INSTANCES`): sessions in the order given, then by task and number."""
    check_limit(max_results)
    frames = _within(span, instance_frames(source, uids, wanted), "last_modified_at")
    return collect(INSTANCES, frames, total=len(uids), max_results=max_results, call="instances()")


def read_failures(
    source: Source,
    uids: Sequence[str],
    payloads: bool = False,
    max_results: int | None = MAX_INSTANCES,
    span: Span = ALWAYS,
) -> pd.DataFrame:
    """Read a frame of failed instances (`schema.FAILURES`): sessions in the order given, then by task and number."""
    check_limit(max_results)
    frames = _within(span, failure_frames(source, uids, payloads), "failed_at")
    return collect(FAILURES, frames, total=len(uids), max_results=max_results, call="failures()")


def read_tasks(source: Source, uid: str) -> pd.DataFrame:
    """Read a frame of a session's tasks (`schema.TASKS`), by name."""
    state = read_state(source, uid, (rec.CONFIG,))
    return TASKS.frame(task_columns(source, uid, state, source.store.now_us()))


def read_triggers(source: Source, uid: str, payloads: bool = False) -> pd.DataFrame:
    """Read a frame of a session's triggers (`schema.TRIGGERS`), by name."""
    state = read_state(source, uid, (rec.CONFIG, rec.LATEST))
    return TRIGGERS.frame(trigger_columns(source, uid, state, source.store.now_us(), payloads=payloads))


def read_events(
    source: Source, uids: Sequence[str], max_results: int | None = MAX_EVENTS, span: Span = ALWAYS
) -> pd.DataFrame:
    """Read a frame of changes (`schema.EVENTS`): sessions in the order given, oldest first."""
    check_limit(max_results)
    frames = event_frames(source, uids, max_results, span)
    return collect(EVENTS, frames, total=len(uids), max_results=max_results, call="events()")


def read_stuck(source: Source, uids: Sequence[str], older_than: object = OLDER_THAN) -> pd.DataFrame:
    """Read a frame of instances that should have moved on (`schema.STUCK`), by session, task and number."""
    older_than_us = round(parse_age(older_than, "older_than").total_seconds() * 1e6)
    frames = _stuck_frames(source, uids, older_than_us)
    return collect(STUCK, frames, total=len(uids), max_results=None, call="stuck()")


def read_state(source: Source, uid: str, prefixes: Sequence[str] = ()) -> SessionState:
    """Read a session, or the cells of it that begin with one of these.

    Raises
    ------
    UnknownSession
        If it does not exist.
    """
    for _, state in source.store.states([uid], prefixes):
        if state is not None:
            return state
    raise UnknownSession(uid, hint="It was never configured, was deleted, or has expired")


def _within(span: Span, frames: Iterator[tuple[int, pd.DataFrame]], column: str) -> Iterator[tuple[int, pd.DataFrame]]:
    for n_read, frame in frames:
        yield n_read, span.rows(frame, column)


def event_frames(
    source: Source, uids: Sequence[str], max_results: int | None = None, span: Span = ALWAYS
) -> Iterator[tuple[int, pd.DataFrame]]:
    """Read changes, several sessions to a frame."""
    for start in range(0, len(uids), BATCH):
        now_us = source.store.now_us()
        chunk = uids[start : start + BATCH]
        events = (found for found in read_events_of(source.store, chunk) if span.holds(found[1].at_us))
        kept = events if max_results is None else islice(events, max_results + 1)
        yield len(chunk), EVENTS.frame(event_columns(source, kept, now_us))


def _stuck_frames(source: Source, uids: Sequence[str], older_than_us: int) -> Iterator[tuple[int, pd.DataFrame]]:
    for n_read, sessions in batches(source.store, uids, PREFIXES, BATCH):
        yield n_read, STUCK.concat(list(read_apart(sessions, lambda some: _stuck_frame(source, some, older_than_us))))


def _stuck_frame(source: Source, sessions: Sequence[Session], older_than_us: int) -> pd.DataFrame:
    now_us = source.store.now_us()
    batch = Batch(sessions, Wanted(codes=STUCK_CODES))
    why = [batch.why_stuck(position, now_us, older_than_us) for position in range(len(batch.rows))]
    return STUCK.frame(_stuck_columns(batch, why, now_us))


def _stuck_columns(batch: Batch, why: Sequence[str | None], now_us: int) -> dict[str, Any]:
    stuck = [position for position, reason in enumerate(why) if reason is not None]
    since = np.array([batch.since_us(position) for position in stuck], dtype=np.int64)
    return {
        "session_uid": [batch.uid(position) for position in stuck],
        "instance": [batch.names[position] for position in stuck],
        "task": [batch.rows[position].task for position in stuck],
        "status": [batch.status(position) for position in stuck],
        "why": [why[position] for position in stuck],
        "since": since,
        "age": now_us - since,
        "observed_at": np.full(len(stuck), now_us),
    }
