"""The rules of the framework: each function decides one kind of change, on a `Work`, without I/O, clock or chance."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from triggers_nb.core import records as rec
from triggers_nb.core.records import (
    MAX_LINKS,
    SCHEMA_VERSION,
    ConfigRecord,
    Group,
    HeadRecord,
    InstanceRecord,
    LatestRecord,
    Raw,
    TaskRecord,
    TriggerRecord,
)
from triggers_nb.core.status import CODES, STATUSES, check_by_hand, check_transition
from triggers_nb.core.work import CREATED_COUNT, HANDOVER, LEASE, TASKS, HookCall, Work, forget_own_moments
from triggers_nb.errors import ClaimRefused, InvalidStatus

_UNSTARTED, _SCHEDULED, _ABANDONED = CODES["unstarted"], CODES["scheduled"], CODES["abandoned"]
_replace = msgspec.structs.replace

Kwargs = dict[str, Raw]


# Configuration ----------------------------------------------------------------------------------------------------


def make_session(work: Work, manager: str | None, timeout_s: float | None) -> HeadRecord:
    """Return the session's head; make the session if it does not exist."""
    head = work.head()
    if head is None:
        head = HeadRecord(SCHEMA_VERSION, manager, work.now_us, timeout_s)
        work.put(rec.HEAD, head)
    elif timeout_s is not None and timeout_s != head.timeout_s:
        head = _replace(head, timeout_s=timeout_s)
        work.put(rec.HEAD, head)
    return head


def record_manager(work: Work, manager: str | None) -> None:
    """Have the session remember another manager."""
    head = work.head()
    if head is not None and head.manager != manager:
        work.put(rec.HEAD, _replace(head, manager=manager))
        work.change("session", manager or "")


def configure(work: Work, tasks: dict[str, ConfigRecord]) -> None:
    """Add or replace tasks."""
    # Ask for everything in as few trips as there are layers of it.
    work.session.need([rec.HEAD, *(prefix + task for task in tasks for prefix in (rec.CONFIG, rec.TASK))])
    affected: dict[str, None] = {}
    for task, config in tasks.items():
        before: ConfigRecord | None = work.get(rec.CONFIG + task)  # type: ignore[assignment]
        for trigger in sorted(config.triggers() | (before.triggers() if before else set())):
            affected[trigger] = None
        if before is None:
            work.count(TASKS, 1)
            work.count(CREATED_COUNT + task, 0)
        if work.get(rec.TASK + task) is None:
            work.put(rec.TASK + task, TaskRecord())
        work.put(rec.CONFIG + task, config)
        work.change("configure", task)
    work.session.need([rec.TRIGGER + trigger for trigger in affected])
    _route(work, tasks, list(affected))


def _route(work: Work, tasks: dict[str, ConfigRecord], triggers: list[str]) -> None:
    """Bring the triggers' cells up to date with the tasks' new configuration."""
    concerned: dict[str, set[str]] = {}
    for trigger in triggers:
        record = work.trigger(trigger)
        concerned[trigger] = {task for task in (record.tasks if record else ()) if task not in tasks}
    for task, config in tasks.items():
        for trigger in config.triggers():
            concerned[trigger].add(task)
    others = sorted({task for names in concerned.values() for task in names})
    work.session.need([rec.CONFIG + task for task in others if task not in tasks])
    for trigger, names in concerned.items():
        used = sorted(names)
        kwargs = {other for task in used for other in work.config(task).triggers()} - {trigger}
        links = [prefix + task for task in used for prefix in (rec.CONFIG, rec.TASK)]
        links += [rec.LATEST + other for other in sorted(kwargs)]
        work.put(rec.TRIGGER + trigger, TriggerRecord(tuple(links), tuple(used)))


# Firing -----------------------------------------------------------------------------------------------------------


