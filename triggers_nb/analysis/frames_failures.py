"""Failed instances as rows: where the application failed, and what cannot run because of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from triggers_nb.analysis.fingerprints import top_frame
from triggers_nb.analysis.frames_instances import BATCH, PREFIXES, Batch, Wanted
from triggers_nb.analysis.graph_impact import Impacts
from triggers_nb.analysis.reading import Source, batches, read_apart
from triggers_nb.analysis.schema import FAILURES
from triggers_nb.core import records as rec
from triggers_nb.core.instances import TaskConfig
from triggers_nb.core.status import CODES, FAILED, UNSTARTED
from triggers_nb.core.work import CREATED_COUNT
from triggers_nb.settings import app_prefixes
from triggers_nb.storages.base import instances_of
from triggers_nb.storages.store import SessionState


def failure_frames(source: Source, uids: Sequence[str], payloads: bool) -> Iterator[tuple[int, pd.DataFrame]]:
    """Read failed instances a batch of sessions at a time.

    Yields
    ------
    int, pandas.DataFrame
        The number of sessions covered, and a frame of `FAILURES`.
    """
    seen: dict[Any, list[str]] = {}
    for n_read, sessions in batches(source.store, uids, (*PREFIXES, rec.LATEST), BATCH):
        yield n_read, FAILURES.concat(list(read_apart(sessions, lambda some: _frame(source, some, payloads, seen))))


def _frame(
    source: Source, sessions: Sequence[tuple[str, SessionState]], payloads: bool, seen: dict[Any, list[str]]
) -> pd.DataFrame:
    both = Batch(sessions, Wanted(codes=(CODES[UNSTARTED], CODES[FAILED])))
    failed = both.select(np.flatnonzero(both.codes == CODES[FAILED]))
    columns = failed.columns(source, source.store.now_us(), payloads=payloads)
    columns["top_frame"] = [top_frame_of(failed, position) for position in range(len(failed.rows))]
    columns["blocked"] = _blocked(failed, _situations(both, both.sessions), both.sessions, seen)
    return FAILURES.frame(columns)


def _blocked(
    failed: Batch,
    situations: Sequence[Any],
    sessions: Sequence[tuple[str, SessionState]],
    seen: dict[Any, list[str]],
) -> list[list[str]]:
    """Tasks that cannot run because of each failure; what was found for a like situation is not looked for again."""
    impacts: dict[int, Impacts] = {}
    blocked = []
    for session, row, name in zip(failed.session.tolist(), failed.rows, failed.names, strict=True):
        key = (situations[session], row.task)
        if key not in seen:
            if session not in impacts:
                impacts[session] = impacts_of(sessions[session][1])
            seen[key] = [each.task for each in impacts[session].of(name)]
        blocked.append(list(seen[key]))
    return blocked


def _situations(batch: Batch, sessions: Sequence[tuple[str, SessionState]]) -> list[Any]:
    """All that decides what a failure blocks: equal for sessions in which the same failure blocks the same tasks."""
    waiting: list[list[tuple[str, tuple[str, ...]]]] = [[] for _ in sessions]
    for position in np.flatnonzero(batch.codes == CODES[UNSTARTED]).tolist():
        missing = tuple(batch.missing_triggers(position))
        waiting[batch.session[position]].append((batch.rows[position].task, missing))
    return [_situation(state, waits) for (_, state), waits in zip(sessions, waiting, strict=True)]


def _situation(state: SessionState, waits: list[tuple[str, tuple[str, ...]]]) -> Any:
    configs = frozenset((name, cell.data) for name, cell in state.cells.items() if name.startswith(rec.CONFIG))
    created = frozenset(name for name, n in state.counts.items() if n and name.startswith(CREATED_COUNT))
    return configs, created, frozenset(fired_of(state)), tuple(waits)


def impacts_of(state: SessionState) -> Impacts:
    """Return the blast radius of any instance in a session's state."""
    tasks = tasks_of(state)
    return Impacts(tasks, instances_of(state, tasks).values(), fired_of(state))


def tasks_of(state: SessionState) -> dict[str, TaskConfig]:
    """Return the tasks in a session's state, by name in order."""
    names = sorted(name for name in state.cells if name.startswith(rec.CONFIG))
    records = {name[2:]: rec.decode_record(name, state.cells[name].data) for name in names}
    return {name: TaskConfig.from_record(name, record) for name, record in records.items()}  # type: ignore[arg-type]


def fired_of(state: SessionState) -> set[str]:
    """Return the names of all triggers that have fired, those of tasks included."""
    return {name[2:] for name in state.cells if name.startswith(rec.LATEST)}


def top_frame_of(batch: Batch, position: int) -> str | None:
    """Return the innermost frame of the application in an instance's traceback."""
    traceback = batch.traceback(position)
    if traceback is None:
        return None
    message = batch.rows[position].exception_message or ""
    return top_frame(traceback, app_prefixes=app_prefixes(), exception_message=message)
