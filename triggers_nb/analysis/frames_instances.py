"""Instances as rows: decoded a batch at a time, columns from arrays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from triggers_nb.analysis.fingerprints import fingerprint
from triggers_nb.analysis.reading import Source, batches, read_apart, warn_unreadable
from triggers_nb.analysis.schema import INSTANCES, MISSING_US, PAYLOADS
from triggers_nb.analysis.selection import Statuses, codes_of, parse_age, parse_names, parse_statuses
from triggers_nb.analysis.stuck import OLDER_THAN, STUCK_CODES, why_stuck
from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value
from triggers_nb.core.instances import TaskInstance, read_cooldown
from triggers_nb.core.records import (
    STAMPS,
    ConfigRecord,
    InstanceRecord,
    InstanceRow,
    decode_record,
    decode_rows,
    is_moment,
    to_us,
)
from triggers_nb.core.status import ABANDONED, CODES, FAILED, FINISHED, REPLAYED, RESOLVED, RUNNING, SKIPPED, STATUSES
from triggers_nb.errors import StorageError
from triggers_nb.settings import app_prefixes
from triggers_nb.storages.store import DueItem, SessionState

Array = np.ndarray[Any, Any]

#: How many sessions are read and decoded at once: many more do not fit into the processor's cache.
BATCH: Final = 400

#: Cells that instances are read from.
PREFIXES: Final = (rec.INSTANCE, rec.CONFIG)

_STATUS_NAMES: Final = np.array(STATUSES, dtype=object)
_UNSTARTED: Final = 0
_RESOLVED: Final = np.array([status in RESOLVED for status in STATUSES])
_IRRELEVANT_LOGS: Final = np.array([status in (ABANDONED, REPLAYED, SKIPPED) for status in STATUSES])
_STAMP: Final = {name: position for position, name in enumerate(STAMPS)}
_ENDS: Final = [_STAMP[status] for status in (FINISHED, FAILED, SKIPPED, ABANDONED)]
_MOMENTS: Final = {
    "created_at": "created",
    "scheduled_at": "scheduled",
    "started_at": RUNNING,
    "finished_at": FINISHED,
    "failed_at": FAILED,
    "last_modified_at": "lastModified",
}
_OLDER_THAN_US: Final = round(parse_age(OLDER_THAN).total_seconds() * 1e6)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which instances, and how much of each."""

    #: Positions in ``STATUSES``; empty: any.
    codes: tuple[int, ...] = ()
    #: Names of tasks; empty: any.
    tasks: Collection[str] = ()
    #: Whether payload columns are filled.
    payloads: bool = False

    @classmethod
    def parse(cls, status: Statuses | None, task: str | Iterable[str] | None, payloads: bool) -> Wanted:
        """Read what people pass.

        Raises
        ------
        InvalidStatus
            If there is no such status.
        """
        return cls(codes=codes_of(parse_statuses(status)), tasks=parse_names(task, "task"), payloads=bool(payloads))