def fire(work: Work, trigger: str, kwargs: Raw, *, cause: str | None = None) -> None:
    """Fire a trigger: apply it to the tasks that name it, and remember its kwargs.

    The caller has asked for the trigger's cells.
    """
    latest = work.latest(trigger)
    route = work.trigger(trigger)
    first = len(work.scheduled)
    work.change("fire", trigger, trigger=trigger, kwargs=kwargs, cause=cause)
    for task in route.tasks if route is not None else ():
        _apply(work, task, trigger, kwargs, cause or trigger)
    n_fired = latest.n_fired + 1 if latest is not None else 1
    work.put(rec.LATEST + trigger, LatestRecord(kwargs, n_fired, work.now_us))
    scheduled = tuple([record.name for record in work.scheduled[first:]])
    work.call_hook(HookCall("_post_fire", trigger, scheduled))


def _apply(work: Work, task: str, trigger: str, kwargs: Raw, cause: str) -> None:
    config = work.config(task)
    state = work.task(task)
    opened = _Opened()
    applied = False
    for group in state.groups:
        takes = (trigger in config.after and trigger not in group.held) or (
            trigger in config.unless and trigger not in group.seen
        )
        applied = applied or takes
        if takes or _next_status(config, group.held, group.seen) != _UNSTARTED:
            _advance(work, config, task, group, trigger if takes else None, kwargs, cause, opened)
        else:
            opened.keep(group)
    index = state.next_index
    if index == 0 or (trigger == config.and_every and not applied):
        _create_by_fire(work, config, task, index, trigger, kwargs, cause, opened)
        index += 1
    after = opened.record(task, index)
    if after != state:
        work.put(rec.TASK + task, after)


def _advance(
    work: Work,
    config: ConfigRecord,
    task: str,
    group: Group,
    trigger: str | None,
    kwargs: Raw,
    cause: str,
    opened: _Opened,
) -> None:
    """Let all instances of a group take the trigger (if any), and see what becomes of them."""
    names = [rec.instance_name(task, index) for index in _indices(group.ranges)]
    work.session.need([rec.INSTANCE + name for name in names])
    for name in names:
        record = work.instance(name)
        if trigger is not None:
            record = _take(work, config, record, trigger, kwargs)
        _settle(work, config, record, cause, opened)


def _take(work: Work, config: ConfigRecord, record: InstanceRecord, trigger: str, kwargs: Raw) -> InstanceRecord:
    held, seen = record.kwargs, record.seen
    if trigger in config.after and trigger not in held:
        held = {**held, trigger: kwargs}
    if trigger in config.unless and trigger not in seen:
        seen = tuple(sorted({*seen, trigger}))
    after = _replace(record, kwargs=held, seen=seen, stamps=rec.touch_stamps(record.stamps, work.now_us))
    work.put_instance(record, after)
    work.change("apply", record.name, record.status, record.status, trigger=trigger)
    return after


def _create_by_fire(
    work: Work, config: ConfigRecord, task: str, index: int, trigger: str, kwargs: Raw, cause: str, opened: _Opened
) -> None:
    held: Kwargs = {}
    for name in config.after:
        if name == trigger:
            held[name] = kwargs
        elif (latest := work.latest(name)) is not None:
            held[name] = latest.kwargs
    seen = tuple([name for name in config.unless if name == trigger or work.latest(name) is not None])
    status = _next_status(config, held, seen)
    record = create(work, task, index, held, seen, status, trigger=trigger, cause=cause)
    if status == _SCHEDULED:
        work.hand_over(record)
    elif status == _UNSTARTED:
        opened.add(record)


def create(
    work: Work,
    task: str,
    index: int,
    kwargs: Kwargs,
    seen: tuple[str, ...],
    status: int = _UNSTARTED,
    *,
    trigger: str | None = None,
    cause: str | None = None,
    **fields: object,
) -> InstanceRecord:
    """Create an unstarted instance that enters a status at once; the caller keeps the task's cell right."""
    stamps = rec.new_stamps(work.now_us, _UNSTARTED, status)
    record = InstanceRecord(task, index, status, stamps, kwargs=kwargs, seen=seen, **fields)  # type: ignore[arg-type]
    name = record.name
    work.put_instance(None, record)
    work.change("create", name, None, _UNSTARTED, trigger=trigger, cause=cause)
    if status != _UNSTARTED:
        work.change("status", name, _UNSTARTED, status, cause=cause)
    return record


