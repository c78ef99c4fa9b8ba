"""What the cells of a session hold, and how they are laid out.

A session is a set of named cells. Each holds one record, encoded as a msgpack array:

==================  =================  =====================================================================
cell                record             written
==================  =================  =====================================================================
``head``            `HeadRecord`       when the session is made, its manager or its metadata change
``c:<task>``        `ConfigRecord`     by a configuration
``g:<trigger>``     `TriggerRecord`    by a configuration that names the trigger
``t:<task>``        `TaskRecord`       when instances are created, or unstarted ones change
``k:<trigger>``     `LatestRecord`     when the trigger fires
``i:<task>#<n>``    `InstanceRecord`   when the instance changes
==================  =================  =====================================================================

A trigger's and a task's cell begin with *links*: names of the cells that a change which reads them will need, so
that a storage can bring all of them in one trip. Cells are never deleted.
"""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeGuard

import msgspec

from triggers_nb.core.codec import DAMAGE, EMPTY_MAP
from triggers_nb.core.status import CODES, RESOLVED, STATUSES, StatusCode
from triggers_nb.errors import StorageError

Raw = msgspec.Raw

#: Version of this layout; a session of a newer one is refused.
SCHEMA_VERSION: Final = 1

HEAD: Final = "head"
CONFIG, TRIGGER, TASK, LATEST, INSTANCE = "c:", "g:", "t:", "k:", "i:"

#: Fields of an instance's block of moments, eight bytes each: microseconds since 1970, 0 for never.
STAMPS: Final = ("created", "lastModified", *STATUSES)
_STAMPS = struct.Struct(f"<{len(STAMPS)}q")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

#: How many open instances a task's cell links to.
MAX_LINKS: Final = 8

_RESOLVED_CODES: Final = frozenset(CODES[status] for status in RESOLVED)


class HeadRecord(msgspec.Struct, frozen=True, array_like=True):
    """What holds for the whole session."""

    #: `SCHEMA_VERSION` of the writer.
    version: int
    #: Key of the manager that the session remembers.
    manager: str | None
    #: Microseconds since 1970.
    created_us: int
    #: Seconds after its last change at which a resolved session expires.
    timeout_s: float | None
    #: Encoded mapping of the application's own session metadata.
    metadata: Raw = Raw(EMPTY_MAP)


class ConfigRecord(msgspec.Struct, frozen=True, array_like=True):
    """A task's configuration."""

    run: str
    #: Sorted, and_every included.
    after: tuple[str, ...]
    and_every: str | None
    #: Sorted.
    unless: tuple[str, ...]
    using: str | None
    #: Encoded mapping of mappings.
    with_params: Raw
    #: Encoded mapping of unknown directives.
    extra: Raw

    def triggers(self) -> set[str]:
        """All triggers that the task names."""
        return {*self.after, *self.unless}


class TriggerRecord(msgspec.Struct, frozen=True, array_like=True):
    """Which tasks a firing of this trigger concerns."""

    links: tuple[str, ...]
    #: Names of the tasks, sorted.
    tasks: tuple[str, ...]


class Group(msgspec.Struct, frozen=True, array_like=True):
    """Unstarted instances of a task that hold the same triggers."""

    #: Triggers whose kwargs they hold, sorted.
    held: tuple[str, ...]
    #: ``unless`` triggers that they have seen, sorted.
    seen: tuple[str, ...]
    #: Their indices as half-open ranges: start, stop, start, stop, …
    ranges: tuple[int, ...]


class TaskRecord(msgspec.Struct, frozen=True, array_like=True):
    """The state of a task that its configuration does not hold."""

    links: tuple[str, ...] = ()
    #: Index of the next instance.
    next_index: int = 0
    #: Its unstarted instances.
    groups: tuple[Group, ...] = ()


#: A number that is not negative and that every column can hold, checked when it is decoded.
Number = Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


class LatestRecord(msgspec.Struct, frozen=True, array_like=True):
    """The latest firing of a trigger."""

    #: Encoded mapping.
    kwargs: Raw
    n_fired: Number
    fired_us: Number


#: A block of moments.
Stamps = Annotated[bytes, msgspec.Meta(min_length=_STAMPS.size, max_length=_STAMPS.size)]


class InstanceRecord(msgspec.Struct, frozen=True, array_like=True):
    """One execution of a task."""

    task: str
    index: Number
    #: Position in `STATUSES`.
    status: StatusCode
    #: Block of `STAMPS`.
    stamps: Stamps
    parent: str | None = None
    depth: Number = 0
    #: Retries by the task itself since the last start from outside.
    retries: Number = 0
    log_level: Number = 0
    logs_resolved: bool = False
    exception_type: str | None = None
    exception_message: str | None = None
    #: ``unless`` triggers that have fired, sorted.
    seen: tuple[str, ...] = ()
    #: Fencing token of the worker that claimed it.
    claim: bytes = b""
    #: Encoded kwargs of each trigger.
    kwargs: dict[str, Raw] = {}
    #: Encoded values of all other metadata.
    metadata: dict[str, Raw] = {}

    @property
    def name(self) -> str:
        """``<task>#<index>``."""
        return f"{self.task}#{self.index}"

    @property
    def is_resolved(self) -> bool:
        """Whether nothing changes its status any more."""
        return self.status in _RESOLVED_CODES


