"""Failed instances as rows: where the application failed, and what cannot run because of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from triggers_nb.analysis.frames_instances import BATCH, PREFIXES, Batch, Wanted
from triggers_nb.analysis.graph_impact import Impacts
from triggers_nb.analysis.reading import Source, batches
from triggers_nb.analysis.schema import FAILURES
from triggers_nb.core import records as rec
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.status import CODES, FAILED
from triggers_nb.storages.base import instances_of
from triggers_nb.storages.store import SessionState


def failure_frames(source: Source, uids: Sequence[str], payloads: bool) -> Iterator[tuple[int, pd.DataFrame]]:
    """Read failed instances a batch of sessions at a time.

    Yields
    ------
    int, pandas.DataFrame
        The number of sessions covered, and a frame of `FAILURES`.
    """
    wanted = Wanted(codes=(CODES[FAILED],), payloads=payloads)
    for n_read, sessions in batches(source.store, uids, (*PREFIXES, rec.LATEST), BATCH):
        batch = Batch(sessions, wanted)
        columns = batch.columns(source, source.store.now_us(), payloads=payloads)
        yield n_read, FAILURES.frame(columns | _consequences(batch, sessions))


def _consequences(batch: Batch, sessions: Sequence[tuple[str, SessionState]]) -> dict[str, Any]:
    impacts: dict[int, Impacts] = {}
    blocked = []
    for position, session in enumerate(batch.session):
        if session not in impacts:
            impacts[session] = impacts_of(sessions[session][1])
        blocked.append([each.task for each in impacts[session].of(batch.names[position])])
    return {"top_frame": [_top_frame(batch.traceback(p)) for p in range(len(batch.rows))], "blocked": blocked}


def impacts_of(state: SessionState) -> Impacts:
    """Return the blast radius of any instance in a session's state."""
    tasks, instances = tasks_of(state), None
    instances = instances_of(state, tasks)
    return Impacts(tasks, instances.values(), fired_of(state))


def tasks_of(state: SessionState) -> dict[str, TaskConfig]:
    """Return the tasks in a session's state, by name in order."""
    names = sorted(name for name in state.cells if name.startswith(rec.CONFIG))
    records = {name[2:]: rec.decode_record(name, state.cells[name].data) for name in names}
    return {name: TaskConfig.from_record(name, record) for name, record in records.items()}  # type: ignore[arg-type]


def fired_of(state: SessionState) -> set[str]:
    """Return the names of all triggers that have fired, those of tasks included."""
    return {name[2:] for name in state.cells if name.startswith(rec.LATEST)}


def state_instances(state: SessionState) -> dict[str, TaskInstance]:
    """Return the instances in a session's state, by task and number."""
    return instances_of(state, tasks_of(state))


def _top_frame(traceback: str | None) -> str | None:
    if traceback is None:
        return None
    try:
        from triggers_nb.analysis.tracebacks import top_frame
    except ImportError:
        return None
    return top_frame(traceback)