def _settle(work: Work, config: ConfigRecord, record: InstanceRecord, cause: str, opened: _Opened) -> None:
    """Abandon or schedule an unstarted instance, or leave it open."""
    status = _next_status(config, record.kwargs, record.seen)
    if status == _ABANDONED:
        work.enter(record, "abandoned", cause)
    elif status == _SCHEDULED:
        work.schedule(record, cause)
    else:
        opened.add(record)


def _next_status(config: ConfigRecord, held: Collection[str], seen: tuple[str, ...]) -> int:
    """What becomes of an unstarted instance that holds this, also after a draft or a new configuration."""
    if config.unless and set(config.unless) <= set(seen):
        return _ABANDONED
    return _SCHEDULED if set(config.after) <= set(held) else _UNSTARTED


class _Opened:
    """Collects a task's open instances into groups."""

    def __init__(self) -> None:
        self._indices: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}

    def keep(self, group: Group) -> None:
        ranges = self._indices.setdefault((group.held, group.seen), [])
        ranges.extend(group.ranges)

    def add(self, record: InstanceRecord) -> None:
        ranges = self._indices.setdefault((tuple(sorted(record.kwargs)), record.seen), [])
        ranges += (record.index, record.index + 1)

    def record(self, task: str, next_index: int) -> TaskRecord:
        if not self._indices:
            return TaskRecord(next_index=next_index)
        groups = tuple(Group(held, seen, _merge(ranges)) for (held, seen), ranges in sorted(self._indices.items()))
        return task_record(task, next_index, groups)


def task_record(task: str, next_index: int, groups: tuple[Group, ...]) -> TaskRecord:
    """A task's state, with links to its open instances if they are few."""
    n_open = sum(group.ranges[i + 1] - group.ranges[i] for group in groups for i in range(0, len(group.ranges), 2))
    links: tuple[str, ...] = ()
    if 0 < n_open <= MAX_LINKS:
        indices = (index for group in groups for index in _indices(group.ranges))
        links = tuple(rec.INSTANCE + rec.instance_name(task, index) for index in sorted(indices))
    return TaskRecord(links, next_index, groups)


def _indices(ranges: tuple[int, ...]) -> list[int]:
    return [index for i in range(0, len(ranges), 2) for index in range(ranges[i], ranges[i + 1])]


def _merge(ranges: list[int]) -> tuple[int, ...]:
    """Sort ranges and join those that touch."""
    if len(ranges) == 2:
        return (ranges[0], ranges[1])
    merged: list[int] = []
    for start, stop in sorted(zip(ranges[::2], ranges[1::2], strict=True)):
        if merged and start <= merged[-1]:
            merged[-1] = max(merged[-1], stop)
        else:
            merged += (start, stop)
    return tuple(merged)


def open_instance(work: Work, record: InstanceRecord) -> None:
    """Add an unstarted instance to its task's open ones."""
    _regroup(work, record.task, remove=None, add=record)


def close_instance(work: Work, record: InstanceRecord) -> None:
    """Take an instance, which was unstarted, out of its task's open ones."""
    _regroup(work, record.task, remove=record.index, add=None)


def _regroup(work: Work, task: str, remove: int | None, add: InstanceRecord | None) -> None:
    state = work.task(task)
    opened = _Opened()
    for group in state.groups:
        for i in range(0, len(group.ranges), 2):
            start, stop = group.ranges[i], group.ranges[i + 1]
            parts = (
                [(start, stop)]
                if remove is None or not start <= remove < stop
                else [(start, remove), (remove + 1, stop)]
            )
            for part in parts:
                if part[0] < part[1]:
                    opened.keep(_replace(group, ranges=part))
    if add is not None:
        opened.add(add)
    work.put(rec.TASK + task, opened.record(task, state.next_index))


def _need_cascade(work: Work, name: str) -> None:
    """Ask at once for all that the end of an instance and its cascade may need."""
    parts = rec.split_instance_name(name)
    if parts is not None:
        work.session.need((rec.HEAD, rec.INSTANCE + name, rec.TRIGGER + parts[0], rec.LATEST + parts[0]))


