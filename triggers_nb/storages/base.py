"""A handle on one session: reading its state, and changing it by decisions that are committed as one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, ClassVar, Literal, Self, TypeVar

from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value
from triggers_nb.core.events import Provenance
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.records import ConfigRecord, HeadRecord, InstanceRecord, LatestRecord, decode_record
from triggers_nb.core.work import CREATED_COUNT, TASK_COUNT, UNRESOLVED, Loaded, Slice, Step, Work
from triggers_nb.errors import (
    ReadOnlyError,
    StorageError,
    UnknownInstance,
    UnknownSession,
    UnknownTask,
    brief,
)
from triggers_nb.registry import Registry
from triggers_nb.storages.guarded import GuardedStore, unguarded
from triggers_nb.storages.store import Cell, SessionState, Store
from triggers_nb.storages.transactions import KeptCells, Outcome, SessionTransaction, Watch

T = TypeVar("T")
Mode = Literal["read-write", "read-only"]

#: Storages by entry point.
storage_backends: Registry[BaseTriggerStorage] = Registry("triggers.storages")

#: The longest timeout of a session.
MAX_TIMEOUT_S = 1e9


def _refuse(uid: str, url: str, mode: Mode, guard: Callable[[], object] | None) -> None:
    if guard is not None:
        guard()
    if mode != "read-write":
        raise ReadOnlyError(f"session {uid!r} in {url} was opened read-only: nothing was changed")


class BaseTriggerStorage:
    """A handle on one session of a store.

    Every access reads the current state; nothing that was read is shared with anybody. A handle carries a mode and the
    provenance that its commits record, in every thread.

    Parameters
    ----------
    uid : str
        Names the session. It need not exist: the first configuration or firing makes it.
    store : Store
        Where it is kept.
    timeout : float, optional
        Seconds after its last change at which the session expires, once nothing in it is unresolved. None leaves what
        the session says, which is never for a new one.
    """

    #: Key in the registry, filled in when the class is looked up there.
    triggers__registry_key: ClassVar[str | None] = None

    def __init__(self, uid: str, store: Store, timeout: float | None = None) -> None:
        if not isinstance(uid, str) or not uid or uid.encode(errors="ignore").decode() != uid:
            raise ValueError(f"a session's UID is a non-empty string that UTF-8 can encode, not {brief(uid)}")
        if timeout is not None and not (isinstance(timeout, (int, float)) and 0 < timeout < MAX_TIMEOUT_S):
            raise ValueError(f"timeout is a number of seconds, 0 < timeout < 1e9, or None; not {brief(timeout)}")
        self.uid = uid
        self.store = store
        self.timeout = timeout
        self.mode: Mode = "read-write"
        self.provenance = Provenance()
        #: Revisions that cells must have when a change rests on them.
        self.expected: Mapping[str, int] = {}
        #: Key of the task runner for work that is scheduled through this handle.
        self.runner: str | None = None
        #: The same, for when nothing else says where work runs.
        self.fallback_runner: str | None = None
        #: ``defer`` leaves all hand-overs to ``recover()``.
        self.handover: Literal["now", "defer"] = "now"
        #: Whether work may only run in this process if `runner` says so.
        self.refuse_threading = False
        #: ``module:attribute`` of the Celery application that takes the work, if it is not the current one.
        self.celery_app: object = None
        #: Called before every change; raises if there is another reason than `mode` to refuse it.
        self.guard: Callable[[], object] | None = None
        #: What a step of a plan wants of the changes that its thread makes through this handle.
        self.watch: Watch | None = None
        #: Takes the work that is scheduled through this handle, in place of any runner: nothing runs.
        self.take: Callable[[TaskInstance], object] | None = None
        #: Whether the manager must be the one that the session remembers; a preview may try another one.
        self.check_manager = True
        #: Whether hooks are called for changes through this handle; only a preview goes without.
        self.call_hooks = True
        #: What earlier changes saw; a change takes one for itself alone.
        self.kept: list[KeptCells] = []
        self._lock = threading.local()

    def derive(
        self,
        *,
        mode: Mode | None = None,
        provenance: Provenance | None = None,
        expected: Mapping[str, int] | None = None,
        **others: Any,
    ) -> Self:
        """Make another handle on the same session, with another mode, provenance or expected revisions (or others).

        What this one may not change, the other may not, either, unless it is given a `store` of its own.
        """
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.mode = mode or self.mode
        other.provenance = provenance or self.provenance
        other.expected = self.expected if expected is None else expected
        vars(other).update(others)
        is_restricted = other.mode != "read-write" or other.guard is not None
        if is_restricted and (mode is not None or not others.keys().isdisjoint(("guard", "store"))):
            # Not by the handle's methods alone: its store is for all to use.
            other.store = GuardedStore(
                other.store, partial(_refuse, self.uid, other.store.url, other.mode, other.guard)
            )
        other.kept = []
        other._lock = threading.local()
        return other

    def for_worker(self, actor: str) -> Self:
        """Make the handle of a running instance, which may end whatever becomes of the handle that scheduled it.

        Raises
        ------
        ReadOnlyError
            If this handle may not change anything: then it cannot have scheduled one.
        """
        self.refuse_read_only()
        return self.derive(
            mode="read-write",
            provenance=Provenance(actor=actor),
            expected={},
            guard=None,
            store=unguarded(self.store),
            watch=None,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uid!r} in {self.store.url} ({self.mode})>"

    def __getstate__(self) -> object:
        raise TypeError("a storage handle cannot be pickled: pass its uid and URL, and open it where it is needed")

    # Reading ------------------------------------------------------------------------------------------------------

    def __getitem__(self, instance_name: str) -> TaskInstance:
        """Read an instance.

        Raises
        ------
        UnknownInstance
            If there is none of this name; near names are suggested.
        """
        parts = rec.split_instance_name(instance_name) if isinstance(instance_name, str) else None
        if parts is not None:
            view = self.store.read(self.uid, (rec.INSTANCE + instance_name, rec.CONFIG + parts[0]), follow=False)
            if view is None:
                raise self._no_session()
            cell = view.cells.get(rec.INSTANCE + instance_name)
            if cell is not None:
                config = TaskConfig.from_record(parts[0], _config(view.cells, parts[0]))
                return _instance(rec.INSTANCE + instance_name, cell, config, self.uid)
        raise UnknownInstance(instance_name, self.instance_names())

    def __iter__(self) -> Iterator[TaskInstance]:
        """Iterate over all instances, all as of one moment, by task and number."""
        return iter(self._instances().values())

    iter_instances = __iter__

    def exists(self) -> bool:
        """Whether the session exists."""
        return self.store.read(self.uid, (rec.HEAD,), follow=False) is not None

    @property
    def tasks(self) -> dict[str, TaskConfig]:
        """All tasks by name, in the order of their names."""
        return _tasks(self._state((rec.CONFIG,)))

    @property
    def instances(self) -> InstanceMapping:
        """All instances by name; looks at the storage whenever something is asked of it."""
        return InstanceMapping(self)

    @property
    def latest_kwargs(self) -> dict[str, dict[str, Any]]:
        """The latest kwargs of every trigger that has fired."""
        return _latest_kwargs(self._state((rec.LATEST,)))

    @property
    def metadata(self) -> dict[str, Any]:
        """Session metadata: what the application keeps there, and ``latest_kwargs``."""
        state = self._state((rec.HEAD, rec.LATEST))
        return {**_own_metadata(state), "latest_kwargs": _latest_kwargs(state)}

    @property
    def manager_key(self) -> str | None:
        """Key of the manager that the session remembers."""
        return head_of(self._state((rec.HEAD,))).manager

    def counts(self) -> dict[str, int]:
        """Counts that are kept with the session: per status (``s:``), per task, and the like."""
        counts = self.store.counts(self.uid)
        if counts is None:
            raise self._no_session()
        return counts

    def instance_names(self) -> list[str]:
        """Names of all instances, by task and number; empty if the session does not exist."""
        counts = self.store.counts(self.uid) or {}
        return [rec.instance_name(task, index) for task, n in created(counts).items() for index in range(n)]

    def instances_of_task(self, task_config: TaskConfig | str) -> dict[str, TaskInstance]:
        """Read all instances of a task by name, in order of creation; empty if there is no such task."""
        task = task_config if isinstance(task_config, str) else task_config.name
        n_created = self.counts().get(CREATED_COUNT + task)
        if n_created is None:
            return {}
        names = [rec.instance_name(task, index) for index in range(n_created)]
        cells = [rec.CONFIG + task, *(rec.INSTANCE + name for name in names)]
        view = self.store.read(self.uid, cells, follow=False)
        if view is None:
            raise self._no_session()
        config = TaskConfig.from_record(task, _config(view.cells, task))
        return {
            name: _instance(cell, view.cells[cell], config, self.uid)
            for name, cell in zip(names, cells[1:], strict=True)
            if cell in view.cells
        }

    def get_unresolved_tasks(self) -> list[TaskConfig]:
        """Read all tasks that have no instance yet, or an unresolved one, in the order of their names.

        Does not look at any instance.
        """
        counts = self.counts()
        names = [task for task, n in created(counts).items() if n == 0 or counts.get(TASK_COUNT + task, 0) > 0]
        if not names:
            return []
        view = self.store.read(self.uid, [rec.CONFIG + name for name in names], follow=False)
        if view is None:
            raise self._no_session()
        return [TaskConfig.from_record(name, _config(view.cells, name)) for name in names]

    def get_unresolved_instances(self) -> list[TaskInstance]:
        """Read all instances that are not resolved, by task and number."""
        if not self.counts().get(UNRESOLVED):
            return []
        return [instance for instance in self if not instance.is_resolved]

    def get_instances_with_unresolved_logs(self) -> list[TaskInstance]:
        """Read all instances whose messages somebody has to look at, by task and number."""
        return [instance for instance in self if not instance.logs_resolved]

    def debug_repr(self) -> dict[str, Any]:
        """Show all of the session as plain dicts."""
        state = self._state(())
        configs = _tasks(state)
        instances = instances_of(state, configs)
        return {
            "tasks": {name: config.serialize() for name, config in configs.items()},
            "instances": {
                name: {
                    "task": instance.config.name,
                    "status": instance.status,
                    "kwargs": instance.kwargs,
                    "abandonState": sorted(instance.abandon_state),
                    "metadata": instance.metadata,
                }
                for name, instance in instances.items()
            },
            "metas": {**_own_metadata(state), "latest_kwargs": _latest_kwargs(state)},
        }

    def invalidate_cache(self) -> None:
        """Do nothing: every access reads the current state."""

    def close(self, *args: object, **kwargs: object) -> None:
        """Do nothing: connections belong to the store."""

    def _state(self, prefixes: tuple[str, ...]) -> SessionState:
        for _, state in self.store.states([self.uid], prefixes):
            if state is not None:
                return state
        raise self._no_session()

    def _instances(self) -> dict[str, TaskInstance]:
        state = self._state((rec.INSTANCE, rec.CONFIG))
        return instances_of(state, _tasks(state), self.uid)

    def _no_session(self) -> UnknownSession:
        return UnknownSession(self.uid, hint="It was never configured, was deleted, or has expired")

    # Changing -----------------------------------------------------------------------------------------------------

    def begin_with(self, epoch: int, seq: int, cells: Mapping[str, Cell | None]) -> None:
        """Let the next change begin with cells that were read before; the commit compares them if it has to.

        Parameters
        ----------
        epoch, seq : int
            The session's, when they were read: all at one moment.
        cells : mapping of str to Cell or None
            None: it was not there.
        """
        kept = KeptCells(epoch)
        kept.seq = seq
        kept.cells = {name: Loaded(name, *(cell or (0, None))) for name, cell in cells.items()}
        kept.fresh = set(cells)
        self.kept = [kept]

    def acquire_lock(self, ttl: float | bool | None = True, block: bool = True) -> AbstractContextManager[Any]:
        """Lock the session, to change instances by hand and commit all of it with ``save()``.

        Parameters
        ----------
        ttl : float or True
            Seconds for which the lock outlives its holder, if that is killed; 5 by default.
        block : bool
            Whether to wait for somebody else's lock.

        Returns
        -------
        context manager
            Of a `DraftStorage`: this storage, with instances that may be changed.

        Raises
        ------
        LockAcquisitionFailed
            If somebody else holds the lock, for longer than this may wait.
        ReadOnlyError
            If the handle is read-only.
        """
        from triggers_nb.storages.drafts import locked

        self.refuse_read_only()
        return locked(self, ttl, block)

    def refuse_read_only(self) -> None:
        """Raise if this handle may not change anything."""
        _refuse(self.uid, self.store.url, self.mode, self.guard)

    @property
    def lock_token(self) -> bytes:
        """Token of the lock that this thread holds through this handle, empty if it holds none."""
        return getattr(self._lock, "token", b"")

    @lock_token.setter
    def lock_token(self, token: bytes) -> None:
        self._lock.token = token

    def transact(
        self,
        action: str,
        decide: Callable[[Work], object],
        *,
        needs: Sequence[str] = (),
        prepare: Callable[[Step, Slice], object] | None = None,
        hooked: frozenset[str] = frozenset(),
        grace_s: float = 30.0,
        error: str | None = None,
    ) -> Outcome:
        """Decide on the session's current state, and commit the decision as one.

        Parameters
        ----------
        action : str
            What the event will be called.
        decide : callable
            Makes the change on a `Work`. Called again whenever the state that it looked at has changed.
        needs : sequence of str
            Cells that it will look at, to be read in one trip.
        prepare : callable, optional
            Called with the step before it is committed; may raise to prevent it.
        hooked : frozenset of str
            Hooks whose calls are recorded as pending.
        grace_s : float
            Seconds until a pending hand-over or hook is due for recovery.
        error : str, optional
            What went wrong, for the event.

        Raises
        ------
        ReadOnlyError, StaleTarget, CommitConflict
            See there. Nothing was changed, as with anything that `decide` or `prepare` raise.
        """
        self.refuse_read_only()
        return SessionTransaction(self, action, decide, needs, prepare, hooked, grace_s, error).run()


class InstanceMapping(Mapping[str, TaskInstance]):
    """All instances of a session by name, read when they are asked for."""

    def __init__(self, storage: BaseTriggerStorage) -> None:
        self._storage = storage

    def __getitem__(self, name: str) -> TaskInstance:
        return self._storage[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._storage.instance_names())

    def __len__(self) -> int:
        return len(self._storage.instance_names())

    def items(self) -> Any:
        """All names and instances as of one moment."""
        return self._storage._instances().items()

    def values(self) -> Any:
        """All instances as of one moment."""
        return self._storage._instances().values()

    def __repr__(self) -> str:
        return repr(self._storage._instances())


def created(counts: Mapping[str, int]) -> dict[str, int]:
    """Number of instances ever created, by task, in the order of the tasks' names."""
    return {name[2:]: n for name, n in sorted(counts.items()) if name.startswith(CREATED_COUNT)}


