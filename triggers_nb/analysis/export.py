"""Sessions, instances and events as Parquet files, for fleets that do not fit into memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pandas as pd

from triggers_nb.analysis.frames_events import event_columns, read_events_of
from triggers_nb.analysis.frames_instances import BATCH, Wanted, instance_frames
from triggers_nb.analysis.frames_sessions import session_columns
from triggers_nb.analysis.reading import Source, progress_bar, warn_interrupted
from triggers_nb.analysis.schema import COUNT, EVENTS, FLAG, INSTANCES, MOMENT, OBJECT, SESSIONS, SPAN, TEXT, Schema
from triggers_nb.analysis.selection import Selection, chunks
from triggers_nb.core.records import from_us
from triggers_nb.core.work import STATUS_COUNT
from triggers_nb.errors import StorageError, brief
from triggers_nb.storages.store import Summary

if TYPE_CHECKING:
    import pyarrow as pa

#: How many instances, and events, are in memory at once; a session with more instances is read whole.
MAX_INSTANCES: Final = 20_000
MAX_EVENTS: Final = 2_000

#: Columns of lists of str; other objects are written as JSON.
_LISTS: Final = frozenset({"missing_triggers"})


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written."""

    #: Directory with a directory for each kind; in these, one for each day of the sessions' last change.
    path: Path
    sessions: int
    instances: int
    #: Rows of changes.
    events: int


def export(source: Source, selection: Selection, path: str | Path, *, payloads: bool) -> Exported:
    """Write sessions, instances and events to Parquet files, a batch of sessions at a time.

    The files are ``<path>/<kind>/day=<date>/part-<n>.parquet``, where the day is that of the session's last change, and
    the columns those of the frames: lists as lists, other objects as JSON.

    Raises
    ------
    TypeError
        If `path` is no path.
    ImportError
        If pyarrow is missing.
    FileExistsError
        If the directory is there and not empty.
    """
    root = _new_directory(path)
    writer = _Writer(root)
    bar = progress_bar(None, "export()")
    try:
        for day, summaries in _portions(selection.summaries(source.store)):
            _write(source, writer, day, summaries, payloads=payloads)
            bar.update(len(summaries))
    except KeyboardInterrupt:
        warn_interrupted(f"{writer.rows['sessions']:,} sessions", "export()")
    finally:
        bar.close()
    return Exported(path=root, **writer.rows)


def _new_directory(path: str | Path) -> Path:
    if not isinstance(path, (str, Path)):
        raise TypeError(f"path={brief(path)}: expected the path of the directory to write, such as 'export'")
    root = Path(path).resolve()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise FileExistsError(f"{root} is there and not empty: choose another directory, or delete it first")
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise ImportError('export needs pyarrow: pip install "triggers-nb[parquet]"') from error
    root.mkdir(parents=True, exist_ok=True)
    return root


def _portions(summaries: Iterable[Summary]) -> Iterator[tuple[date, list[Summary]]]:
    """Split sessions into portions of one day, and of not too many instances."""
    portion: list[Summary] = []
    day, n_instances = date.min, 0
    for summary in summaries:
        own_day = _day_of(summary)
        n = sum(count for name, count in summary.counts.items() if name.startswith(STATUS_COUNT))
        if portion and (own_day != day or n_instances + n > MAX_INSTANCES or len(portion) == BATCH):
            yield day, portion
            portion, n_instances = [], 0
        portion.append(summary)
        day, n_instances = own_day, n_instances + n
    if portion:
        yield day, portion


def _day_of(summary: Summary) -> date:
    """The day of a session's last change; the first of all days for one that is damaged."""
    try:
        return from_us(summary.modified_us).date()
    except StorageError:
        return date.min


def _write(source: Source, writer: _Writer, day: date, summaries: list[Summary], *, payloads: bool) -> None:
    now_us = source.store.now_us()
    uids = [summary.uid for summary in summaries]
    for _, frame in instance_frames(source, uids, Wanted(payloads=payloads)):
        writer.write("instances", INSTANCES, day, frame)
    for some in chunks(read_events_of(source.store, uids), MAX_EVENTS):
        writer.write("events", EVENTS, day, EVENTS.frame(event_columns(source, some, now_us)))
    writer.write("sessions", SESSIONS, day, SESSIONS.frame(session_columns(summaries, now_us)))


class _Writer:
    """Writes frames to files, and counts rows and files."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows = {"sessions": 0, "instances": 0, "events": 0}
        self._n_files: dict[Path, int] = {}

    def write(self, kind: str, schema: Schema, day: date, frame: pd.DataFrame) -> None:
        import pyarrow.parquet as pq

        if frame.empty:
            return
        directory = self.root / kind / f"day={day.isoformat()}"
        directory.mkdir(parents=True, exist_ok=True)
        number = self._n_files.get(directory, 0)
        self._n_files[directory] = number + 1
        pq.write_table(_table(schema, frame), directory / f"part-{number:05}.parquet")
        self.rows[kind] += len(frame)


def _table(schema: Schema, frame: pd.DataFrame) -> pa.Table:
    import pyarrow as pa

    types: dict[str, Any] = {
        TEXT: pa.string(),
        COUNT: pa.int64(),
        FLAG: pa.bool_(),
        MOMENT: pa.timestamp("us", tz="UTC"),
        SPAN: pa.duration("us"),
        OBJECT: pa.string(),
    }
    fields = {
        column.name: pa.list_(pa.string()) if column.name in _LISTS else types[column.dtype]
        for column in schema.columns
    }
    written = frame.copy(deep=False)
    for column in schema.columns:
        if column.dtype == OBJECT and column.name not in _LISTS:
            written[column.name] = [None if value is None else _json(value) for value in frame[column.name]]
    return pa.Table.from_pandas(written, schema=pa.schema(list(fields.items())), preserve_index=False)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
