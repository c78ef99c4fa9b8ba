"""What differs between two states of a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from triggers_nb.analysis.reading import Source
from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value
from triggers_nb.core.instances import TaskConfig, read_metadata
from triggers_nb.core.records import ConfigRecord, HeadRecord, InstanceRecord, LatestRecord, decode_record
from triggers_nb.core.status import STATUSES
from triggers_nb.storages.store import Cell, SessionState

#: Kinds of cells that people know, in the order of the rows.
_KINDS: Final = {rec.HEAD: "session", rec.CONFIG: "task", rec.LATEST: "trigger", rec.INSTANCE: "instance"}

Facts = dict[str, Any]


def difference_columns(source: Source, uid: str, before: SessionState, after: SessionState) -> dict[str, Any]:
    """Return the columns of `schema.DIFFERENCES`."""
    rows = list(_rows(source, before, after))
    names = ("kind", "target", "field", "before", "after")
    columns: dict[str, Any] = {name: [row[i] for row in rows] for i, name in enumerate(names)}
    return {"session_uid": [uid] * len(rows), **columns}


def _rows(source: Source, before: SessionState, after: SessionState) -> Iterator[tuple[Any, ...]]:
    for prefix, kind in _KINDS.items():
        names = {name for name in {*before.cells, *after.cells} if _is_a(name, prefix)}
        for name in sorted(names, key=_natural):
            old, new = before.cells.get(name), after.cells.get(name)
            if old != new:
                target = "" if prefix == rec.HEAD else name.removeprefix(prefix)
                yield from ((kind, target, *change) for change in _changes(source, name, old, new))


def _changes(source: Source, name: str, old: Cell | None, new: Cell | None) -> Iterator[tuple[str, Any, Any]]:
    was, now = _facts(name, old), _facts(name, new)
    for field in [*was, *(field for field in now if field not in was)]:
        if was.get(field) != now.get(field):
            yield field, source.value(was.get(field)), source.value(now.get(field))


def _is_a(name: str, prefix: str) -> bool:
    return name == prefix if prefix == rec.HEAD else name.startswith(prefix)


def _natural(name: str) -> tuple[str, int]:
    return rec.split_instance_name(name) or (name, 0)


def _facts(name: str, cell: Cell | None) -> Facts:
    if cell is None:
        return {}
    record = decode_record(name, cell.data)
    if isinstance(record, HeadRecord):
        return {"manager": record.manager, "timeout": record.timeout_s, "metadata": decode_value(record.metadata)}
    if isinstance(record, ConfigRecord):
        return TaskConfig.from_record(name.removeprefix(rec.CONFIG), record).serialize()
    if isinstance(record, LatestRecord):
        return {"n_fired": record.n_fired, "kwargs": decode_value(record.kwargs)}
    assert isinstance(record, InstanceRecord)
    return _instance_facts(record)


def _instance_facts(record: InstanceRecord) -> Facts:
    metadata = read_metadata(record)
    del metadata["timestamps"]
    kwargs = {f"kwargs.{trigger}": decode_value(raw) for trigger, raw in record.kwargs.items()}
    return {"status": STATUSES[record.status], **kwargs, "unless": list(record.seen) or None, **metadata}