def _own_metadata(state: SessionState) -> dict[str, Any]:
    metadata = decode_value(head_of(state).metadata)
    if not isinstance(metadata, dict):
        raise StorageError(f"the session's metadata cannot be read: found {brief(metadata)}, expected a mapping")
    return metadata


def instances_of(
    state: SessionState, configs: Mapping[str, TaskConfig], uid: str | None = None
) -> dict[str, TaskInstance]:
    """All instances in a session's state, by task and number."""
    found: list[tuple[InstanceRecord, int]] = [
        (decode_record(name, cell.data), cell.revision)  # type: ignore[misc]
        for name, cell in state.cells.items()
        if name.startswith(rec.INSTANCE)
    ]
    found.sort(key=lambda pair: (pair[0].task, pair[0].index))
    for record, _ in found:
        if record.task not in configs:
            raise StorageError(f"instance {record.name!r} cannot be read: its task has no configuration")
    return {
        record.name: TaskInstance.from_record(record, configs[record.task], revision, uid) for record, revision in found
    }


def _tasks(state: SessionState) -> dict[str, TaskConfig]:
    names = sorted(name for name in state.cells if name.startswith(rec.CONFIG))
    return {name[2:]: TaskConfig.from_record(name[2:], _config(state.cells, name[2:])) for name in names}


