"""Sessions, and the tasks and triggers of one, as columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from triggers_nb.analysis.reading import Source, warn_unreadable
from triggers_nb.analysis.schema import MISSING_US
from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value
from triggers_nb.core.records import ConfigRecord, HeadRecord, LatestRecord, decode_record
from triggers_nb.core.status import STATUSES
from triggers_nb.core.work import CREATED_COUNT, LEVEL_COUNT, STATUS_COUNT, TASK_COUNT, TASKS, UNRESOLVED
from triggers_nb.errors import StorageError
from triggers_nb.storages.store import SessionState, Summary

#: A level in the name of a count; what is longer is forged.
_LEVEL: Final = re.compile("[0-9]{1,10}")


def session_columns(summaries: Sequence[Summary], now_us: int) -> dict[str, Any]:
    """Return the columns of `schema.SESSIONS`, a row for each summary."""
    counts = [summary.counts for summary in summaries]
    per_status = {status: _numbers(counts, STATUS_COUNT + status) for status in STATUSES}
    return {
        "session_uid": [summary.uid for summary in summaries],
        "manager": [manager_of(summary) for summary in summaries],
        "n_tasks": _numbers(counts, TASKS),
        "n_instances": np.sum(list(per_status.values()), axis=0) if summaries else [],
        **per_status,
        "n_unresolved": _numbers(counts, UNRESOLVED),
        "max_log_level": [max_log_level(each) for each in counts],
        "created_at": [summary.created_us for summary in summaries],
        "last_modified_at": [summary.modified_us for summary in summaries],
        "observed_at": np.full(len(summaries), now_us),
    }


def manager_of(summary: Summary) -> str | None:
    """Return the key of the manager that a session remembers; None if it cannot be read."""
    try:
        head: HeadRecord = decode_record(rec.HEAD, summary.head)  # type: ignore[assignment]
    except StorageError as error:
        warn_unreadable(summary.uid, error)
        return None
    return head.manager


def max_log_level(counts: Mapping[str, int]) -> int:
    """Return the highest level that any instance has logged, 0 if none has."""
    levels = (name[2:] for name, n in counts.items() if n > 0 and name.startswith(LEVEL_COUNT))
    return max((int(level) for level in levels if _LEVEL.fullmatch(level)), default=0)


def task_columns(source: Source, uid: str, state: SessionState, now_us: int) -> dict[str, Any]:
    """Return the columns of `schema.TASKS`, a row for each task, by name."""
    configs = configs_of(state)
    created = [state.counts.get(CREATED_COUNT + task, 0) for task in configs]
    unresolved = [state.counts.get(TASK_COUNT + task, 0) for task in configs]
    return {
        "session_uid": [uid] * len(configs),
        "task": list(configs),
        "run": [config.run for config in configs.values()],
        "after": [list(config.after) for config in configs.values()],
        "and_every": [config.and_every for config in configs.values()],
        "unless": [list(config.unless) for config in configs.values()],
        "with_params": [source.value(decode_value(config.with_params)) for config in configs.values()],
        "using": [config.using for config in configs.values()],
        "extra": [source.value(decode_value(config.extra)) for config in configs.values()],
        "n_instances": created,
        "is_resolved": [n > 0 and n_open == 0 for n, n_open in zip(created, unresolved, strict=True)],
        "observed_at": [now_us] * len(configs),
    }


def trigger_columns(source: Source, uid: str, state: SessionState, now_us: int, *, payloads: bool) -> dict[str, Any]:
    """Return the columns of `schema.TRIGGERS`, a row for each trigger that is named or has fired, by name."""
    configs = configs_of(state)
    latest = latest_of(state)
    used_by: dict[str, list[str]] = {name: [] for name in sorted({*configs, *latest})}
    for task, config in configs.items():
        for trigger in sorted(config.triggers()):
            used_by.setdefault(trigger, []).append(task)
    # A task whose name nothing waits for and that never fired is no trigger of this session.
    names = sorted(name for name, tasks in used_by.items() if tasks or name in latest)
    fired = [latest.get(name) for name in names]
    return {
        "session_uid": [uid] * len(names),
        "trigger": names,
        "kind": ["cascade" if name in configs else "external" if used_by[name] else "unknown" for name in names],
        "fired": [record is not None for record in fired],
        "n_fired": [record.n_fired if record is not None else 0 for record in fired],
        "last_fired_at": [record.fired_us if record is not None else MISSING_US for record in fired],
        "used_by": [used_by[name] for name in names],
        "payload": [
            source.value(decode_value(record.kwargs)) if payloads and record is not None else None for record in fired
        ],
        "observed_at": [now_us] * len(names),
    }


def configs_of(state: SessionState) -> dict[str, ConfigRecord]:
    """Return the configuration of a session's tasks, by name in order."""
    names = sorted(name for name in state.cells if name.startswith(rec.CONFIG))
    return {name[2:]: decode_record(name, state.cells[name].data) for name in names}  # type: ignore[misc]


def latest_of(state: SessionState) -> dict[str, LatestRecord]:
    """Return the latest firing of each trigger that has fired, by name in order."""
    names = sorted(name for name in state.cells if name.startswith(rec.LATEST))
    return {name[2:]: decode_record(name, state.cells[name].data) for name in names}  # type: ignore[misc]


def _numbers(counts: Sequence[Mapping[str, int]], name: str) -> np.ndarray[Any, Any]:
    return np.fromiter((each.get(name, 0) for each in counts), dtype=np.int64, count=len(counts))