class Batch:
    """The wanted instances of some sessions, by session (in the order given), task and number.

    Parameters
    ----------
    sessions
        UIDs and states.
    wanted
        Which instances.
    """

    def __init__(self, sessions: Sequence[tuple[str, SessionState]], wanted: Wanted) -> None:
        try:
            self._read(sessions, wanted)
        except StorageError:
            self._read(list(_readable(sessions, wanted)), wanted)

    def _read(self, sessions: Sequence[tuple[str, SessionState]], wanted: Wanted) -> None:
        self.sessions = sessions
        cells: list[bytes] = []
        counts: list[int] = []
        for _, state in sessions:
            before = len(cells)
            cells += [cell.data for name, cell in state.cells.items() if name[0] == "i"]
            counts.append(len(cells) - before)
        self.configs = [_configs(state) for _, state in sessions]
        self.uids = np.empty(len(sessions), dtype=object)
        self.uids[:] = [uid for uid, _ in sessions]
        self.due: list[Mapping[str, DueItem]] = [state.due for _, state in sessions]
        rows = decode_rows(cells)
        session = np.repeat(np.arange(len(sessions)), counts)
        self._arrange(rows, cells, session, _order(rows, session, wanted))
        if b"timestamps" in b"".join(cells):
            self._apply_own_moments()

    def _arrange(self, rows: Sequence[InstanceRow], cells: Sequence[bytes], session: Array, order: Array) -> None:
        self.session: Array = session[order]
        positions = order.tolist()
        self.rows = [rows[position] for position in positions]
        self.cells = [cells[position] for position in positions]
        self.codes = _numbers(self.rows, "status")
        self.number = _numbers(self.rows, "index")
        self.names = [f"{row.task}#{row.index}" for row in self.rows]
        blocks: Array = np.frombuffer(b"".join(_field(self.rows, "stamps")), dtype="<i8")
        self.stamps: Array = blocks.reshape(-1, len(STAMPS)).copy()

    def select(self, positions: Array) -> Batch:
        """Return a batch of only the instances at these positions."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._arrange(self.rows, self.cells, self.session, positions)
        other.stamps = self.stamps[positions]
        return other

    def _apply_own_moments(self) -> None:
        """Let moments that were set on a draft stand above those in the block."""
        for position in range(len(self.rows)):
            raw = self.record(position).metadata.get("timestamps")
            own = {} if raw is None else decode_value(raw)
            if not isinstance(own, dict):
                raise StorageError(f"instance {self.names[position]!r} cannot be read: its timestamps are no mapping")
            for name, moment in own.items():
                if name in _STAMP and is_moment(moment):
                    self.stamps[position, _STAMP[name]] = to_us(moment)

    def record(self, position: int) -> InstanceRecord:
        """Return all of an instance; its payloads stay encoded."""
        record: InstanceRecord = decode_record(rec.INSTANCE, self.cells[position])  # type: ignore[assignment]
        return record

    def config(self, position: int) -> ConfigRecord | None:
        """Return the configuration of an instance's task."""
        configs: Mapping[str, ConfigRecord] = self.configs[self.session[position]]
        return configs.get(self.rows[position].task)

    def uid(self, position: int) -> str:
        """Return the UID of an instance's session."""
        return str(self.uids[self.session[position]])

    def status(self, position: int) -> str:
        """Return the status of an instance."""
        return STATUSES[self.codes[position]]

    def since_us(self, position: int) -> int:
        """Return when an instance came into its status."""
        return int(self.stamps[position, 2 + self.codes[position]])

    def missing_triggers(self, position: int) -> list[str]:
        """Return what an unstarted instance waits for, sorted."""
        config = self.config(position)
        if config is None:
            return []
        held = self.record(position).kwargs
        return [trigger for trigger in config.after if trigger not in held]

    def why_stuck(self, position: int, now_us: int, older_than_us: int = _OLDER_THAN_US) -> str | None:
        """Say why an instance is stuck, None if it is not."""
        status = int(self.codes[position])
        raw = self.record(position).metadata.get("cooldown")
        cooldown_s = 0.0 if raw is None else read_cooldown(decode_value(raw))
        due = self.due[self.session[position]]
        return why_stuck(self.names[position], status, self.since_us(position), cooldown_s, due, now_us, older_than_us)

    def columns(self, source: Source, now_us: int, *, payloads: bool) -> dict[str, Any]:
        """Return the values of all columns of `INSTANCES`."""
        n_rows = len(self.rows)
        columns: dict[str, Any] = {"session_uid": self.uids[self.session], "instance": self.names}
        columns |= self._plain_columns() | self._times() | self._flags(now_us)
        columns |= self._failure_columns(source)
        columns |= self._payload_columns(source) if payloads else _no_payloads(n_rows)
        return columns | {"observed_at": np.full(n_rows, now_us)}

    def _plain_columns(self) -> dict[str, Any]:
        rows = self.rows
        configs = [self.configs[session].get(row.task) for session, row in zip(self.session, rows, strict=True)]
        return {
            "task": _field(rows, "task"),
            "number": self.number,
            "status": _STATUS_NAMES[self.codes],
            "run": [config.run if config is not None else None for config in configs],
            "runner": [config.using if config is not None else None for config in configs],
            "parent": _field(rows, "parent"),
            "depth": _numbers(rows, "depth"),
        }

    def _times(self) -> dict[str, Any]:
        stamps = self.stamps
        moments = {column: _or_missing(stamps[:, _STAMP[name]]) for column, name in _MOMENTS.items()}
        scheduled, started = moments["scheduled_at"], moments["started_at"]
        ends = np.where(stamps[:, _ENDS] > 0, stamps[:, _ENDS], np.iinfo(np.int64).max).min(axis=1, initial=2**63 - 1)
        ended = np.where(ends == np.iinfo(np.int64).max, MISSING_US, ends)
        return {**moments, "wait": _between(scheduled, started), "duration": _between(started, ended)}

    def _flags(self, now_us: int) -> dict[str, Any]:
        rows, codes = self.rows, self.codes
        levels = _numbers(rows, "log_level")
        resolved = _numbers(rows, "logs_resolved") != 0
        failed = codes == CODES[FAILED]
        stuck = np.zeros(len(rows), dtype=bool)
        for position in np.flatnonzero(np.isin(codes, STUCK_CODES)).tolist():
            stuck[position] = self.why_stuck(position, now_us) is not None
        missing = np.empty(len(rows), dtype=object)
        missing[:] = [[] for _ in rows]
        for position in np.flatnonzero(codes == _UNSTARTED).tolist():
            missing[position] = self.missing_triggers(position)
        return {
            "log_level": levels,
            "logs_resolved": _IRRELEVANT_LOGS[codes] | (levels < TaskInstance.LOG_LEVEL_THRESHOLD) | resolved,
            "is_resolved": _RESOLVED[codes],
            "can_replay": failed,
            "can_skip": failed,
            "is_stuck": stuck,
            "missing_triggers": missing,
        }

    def _failure_columns(self, source: Source) -> dict[str, Any]:
        types = _field(self.rows, "exception_type")
        messages = _field(self.rows, "exception_message")
        safe = {message: source.text(message) for message in set(messages)}
        prints: list[str | None] = [None] * len(types)
        for position, kind in enumerate(types):
            if kind is not None:
                prints[position] = self.fingerprint(position)
        return {
            "exception_type": types,
            "exception_message": [safe[message] for message in messages],
            "fingerprint": prints,
        }

    def fingerprint(self, position: int) -> str:
        """Return the fingerprint of an instance's exception."""
        row = self.rows[position]
        kind, message, text = row.exception_type or "", row.exception_message or "", self.traceback(position) or ""
        return fingerprint(kind, message, text, app_prefixes=app_prefixes())

    def traceback(self, position: int) -> str | None:
        """Return the traceback of an instance's exception."""
        raw = self.record(position).metadata.get("exceptionInfo")
        found = None if raw is None else decode_value(raw)
        return found if isinstance(found, str) else None

    def _payload_columns(self, source: Source) -> dict[str, Any]:
        columns: dict[str, list[Any]] = {name: [] for name in PAYLOADS}
        for position in range(len(self.rows)):
            record = self.record(position)
            metadata = record.metadata
            kwargs = {trigger: decode_value(raw) for trigger, raw in record.kwargs.items()}
            columns["kwargs"].append(source.value(kwargs))
            columns["result"].append(_decoded(source, metadata.get("result")))
            columns["traceback"].append(source.text(self.traceback(position)))
            columns["exception_context"].append(_decoded(source, metadata.get("exceptionContext")))
        return columns


