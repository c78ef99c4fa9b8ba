"""Changing instances by hand: under the session's lock, committed as one."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from triggers_nb.core import records as rec
from triggers_nb.core import transitions
from triggers_nb.core.codec import encode_mapping
from triggers_nb.core.configuration import is_name, parse_configuration
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.metadata import parse_draft
from triggers_nb.core.records import InstanceRecord, Raw
from triggers_nb.core.status import CODES, STATUSES, check_by_hand, check_status
from triggers_nb.core.work import CREATED_COUNT, HANDOVER, LEASE, Work
from triggers_nb.errors import (
    InvalidStatus,
    InvalidValue,
    LockAcquisitionFailed,
    StaleTarget,
    UnknownInstance,
    UnknownTask,
    shown,
)
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.transactions import COMMIT_TIMEOUT_S

#: For how long a lock outlives a holder that is killed.
LOCK_LEASE_S = 5.0
#: For how long it may be made to.
MAX_LEASE_S = 1e6


@contextmanager
def locked(storage: BaseTriggerStorage, ttl: float | bool | None, block: bool) -> Iterator[DraftStorage]:
    """Hold the session's lock; see `BaseTriggerStorage.acquire_lock`."""
    if storage.lock_token:
        yield DraftStorage(storage)
        return
    lease_s = LOCK_LEASE_S if ttl is None or isinstance(ttl, bool) else float(ttl)
    if not 0 < lease_s < MAX_LEASE_S:
        raise ValueError(f"ttl is a positive number of seconds, or True for {LOCK_LEASE_S:.0f}; not {ttl!r}")
    lock = _Lock(storage, lease_s)
    lock.acquire(block)
    storage.lock_token = lock.token
    try:
        yield DraftStorage(storage)
    finally:
        storage.lock_token = b""
        lock.release()


class _Lock:
    """The lock of a session, kept alive by a thread until it is released."""

    def __init__(self, storage: BaseTriggerStorage, lease_s: float) -> None:
        self.token = os.urandom(16)
        self._storage, self._lease_s = storage, lease_s
        self._released = threading.Event()
        self._renewer = threading.Thread(target=self._renew, name=f"lock {storage.uid}", daemon=True)

    def acquire(self, block: bool) -> None:
        deadline = time.monotonic() + COMMIT_TIMEOUT_S
        while wait_s := self._storage.store.acquire_lock(self._storage.uid, self.token, self._lease_s):
            if not block or time.monotonic() > deadline:
                raise LockAcquisitionFailed(
                    f"session {self._storage.uid!r} is locked by another, for {wait_s:.1f} s at most if that has died"
                    + ("" if block else " (block=False)")
                )
            time.sleep(min(wait_s, 0.02))
        self._renewer.start()

    def _renew(self) -> None:
        while not self._released.wait(self._lease_s / 3):
            if self._storage.store.acquire_lock(self._storage.uid, self.token, self._lease_s):
                return  # lost: ``save`` will say so

    def release(self) -> None:
        self._released.set()
        self._renewer.join()
        self._storage.store.release_lock(self._storage.uid, self.token)


