"""A change in the making: what it read, what it will write.

`Slice` is what a decision may look at. It notes everything that was looked at, so that a commit compares exactly
that, and asks (`Missing`) for what has not been read yet; the decision is then made again from the start. `Work` adds
what the decision wants written; `Work.step` is the outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value, encode_value
from triggers_nb.core.events import NO_KWARGS, Change, Event, Provenance, Raw, Undo, encode_event
from triggers_nb.core.records import (
    ConfigRecord,
    HeadRecord,
    InstanceRecord,
    LatestRecord,
    Record,
    TaskRecord,
    TriggerRecord,
    decode_record,
    encode_record,
)
from triggers_nb.core.status import CODES, STATUSES
from triggers_nb.errors import StorageError, UnknownInstance, UnknownSession, UnknownTask

#: Names of due items: a hand-over that nobody has claimed, a lease, hooks that have not been run.
HANDOVER, LEASE, HOOKS = "p:", "r:", "q:"

#: Names of counts.
UNRESOLVED, TASKS = "unresolved", "tasks"
STATUS_COUNT, CREATED_COUNT, TASK_COUNT, LEVEL_COUNT = "s:", "n:", "u:", "l:"


class Missing(Exception):
    """A decision needs cells that have not been read; never leaves the storage layer."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)


class Loaded(msgspec.Struct, eq=False):
    """A cell as it was read: revision 0 and no data if it is not there. Decoded once."""

    cell: str
    revision: int
    data: bytes | None
    _record: Record | None = None

    @property
    def record(self) -> Record | None:
        """What the cell holds, None if it is not there."""
        if self._record is None and self.data is not None:
            self._record = decode_record(self.cell, self.data)
        return self._record