# Running ----------------------------------------------------------------------------------------------------------


def claim(work: Work, name: str, token: bytes, lease_s: float, metadata: dict[str, Raw]) -> InstanceRecord:
    """Start a scheduled instance: whoever commits this with its token runs it."""
    record = work.instance(name)
    if STATUSES[record.status] != "scheduled":
        raise ClaimRefused(
            f"instance {name!r} of session {work.session.uid!r} is {STATUSES[record.status]}: it does not start "
            "(a second delivery of the same work, or it was resolved meanwhile)"
        )
    after = work.enter(record, "running", claim=token, metadata={**record.metadata, **metadata})
    work.due[HANDOVER + name] = None
    work.due[LEASE + name] = (lease_s, token)
    return after


def _running(work: Work, name: str, token: bytes) -> InstanceRecord:
    record = work.instance(name)
    if STATUSES[record.status] != "running" or record.claim != token:
        raise ClaimRefused(
            f"instance {name!r} of session {work.session.uid!r} is {STATUSES[record.status]} and no longer this "
            "worker's: its result comes too late and is dropped (its lease ran out, or someone changed it by hand)"
        )
    work.due[LEASE + name] = None
    return record


def finish(work: Work, name: str, token: bytes, result: Raw, log_level: int) -> None:
    """End a running instance with a result, which cascades."""
    _need_cascade(work, name)
    record = _running(work, name, token)
    level = max(record.log_level, log_level)
    work.enter(record, "finished", log_level=level, metadata={**record.metadata, "result": result})
    fire(work, record.task, result, cause=name)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an instance failed."""

    type: str
    message: str
    #: Encoded traceback text and context.
    metadata: dict[str, Raw]
    log_level: int = 0


def fail(work: Work, name: str, token: bytes, failure: Failure) -> None:
    """End a running instance with an exception."""
    _fail(work, _running(work, name, token), failure)


def fail_scheduled(work: Work, name: str, failure: Failure) -> None:
    """End an instance that can never be handed over."""
    record = work.instance(name)
    check_transition(name, STATUSES[record.status], "failed")
    if STATUSES[record.status] != "scheduled":
        raise InvalidStatus(f"instance {name!r} is {STATUSES[record.status]}, it is not waiting for a hand-over")
    work.due[HANDOVER + name] = None
    _fail(work, record, failure)


def fail_lost(work: Work, name: str, token: bytes, failure: Failure) -> bool:
    """End a running instance whose lease ran out; False if it has moved on."""
    record = work.instance(name)
    work.due[LEASE + name] = None
    if STATUSES[record.status] != "running" or record.claim != token:
        return False
    _fail(work, record, failure)
    return True


def _fail(work: Work, record: InstanceRecord, failure: Failure) -> InstanceRecord:
    return work.enter(
        record,
        "failed",
        exception_type=failure.type,
        exception_message=failure.message,
        log_level=max(record.log_level, failure.log_level),
        metadata={**record.metadata, **failure.metadata},
    )


def skip_running(work: Work, name: str, token: bytes, own: OwnFields, log_level: int) -> None:
    """End a running instance that skips itself."""
    _end(work, _running(work, name, token), "skipped", own, log_level)


def retry_running(
    work: Work, name: str, token: bytes, failure: Failure | None, own: OwnFields, kwargs: Kwargs | None,
    cooldown_s: float, cooldown: Raw, log_level: int,
) -> InstanceRecord:  # fmt: skip
    """Fail a running instance and replay it, at its own request."""
    record = _running(work, name, token)
    if failure is not None:
        fields = {**own.fields, "exception_type": failure.type, "exception_message": failure.message}
        own = OwnFields(fields=fields, metadata={**own.metadata, **failure.metadata})
    record = _end(work, record, "failed", own, log_level)
    return _replay(work, record, kwargs, retries=record.retries + 1, cooldown_s=cooldown_s, cooldown=cooldown)


def _end(work: Work, record: InstanceRecord, status: str, own: OwnFields, log_level: int) -> InstanceRecord:
    level = max(record.log_level, log_level, own.fields.get("log_level", 0))
    fields = {**own.fields, "log_level": level, "metadata": {**record.metadata, **own.metadata}}
    return work.enter(record, status, **fields)


# By hand ----------------------------------------------------------------------------------------------------------


def replay(work: Work, name: str, kwargs: Kwargs | None) -> InstanceRecord:
    """Replay a failed instance; None keeps its kwargs."""
    if parts := rec.split_instance_name(name):
        work.session.need((rec.HEAD, rec.INSTANCE + name, rec.TASK + parts[0]))
    record = work.instance(name)
    if STATUSES[record.status] != "failed":
        raise InvalidStatus(f"instance {name!r} is {STATUSES[record.status]}; only a failed instance can be replayed")
    return _replay(work, record, kwargs, retries=0, cooldown_s=0.0, cooldown=None)


def _replay(
    work: Work, record: InstanceRecord, kwargs: Kwargs | None, *, retries: int, cooldown_s: float, cooldown: Raw | None
) -> InstanceRecord:
    work.enter(record, "replayed")
    clone = clone_instance(
        work, record, kwargs, retries=retries, metadata={} if cooldown is None else {"cooldown": cooldown}
    )
    return work.schedule(clone, record.name, cooldown_s)


def clone_instance(
    work: Work,
    record: InstanceRecord,
    kwargs: Kwargs | None,
    *,
    retries: int = 0,
    metadata: dict[str, Raw] | None = None,
) -> InstanceRecord:
    """Create an unstarted copy of an instance; it is not among its task's open ones yet."""
    state = work.task(record.task)
    work.put(rec.TASK + record.task, _replace(state, next_index=state.next_index + 1))
    return create(
        work,
        record.task,
        state.next_index,
        dict(record.kwargs) if kwargs is None else kwargs,
        record.seen,
        cause=record.name,
        parent=record.name,
        depth=record.depth + 1,
        retries=retries,
        metadata=metadata or {},
    )