class DraftStorage:
    """A locked session: the instances that are read from it are drafts, which ``save()`` commits.

    Everything that is not about drafts is that of the storage.
    """

    def __init__(self, storage: BaseTriggerStorage) -> None:
        self._storage = storage
        self._drafts: dict[str, TaskInstance] = {}
        self._created: dict[str, int] = {}
        self._configuration: dict[str, rec.ConfigRecord] = {}
        self._metadata: dict[str, Any] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def __getitem__(self, instance_name: str) -> TaskInstance:
        """The draft of an instance: the same object each time."""
        if instance_name not in self._drafts:
            self._drafts[instance_name] = self._storage[instance_name]
        return self._drafts[instance_name]

    def __iter__(self) -> Iterator[TaskInstance]:
        return iter(self._all().values())

    iter_instances = __iter__

    @property
    def metadata(self) -> dict[str, Any]:
        """The draft of the session's own metadata: the same dict each time. ``latest_kwargs`` in it is for reading."""
        if self._metadata is None:
            self._metadata = self._storage.metadata
        return self._metadata

    @property
    def instances(self) -> Mapping[str, TaskInstance]:
        """All drafts by name, those created here included."""
        return self._all()

    def instances_of_task(self, task_config: TaskConfig | str) -> dict[str, TaskInstance]:
        """All drafts of a task by name."""
        task = task_config if isinstance(task_config, str) else task_config.name
        return {name: instance for name, instance in self._all().items() if instance.config.name == task}

    def _all(self) -> dict[str, TaskInstance]:
        for name, instance in self._storage._instances().items() if self._storage.exists() else ():
            self._drafts.setdefault(name, instance)
        return dict(self._drafts)

    def acquire_lock(self, ttl: float | bool | None = True, block: bool = True) -> Any:
        """The lock is held already: drafts are shared with the outer block."""
        return _Same(self)

    def update_configuration(self, configuration: Mapping[str, Any]) -> None:
        """Add or replace tasks; committed by ``save()``."""
        self._configuration.update(parse_configuration(configuration))

    def create_instance(self, task_config: TaskConfig | str, **kwargs: Any) -> TaskInstance:
        """Make the draft of a new instance.

        Parameters
        ----------
        task_config : TaskConfig or str
            Its task.
        **kwargs
            ``status``, ``metadata``, ``kwargs`` and ``abandonState`` of the instance.
        """
        name = task_config if isinstance(task_config, str) else task_config.name
        tasks = self._storage.tasks
        if name not in tasks:
            raise UnknownTask(name, tasks)
        index = self._storage.counts().get(CREATED_COUNT + name, 0) + self._created.get(name, 0)
        draft = TaskInstance(rec.instance_name(name, index), tasks[name], **kwargs)
        self._created[name] = self._created.get(name, 0) + 1
        self._drafts[draft.name] = draft
        return draft

    def clone_instance(self, task_instance: TaskInstance | str) -> TaskInstance:
        """Make the draft of an unstarted copy of an instance."""
        name = task_instance if isinstance(task_instance, str) else task_instance.name
        original = self[name]
        return self.create_instance(
            original.config,
            abandonState=original.abandon_state,
            kwargs=original.kwargs,
            metadata={TaskInstance.META_DEPTH: original.depth + 1, TaskInstance.META_PARENT: original.name},
        )

    def save(self) -> None:
        """Commit everything that was changed, as one.

        Raises
        ------
        LockAcquisitionFailed
            If the lock's lease ran out before.
        StaleTarget
            If something that was changed here was changed elsewhere, too (under a lock, only by this thread's own
            manager calls). Nothing was saved.
        InvalidStatus, InvalidValue
            If a draft has a status that it cannot have, or a value that cannot be stored. Nothing was saved.
        """
        storage = self._storage
        if not storage.lock_token:
            raise RuntimeError("save() is only possible inside acquire_lock()")
        if storage.store.acquire_lock(storage.uid, storage.lock_token, LOCK_LEASE_S):
            raise LockAcquisitionFailed(
                f"the lock of session {storage.uid!r} ran out and another has it now: nothing was saved"
            )
        changed = [draft for draft in self._drafts.values() if _is_changed(draft)]
        outcome = storage.transact("edit", lambda work: self._write(work, changed))
        if outcome.committed is None:
            return
        self._created.clear()
        self._configuration.clear()
        for draft in changed:
            record = outcome.step.records[rec.INSTANCE + draft.name]
            fresh = TaskInstance.from_record(record, draft.config, outcome.committed.seq, storage.uid)  # type: ignore[arg-type]
            vars(draft).update(vars(fresh))

    def _write(self, work: Work, changed: list[TaskInstance]) -> None:
        if self._configuration:
            transitions.make_session(work, None, self._storage.timeout)
            transitions.configure(work, self._configuration)
        work.refuse_missing_session()
        work.session.need(rec.INSTANCE + draft.name for draft in changed)
        work.session.need(rec.TASK + draft.config.name for draft in changed)
        if self._metadata is not None:
            own = {key: value for key, value in self._metadata.items() if key != "latest_kwargs"}
            write_metadata(work, own)
        for draft in changed:
            write_draft(work, draft)


class _Same:
    """A context manager that gives what it was given."""

    def __init__(self, inner: DraftStorage) -> None:
        self._inner = inner

    def __enter__(self) -> DraftStorage:
        return self._inner

    def __exit__(self, *_: object) -> None:
        pass