def instance_frames(source: Source, uids: Sequence[str], wanted: Wanted) -> Iterator[tuple[int, pd.DataFrame]]:
    """Read instances a batch of sessions at a time.

    Yields
    ------
    int, pandas.DataFrame
        The number of sessions covered, and a frame of `INSTANCES`.
    """
    for n_read, sessions in batches(source.store, uids, PREFIXES, BATCH):
        yield n_read, INSTANCES.concat(list(read_apart(sessions, lambda some: _frame(source, some, wanted))))


def _frame(source: Source, sessions: Sequence[tuple[str, SessionState]], wanted: Wanted) -> pd.DataFrame:
    batch = Batch(sessions, wanted)
    return INSTANCES.frame(batch.columns(source, source.store.now_us(), payloads=wanted.payloads))


def _readable(sessions: Sequence[tuple[str, SessionState]], wanted: Wanted) -> Iterator[tuple[str, SessionState]]:
    """Leave out sessions that cannot be decoded, and warn of each."""
    for uid, state in sessions:
        try:
            Batch.__new__(Batch)._read([(uid, state)], wanted)
        except StorageError as error:
            warn_unreadable(uid, error)
        else:
            yield uid, state


def _configs(state: SessionState) -> dict[str, ConfigRecord]:
    return {name[2:]: _config(cell.data) for name, cell in state.cells.items() if name[:2] == rec.CONFIG}


@lru_cache(4096)
def _config(data: bytes) -> ConfigRecord:
    record: ConfigRecord = decode_record(rec.CONFIG, data)  # type: ignore[assignment]
    return record


def _order(rows: Sequence[InstanceRow], session: Array, wanted: Wanted) -> Array:
    """Positions of the wanted rows by session, task and number."""
    tasks = np.empty(len(rows), dtype=object)
    tasks[:] = _field(rows, "task")
    task_codes, names = pd.factorize(tasks, sort=True)
    order: Array = np.lexsort((_numbers(rows, "index"), task_codes, session))
    keep = np.ones(len(rows), dtype=bool)
    if wanted.codes:
        keep &= np.isin(_numbers(rows, "status"), wanted.codes)
    if wanted.tasks:
        keep &= np.isin(task_codes, [code for code, name in enumerate(names) if name in wanted.tasks])
    return order[keep[order]]


def _field(rows: Sequence[InstanceRow], name: str) -> list[Any]:
    return list(map(attrgetter(name), rows))


def _numbers(rows: Sequence[InstanceRow], name: str) -> Array:
    return np.fromiter(map(attrgetter(name), rows), dtype=np.int64, count=len(rows))


def _no_payloads(n_rows: int) -> dict[str, Any]:
    return {name: np.full(n_rows, None, dtype=object) for name in PAYLOADS}


def _or_missing(moments: Array) -> Array:
    return np.where(moments == 0, MISSING_US, moments)


def _between(start: Array, end: Array) -> Array:
    known = (start != MISSING_US) & (end != MISSING_US)
    return np.where(known, end - start, MISSING_US)


def _decoded(source: Source, raw: msgspec.Raw | None) -> Any:
    return None if raw is None else source.value(decode_value(raw))