class InstanceRow(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The fields of an `InstanceRecord` before its payloads, for reading many of them."""

    task: str
    index: Number
    status: StatusCode
    stamps: Stamps
    parent: str | None = None
    depth: Number = 0
    retries: Number = 0
    log_level: Number = 0
    logs_resolved: bool = False
    exception_type: str | None = None
    exception_message: str | None = None


encode_record = msgspec.msgpack.Encoder().encode

_DECODERS: Final[dict[str, msgspec.msgpack.Decoder[Any]]] = {
    "h": msgspec.msgpack.Decoder(HeadRecord),
    "c": msgspec.msgpack.Decoder(ConfigRecord),
    "g": msgspec.msgpack.Decoder(TriggerRecord),
    "t": msgspec.msgpack.Decoder(TaskRecord),
    "k": msgspec.msgpack.Decoder(LatestRecord),
    "i": msgspec.msgpack.Decoder(InstanceRecord),
}
_rows = msgspec.msgpack.Decoder(list[InstanceRow]).decode
_links = msgspec.msgpack.Decoder(list[Raw])
_names = msgspec.msgpack.Decoder(tuple[str, ...])

Record = HeadRecord | ConfigRecord | TriggerRecord | TaskRecord | LatestRecord | InstanceRecord


def decode_record(cell: str, data: bytes) -> Record:
    """Decode the record of a cell.

    Raises
    ------
    StorageError
        If the bytes are damaged, or a newer version wrote them.
    """
    try:
        record: Record = _DECODERS[cell[0]].decode(data)
    except DAMAGE as error:
        raise StorageError(f"cell {cell!r} cannot be read: {error}") from error
    if isinstance(record, HeadRecord) and record.version > SCHEMA_VERSION:
        raise StorageError(
            f"the session was written by a newer version (layout {record.version}, this one knows {SCHEMA_VERSION}); "
            "upgrade triggers-nb"
        )
    return record


def decode_rows(cells: list[bytes]) -> list[InstanceRow]:
    """Decode many instances' cells in one go."""
    try:
        return _rows(b"\xdd" + len(cells).to_bytes(4, "big") + b"".join(cells))
    except DAMAGE as error:
        raise StorageError(f"an instance's cell cannot be read: {error}") from error


def links_of(cell: str, data: bytes) -> tuple[str, ...]:
    """Names of the cells that a change which reads this one will need; empty for all but ``g:`` and ``t:``.

    Raises
    ------
    StorageError
        If the bytes are damaged.
    """
    if cell[:2] not in (TRIGGER, TASK):
        return ()
    try:
        return _names.decode(_links.decode(data)[0])
    except DAMAGE as error:
        raise StorageError(f"cell {cell!r} cannot be read: {error}") from error


def instance_name(task: str, index: int) -> str:
    """``<task>#<index>``."""
    return f"{task}#{index}"


def split_instance_name(name: str) -> tuple[str, int] | None:
    """Take an instance's name apart, or return None if it cannot be one."""
    task, sign, index = name.rpartition("#")
    if sign and index.isascii() and index.isdigit() and (index == "0" or index[0] != "0"):
        return task, int(index)
    return None


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // _MICROSECOND


def is_moment(value: object) -> TypeGuard[datetime]:
    """Whether it is an aware datetime: what a draft has set, or somebody has forged, may be anything."""
    return isinstance(value, datetime) and value.tzinfo is not None


def from_us(us: int) -> datetime:
    """The aware UTC moment of microseconds since 1970.

    Raises
    ------
    StorageError
        If there is no such moment; what says so is damaged.
    """
    try:
        return _EPOCH + timedelta(microseconds=us)
    except OverflowError as error:
        raise StorageError(f"a stored moment cannot be read: {us} microseconds since 1970") from error


def new_stamps(us: int, *statuses: int) -> bytes:
    """The block of an instance that is created and enters these statuses now."""
    stamps = [0] * len(STAMPS)
    stamps[0] = stamps[1] = us
    for status in statuses:
        stamps[2 + status] = us
    return _STAMPS.pack(*stamps)


def touch_stamps(block: bytes, us: int, status: int | None = None) -> bytes:
    """The block after a change now, which may enter a status."""
    stamps = list(_STAMPS.unpack(block))
    stamps[1] = us
    if status is not None:
        stamps[2 + status] = us
    return _STAMPS.pack(*stamps)


def read_stamps(block: bytes) -> dict[str, datetime]:
    """All moments of a block that are set, by name."""
    return {name: from_us(us) for name, us in zip(STAMPS, _STAMPS.unpack(block), strict=True) if us}