def _is_changed(draft: TaskInstance) -> bool:
    if draft._record is None:
        return True
    stored = TaskInstance.from_record(draft._record, draft.config, draft.revision)
    if draft.status != stored.status or draft.abandon_state != stored.abandon_state:
        return True
    # Encoded, because values that are equal need not be the same: 1, 1.0 and True.
    if draft._kwargs is not None and _bytes(draft._kwargs, "kwargs") != _bytes(stored.kwargs):
        return True
    return draft._metadata is not None and _bytes(draft._metadata, "metadata") != _bytes(stored.metadata)


def _bytes(values: object, path: str = "") -> bytes:
    return encode_mapping(values, path, depth=-1)


def write_metadata(work: Work, metadata: Mapping[str, Any]) -> None:
    """Write the session's own metadata, if it was changed."""
    head = work.head()
    assert head is not None
    encoded = Raw(encode_mapping(metadata, "metadata"))
    if bytes(encoded) != bytes(head.metadata):
        work.put(rec.HEAD, msgspec.structs.replace(head, metadata=encoded))
        work.change("session", "metadata")


def write_draft(work: Work, draft: TaskInstance) -> None:
    """Write a draft that was changed."""
    before = work.get(rec.INSTANCE + draft.name)
    status = check_status(draft.status)
    if draft._record is None:
        _create(work, draft, before, status)
        return
    if before is None:
        raise UnknownInstance(draft.name)
    revision = work.session.cells[rec.INSTANCE + draft.name].revision
    if revision != draft.revision:
        raise StaleTarget(work.session.uid, rec.INSTANCE + draft.name, draft.revision, revision)
    assert isinstance(before, InstanceRecord)
    check_by_hand(draft.name, STATUSES[before.status], status)
    if STATUSES[before.status] == "unstarted":
        transitions.close_instance(work, before)
    _put(work, before, _filled(work, draft, before, status))


def _create(work: Work, draft: TaskInstance, before: object, status: str) -> None:
    task = draft.config.name
    parts = rec.split_instance_name(draft.name)
    state = work.task(task)
    if parts is None or before is not None or parts[1] != state.next_index:
        raise StaleTarget(work.session.uid, rec.TASK + task, parts[1] if parts else 0, state.next_index)
    if status in ("scheduled", "running"):
        raise InvalidStatus(f"a new instance cannot be {status}: only the engine schedules and starts instances")
    work.put(rec.TASK + task, msgspec.structs.replace(state, next_index=state.next_index + 1))
    empty = transitions.create(work, task, parts[1], {}, ())
    _put(work, empty, _filled(work, draft, None, status, empty))


def _filled(
    work: Work, draft: TaskInstance, stored: InstanceRecord | None, status: str, empty: InstanceRecord | None = None
) -> InstanceRecord:
    """The record that a draft asks for."""
    base = stored or empty
    assert base is not None
    own = parse_draft(draft.metadata, stored)
    entered = CODES[status] if CODES[status] != base.status else None
    return msgspec.structs.replace(
        base,
        status=CODES[status],
        stamps=rec.touch_stamps(base.stamps, work.now_us, entered),
        seen=_seen(draft),
        kwargs=encode_kwargs(draft.kwargs),
        metadata=own.metadata,
        **own.fields,
    )


def _seen(draft: TaskInstance) -> tuple[str, ...]:
    for trigger in draft.abandon_state:
        if not is_name(trigger):
            raise InvalidValue("abandon_state", trigger, "expected the names of triggers")
    return tuple(sorted(set(draft.abandon_state)))


def _put(work: Work, before: InstanceRecord, after: InstanceRecord) -> None:
    work.put_instance(before, after)
    work.change("status" if before.status != after.status else "metadata", after.name, before.status, after.status)
    if STATUSES[after.status] == "unstarted":
        transitions.open_instance(work, after)
    elif before.status != after.status:
        work.due[HANDOVER + after.name] = work.due[LEASE + after.name] = None


def encode_kwargs(kwargs: object, path: str = "kwargs") -> dict[str, Raw]:
    """Encode the kwargs of each trigger, each on its own."""
    if not isinstance(kwargs, Mapping):
        raise InvalidValue(path, kwargs, "expected a mapping of triggers to their kwargs")
    for trigger in kwargs:
        if not is_name(trigger):
            raise InvalidValue(f"{path}[{shown(trigger)}]", trigger, "expected a trigger's name")
    return {trigger: Raw(encode_mapping(value, f"{path}[{trigger!r}]")) for trigger, value in kwargs.items()}