def _instance(name: str, cell: Cell, config: TaskConfig, uid: str) -> TaskInstance:
    record: InstanceRecord = decode_record(name, cell.data)  # type: ignore[assignment]
    return TaskInstance.from_record(record, config, cell.revision, uid)


def _config(cells: Mapping[str, Any], task: str) -> ConfigRecord:
    cell = cells.get(rec.CONFIG + task)
    if cell is None:
        raise UnknownTask(task)
    return decode_record(rec.CONFIG, cell.data)  # type: ignore[return-value]


def head_of(state: SessionState) -> HeadRecord:
    """Decode the head of a session.

    Raises
    ------
    StorageError
        If it is not there, or damaged.
    """
    if rec.HEAD not in state.cells:
        raise StorageError("the session cannot be read: it has no head")
    return decode_record(rec.HEAD, state.cells[rec.HEAD].data)  # type: ignore[return-value]


def _latest_kwargs(state: SessionState) -> dict[str, dict[str, Any]]:
    latest: dict[str, dict[str, Any]] = {}
    for name in sorted(state.cells):
        if name.startswith(rec.LATEST):
            record: LatestRecord = decode_record(name, state.cells[name].data)  # type: ignore[assignment]
            latest[name[2:]] = decode_value(record.kwargs)
    return latest