def skip(work: Work, name: str, cascade: bool, result: Raw) -> None:
    """Skip a failed instance."""
    record = work.instance(name)
    if STATUSES[record.status] != "failed":
        raise InvalidStatus(f"instance {name!r} is {STATUSES[record.status]}; only a failed instance can be skipped")
    if cascade:
        _need_cascade(work, name)
    flag = Raw(b"\xc3" if cascade else b"\xc2")
    work.enter(record, "skipped", metadata={**record.metadata, "cascade": flag, "result": result})
    if cascade:
        fire(work, record.task, result, cause=name)
    work.call_hook(HookCall("_post_skip", name, cascade=cascade))


class OwnFields(msgspec.Struct, frozen=True, kw_only=True):
    """Metadata as it is stored: fields of the instance's record, and the rest, encoded."""

    fields: dict[str, Any]
    metadata: dict[str, Raw]


def update_status(work: Work, name: str, status: str, own: OwnFields, cascade: bool, kwargs: Raw) -> None:
    """Change a status by hand; repeating it changes metadata only and never cascades."""
    if cascade:
        _need_cascade(work, name)
    record = work.instance(name)
    before = STATUSES[record.status]
    check_by_hand(name, before, status)
    if before == status:
        update_metadata(work, name, own)
        return
    if before == "unstarted":
        close_instance(work, record)
    work.due[HANDOVER + name] = None
    work.due[LEASE + name] = None
    work.enter(record, status, metadata={**record.metadata, **own.metadata}, **own.fields)
    if cascade:
        fire(work, record.task, kwargs, cause=name)


def update_metadata(work: Work, name: str, own: OwnFields, action: str = "metadata") -> None:
    """Merge metadata into an instance's."""
    record = work.instance(name)
    stamps = rec.touch_stamps(record.stamps, work.now_us)
    kept = forget_own_moments(record).metadata
    after = _replace(record, stamps=stamps, metadata={**kept, **own.metadata}, **own.fields)
    work.put_instance(record, after)
    work.change(action, name, record.status, record.status)