class Slice:
    """The part of a session that a decision looks at.

    Parameters
    ----------
    uid : str
        The session.
    epoch : int
        0 if it does not exist.
    cells : mapping of str to Loaded
        What has been read so far, absent cells included.
    """

    __slots__ = ("cells", "epoch", "reads", "uid")

    def __init__(self, uid: str, epoch: int, cells: Mapping[str, Loaded]) -> None:
        self.uid = uid
        self.epoch = epoch
        self.cells = cells
        self.reads: dict[str, int] = {}

    def get(self, cell: str) -> Record | None:
        """Look at a cell."""
        loaded = self.cells.get(cell)
        if loaded is None:
            if self.epoch:
                raise Missing((cell,))
            self.reads[cell] = 0
            return None
        self.reads[cell] = loaded.revision
        return loaded._record or loaded.record

    def need(self, cells: Iterable[str]) -> None:
        """Ask for all of these that have not been read, at once."""
        if self.epoch:
            missing = [cell for cell in cells if cell not in self.cells]
            if missing:
                raise Missing(missing)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a decision, to be committed as one."""

    action: str
    reads: dict[str, int]
    #: New records of cells, encoded.
    writes: dict[str, bytes]
    #: The same, decoded.
    records: dict[str, Record]
    counts: dict[str, int]
    due: dict[str, tuple[float, bytes] | None]
    changes: tuple[Change, ...]
    undo: tuple[Undo, ...]
    #: Instances to be handed over to runners, in order.
    scheduled: tuple[InstanceRecord, ...]
    #: Hooks to be called after the commit, in order.
    hooks: tuple[HookCall, ...]
    timeout_s: float | None

    def is_empty(self) -> bool:
        """Whether there is nothing to commit."""
        return not self.changes

    def event(self, commit_id: bytes, provenance: Provenance, error: str | None = None) -> bytes:
        """Encode the event of this step."""
        return encode_event(
            Event(
                self.action,
                commit_id,
                self.changes,
                self.undo,
                self.counts,
                provenance.actor,
                provenance.reason,
                provenance.action_id,
                provenance.plan_id,
                error,
            )
        )


class HookCall(msgspec.Struct, frozen=True, array_like=True):
    """A hook that is to be called after a commit."""

    #: ``_post_fire``, ``_post_replay`` or ``_post_skip``.
    hook: str
    #: The trigger that was fired, or the instance that was skipped or made by a replay.
    target: str
    #: ``_post_fire``: names of the instances scheduled.
    scheduled: tuple[str, ...] = ()
    #: ``_post_skip``: whether a cascade was simulated.
    cascade: bool = False


class Work:
    """A change in the making.

    Parameters
    ----------
    session : Slice
        What it may look at.
    action : str
        What the event will be called.
    now_us : int
        The moment, microseconds since 1970.
    grace_s : float
        Seconds after which a hand-over or a hook that has not happened is recovered.
    hooked : frozenset of str
        Hooks that the manager overrides; only those are recorded as pending.
    is_deferred : bool
        Whether all hand-overs are left to recovery, so that they are due at once.
    """

    __slots__ = (
        "_dirty", "action", "changes", "counts", "due", "grace_s", "handover_s", "hooked", "hooks", "now_us",
        "scheduled", "session", "timeout_s",
    )  # fmt: skip

    def __init__(
        self,
        session: Slice,
        action: str,
        now_us: int,
        *,
        grace_s: float = 30.0,
        hooked: frozenset[str] = frozenset(),
        is_deferred: bool = False,
    ) -> None:
        self.session = session
        self.action = action
        self.now_us = now_us
        self.grace_s = grace_s
        self.handover_s = 0.0 if is_deferred else grace_s
        self.hooked = hooked
        self._dirty: dict[str, Record] = {}
        self.counts: dict[str, int] = {}
        self.due: dict[str, tuple[float, bytes] | None] = {}
        self.changes: list[Change] = []
        self.scheduled: list[InstanceRecord] = []
        self.hooks: list[HookCall] = []
        self.timeout_s: float | None = None

    # Reading ------------------------------------------------------------------------------------------------------

    def get(self, cell: str) -> Record | None:
        """Look at a cell as this change leaves it."""
        return self._dirty.get(cell) or self.session.get(cell)

    def head(self) -> HeadRecord | None:
        """The session's head, None if the session does not exist."""
        return self.get(rec.HEAD)  # type: ignore[return-value]

    def config(self, task: str) -> ConfigRecord:
        """A task's configuration."""
        record = self.get(rec.CONFIG + task)
        if record is None:
            raise UnknownTask(task)
        return record  # type: ignore[return-value]

    def task(self, task: str) -> TaskRecord:
        """A task's state."""
        return self.get(rec.TASK + task) or TaskRecord()  # type: ignore[return-value]

    def trigger(self, trigger: str) -> TriggerRecord | None:
        """The tasks that a trigger concerns."""
        return self.get(rec.TRIGGER + trigger)  # type: ignore[return-value]

    def latest(self, trigger: str) -> LatestRecord | None:
        """The latest firing of a trigger."""
        return self.get(rec.LATEST + trigger)  # type: ignore[return-value]

    def instance(self, name: str) -> InstanceRecord:
        """An instance by its name.

        Raises
        ------
        UnknownInstance
            If there is none.
        """
        record = self.get(rec.INSTANCE + name) if rec.split_instance_name(name) else None
        if record is None:
            raise UnknownInstance(name)
        return record  # type: ignore[return-value]

    # Writing ------------------------------------------------------------------------------------------------------

    def put(self, cell: str, record: Record) -> None:
        """Write a cell, which must have been looked at."""
        self._dirty[cell] = record

    def count(self, name: str, delta: int) -> None:
        """Change a count."""
        self.counts[name] = self.counts.get(name, 0) + delta

    def change(
        self,
        action: str,
        target: str,
        before: int | None = None,
        after: int | None = None,
        *,
        trigger: str | None = None,
        kwargs: Raw = NO_KWARGS,
        cause: str | None = None,
    ) -> None:
        """Note one consequence."""
        self.changes.append(Change(action, target, before, after, trigger, kwargs, cause))

    def put_instance(self, before: InstanceRecord | None, after: InstanceRecord) -> None:
        """Write an instance and keep the counts right."""
        if before is None:
            self.count(CREATED_COUNT + after.task, 1)
        if before is None or before.status != after.status:
            self._count_status(before, after)
        if after.log_level != (before.log_level if before is not None else 0):
            self._count_level(before, after)
        self._dirty[rec.INSTANCE + after.name] = after

    def _count_status(self, before: InstanceRecord | None, after: InstanceRecord) -> None:
        if before is not None:
            self.count(STATUS_COUNT + STATUSES[before.status], -1)
        self.count(STATUS_COUNT + STATUSES[after.status], 1)
        was_open = before is not None and not before.is_resolved
        is_open = not after.is_resolved
        if was_open != is_open:
            self.count(TASK_COUNT + after.task, is_open - was_open)
            self.count(UNRESOLVED, is_open - was_open)

    def _count_level(self, before: InstanceRecord | None, after: InstanceRecord) -> None:
        if before is not None and before.log_level:
            self.count(LEVEL_COUNT + str(before.log_level), -1)
        if after.log_level:
            self.count(LEVEL_COUNT + str(after.log_level), 1)

    def enter(self, record: InstanceRecord, status: str, cause: str | None = None, **fields: Any) -> InstanceRecord:
        """Bring an instance into a status now (which may be the one it has)."""
        code = CODES[status]
        stamps = rec.touch_stamps(record.stamps, self.now_us, code)
        after = msgspec.structs.replace(forget_own_moments(record), status=code, stamps=stamps, **fields)
        self.put_instance(record, after)
        self.change("status", record.name, record.status, code, cause=cause)
        return after

    def schedule(self, record: InstanceRecord, cause: str | None = None, delay_s: float = 0.0) -> InstanceRecord:
        """Schedule an unstarted instance and record the pending hand-over."""
        after = self.enter(record, "scheduled", cause)
        self.hand_over(after, delay_s)
        return after

    def hand_over(self, record: InstanceRecord, delay_s: float = 0.0) -> None:
        """Record the pending hand-over of a scheduled instance."""
        self.due[HANDOVER + record.name] = (delay_s + self.handover_s, b"")
        self.scheduled.append(record)

    def call_hook(self, call: HookCall) -> None:
        """Have a hook called after the commit."""
        self.hooks.append(call)

    def refuse_missing_session(self) -> None:
        """Raise if the session does not exist."""
        if self.head() is None:
            self.no_session()

    def no_session(self) -> NoReturn:
        """Raise that the session does not exist."""
        raise UnknownSession(
            self.session.uid,
            hint="It was never configured, was deleted, or has expired; configure it or fire a trigger first",
        )

    # Finishing ----------------------------------------------------------------------------------------------------

    def step(self, commit_id: bytes) -> Step:
        """Close the change."""
        pending = tuple([call for call in self.hooks if call.hook in self.hooked])
        if pending:
            self.due[HOOKS + commit_id.hex()] = (self.grace_s, encode_hooks(pending))
        cells, undo, writes = self.session.cells, [], {}
        for cell, record in self._dirty.items():
            loaded = cells.get(cell)
            if loaded is not None:
                undo.append(Undo(cell, loaded.revision, loaded.data))
            elif not self.session.epoch or cell.startswith(rec.INSTANCE):
                undo.append(Undo(cell, 0, None))
            else:
                raise StorageError(f"cell {cell!r} is written unread")  # a mistake of ours, never of the caller
            writes[cell] = encode_record(record)
        head = self.head()
        return Step(
            action=self.action,
            reads=self.session.reads,
            writes=writes,
            records=self._dirty,
            counts={name: delta for name, delta in self.counts.items() if delta or name[:2] == CREATED_COUNT},
            due=self.due,
            changes=tuple(self.changes),
            undo=tuple(undo),
            scheduled=tuple(self.scheduled),
            hooks=tuple(self.hooks),
            timeout_s=head.timeout_s if head else None,
        )


encode_hooks: Callable[[tuple[HookCall, ...]], bytes] = msgspec.msgpack.Encoder().encode
decode_hooks = msgspec.msgpack.Decoder(tuple[HookCall, ...]).decode


def forget_own_moments(record: InstanceRecord) -> InstanceRecord:
    """Drop a draft's own ``lastModified`` before the engine notes another one."""
    if "timestamps" not in record.metadata:
        return record
    own = {key: value for key, value in decode_value(record.metadata["timestamps"]).items() if key != "lastModified"}
    metadata = {**record.metadata, "timestamps": Raw(encode_value(own))}
    return msgspec.structs.replace(record, metadata=metadata)
