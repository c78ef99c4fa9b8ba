"""Boards of a workspace, a session, a task and an instance."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from triggers_nb.analysis.explain import Explanation
from triggers_nb.analysis.frames_events import decode_or_warn
from triggers_nb.analysis.frames_failures import impacts_of, tasks_of
from triggers_nb.analysis.frames_sessions import manager_of, max_log_level
from triggers_nb.analysis.graph import missing_triggers, required
from triggers_nb.analysis.graph_impact import Impacts
from triggers_nb.analysis.reading import Source
from triggers_nb.core.events import Change
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.records import from_us, is_moment
from triggers_nb.core.status import FAILED, STATUSES, UNSTARTED
from triggers_nb.core.work import CREATED_COUNT, STATUS_COUNT, TASK_COUNT, UNRESOLVED
from triggers_nb.errors import StorageError
from triggers_nb.render.board import Board, Cell, Counts, Status, Table, Text, cut, moment_text
from triggers_nb.render.wording import listing, plural
from triggers_nb.storages.base import head_of, instances_of
from triggers_nb.storages.store import SessionState, StoredEvent, Summary

#: Rows of a table.
MAX_ROWS: Final = 10
#: Sessions that a workspace's counts are of.
MAX_SESSIONS: Final = 1000


def session_board(
    source: Source, uid: str, state: SessionState, events: Sequence[StoredEvent], *, where: str, tag: str | None
) -> Board:
    """Say what a session is like: counts, what is unresolved and blocked, the last events."""
    tasks = tasks_of(state)
    instances = instances_of(state, tasks)
    unresolved = [instance for instance in instances.values() if not instance.is_resolved]
    unresolved.sort(key=lambda instance: _URGENCY.index(instance.status))
    head, changed_at = head_of(state), _moment_of(state.modified_us)
    moment = changed_at if isinstance(changed_at, str) else moment_text(changed_at)
    return Board(
        title=uid,
        about=f"session · manager {head.manager or 'none'} · {where} · event {state.seq}, {moment}",
        tag=tag,
        counts=status_counts(state.counts),
        said=tuple(_session_sentences(state, tasks)),
        parts=(
            _unresolved_table(source, unresolved, impacts_of(state)),
            Table(
                caption="Last events",
                columns=("event", "at", "action", "what", "by", "reason"),
                rows=[_event_row(source, uid, stored) for stored in reversed(events)],
                minor=("by", "reason"),
            ),
        ),
    )


#: What needs someone comes first.
_URGENCY: Final = ("failed", "running", "scheduled", "unstarted")


def status_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """Pick the instances per status from a session's counts."""
    return {status: counts[STATUS_COUNT + status] for status in STATUSES if counts.get(STATUS_COUNT + status)}


def _session_sentences(state: SessionState, tasks: Mapping[str, TaskConfig]) -> Iterator[str]:
    open_tasks = [task for task in tasks if state.counts.get(TASK_COUNT + task) or not _created(state, task)]
    if not tasks:
        yield "No task is configured."
    elif not open_tasks:
        yield f"All {plural(len(tasks), 'task')} resolved." if len(tasks) > 1 else "Its task is resolved."
    else:
        yield f"{len(open_tasks)} of {plural(len(tasks), 'task')} unresolved: {listing(open_tasks, 6)}."
    waiting = [task for task in tasks if not _created(state, task)]
    if waiting:
        said = [f"{task} (waits for {listing(sorted(required(tasks[task])), 4)})" for task in waiting]
        yield f"No instance yet: {listing(said, 4)}."
    if level := max_log_level(state.counts):
        import logging

        yield f"Highest log level: {logging.getLevelName(level)}."


def _created(state: SessionState, task: str) -> int:
    return state.counts.get(CREATED_COUNT + task, 0)


def _unresolved_table(source: Source, unresolved: Sequence[TaskInstance], impacts: Impacts) -> Table:
    rows = [
        (
            instance.name,
            Status(instance.status),
            _fact(source, instance),
            ", ".join(each.task for each in impacts.of(instance.name)) if instance.status == FAILED else "",
        )
        for instance in unresolved[:MAX_ROWS]
    ]
    return Table(
        caption="Unresolved instances",
        columns=("instance", "status", "because", "blocks"),
        rows=rows,
        more=_more(len(unresolved) - len(rows), "instance", "s.instances()"),
    )


def _fact(source: Source, instance: TaskInstance) -> str:
    metadata = instance.metadata
    if instance.status == FAILED:
        kind = str(metadata.get("exceptionType") or "failed").rpartition(".")[2]
        message = source.text(str(metadata.get("exceptionMessage") or ""))
        return cut(f"{kind}: {message}" if message else kind)
    if instance.status == UNSTARTED:
        return "waits for " + listing(missing_triggers(instance), 4)
    since = metadata["timestamps"].get(instance.status)
    return f"since {moment_text(since)}" if is_moment(since) else ""


def _more(n: int, noun: str, call: str) -> str:
    return f"and {plural(n, f'more {noun}')}: {call}" if n > 0 else ""


def _event_row(source: Source, uid: str, stored: StoredEvent) -> tuple[Cell, ...]:
    event = decode_or_warn(uid, stored)
    if event is None:
        return stored.seq, _moment_of(stored.at_us), "", "damaged: it cannot be read", None, ""
    told: dict[str, str] = {}
    for change in event.changes:
        # What became of an instance in the end; it may have been created by the same event.
        told.pop(change.target, None)
        told[change.target] = _told(change)
    what = listing([each for each in told.values() if each], 3)
    said = f"{what}; {source.text(event.error)}" if event.error else what
    reason = cut(source.text(event.reason) or "")
    return stored.seq, _moment_of(stored.at_us), event.action, cut(said), event.actor, reason


def _told(change: Change) -> str:
    if change.to_status is not None and change.from_status != change.to_status:
        return f"{change.target} → {STATUSES[change.to_status]}"
    if change.action == "fire":
        return f"{change.target} fired"
    if change.action == "apply":
        return f"{change.target} takes {change.trigger}"
    return f"{change.action} {change.target}".strip()


def workspace_board(
    summaries: Sequence[Summary], *, is_all: bool, title: str, about: str, tag: str | None, named: str = "ws"
) -> Board:
    """Say what a storage holds: counts over the sessions last changed, and these sessions."""
    total: dict[str, int] = {}
    for summary in summaries:
        for status, n in status_counts(summary.counts).items():
            total[status] = total.get(status, 0) + n
    n_open = sum(1 for summary in summaries if summary.counts.get(UNRESOLVED))
    which = plural(len(summaries), "session") if is_all else f"the {len(summaries):,} sessions last changed"
    rows = [_summary_row(summary) for summary in summaries[:MAX_ROWS]]
    rest = len(summaries) - len(rows)
    return Board(
        title=title,
        about=about,
        tag=tag,
        counts=total,
        said=(f"In {which}, {n_open:,} with something unresolved." if summaries else "There are no sessions.",),
        parts=(
            Table(
                caption="Last changed",
                columns=("session", "manager", "instances", "unresolved", "last change"),
                rows=rows,
                more=_more(rest, "session", f"{named}.sessions()") if is_all else f"and more: {named}.sessions()",
                minor=("manager",),
            ),
        ),
    )


def _summary_row(summary: Summary) -> tuple[Cell, ...]:
    counts = Counts(status_counts(summary.counts))
    n_open = summary.counts.get(UNRESOLVED, 0)
    return summary.uid, manager_of(summary), counts, n_open, _moment_of(summary.modified_us)


def task_board(
    source: Source, uid: str, task: TaskConfig, instances: Sequence[TaskInstance], said: Sequence[str]
) -> Board:
    """Say what a task is, and what became of it."""
    counts: dict[str, int] = {}
    for instance in instances:
        counts[instance.status] = counts.get(instance.status, 0) + 1
    shown = instances[-MAX_ROWS:]
    directives = source.value(task.serialize())
    rows = [(name, _json(value)) for name, value in directives.items() if value not in (None, [], {})]
    return Board(
        title=task.name,
        about=f"task of session {uid}",
        counts=counts,
        said=tuple(said),
        parts=(
            Table(caption="Configuration", columns=("directive", "value"), rows=rows),
            Table(
                caption="Instances",
                columns=("instance", "status", "because"),
                rows=[(each.name, Status(each.status), _fact(source, each)) for each in shown],
                more=_more(len(instances) - len(shown), "earlier instance", f"s.instances(task={task.name!r})"),
            ),
        ),
    )


def explanation_board(about: Explanation) -> Board:
    """Say why an instance or a task has run or has not."""
    rows = [(reason.kind, reason.text, ", ".join(reason.names)) for reason in about.reasons]
    return Board(
        title=about.target,
        about="explained",
        counts={about.status: 1} if about.status else {},
        said=(about.sentence,),
        parts=(Table(caption="Reasons", columns=("kind", "reason", "about"), rows=rows),),
    )


def instance_board(source: Source, uid: str, instance: TaskInstance, said: Sequence[str]) -> Board:
    """Say what became of an instance, with its kwargs, result and traceback."""
    metadata = source.value({key: value for key, value in instance.metadata.items() if key != "timestamps"})
    stamps = instance.metadata["timestamps"].items()
    parts: list[Table | Text] = [
        Table(caption="Moments", columns=("moment", "at"), rows=[(name, _moment(at)) for name, at in stamps]),
    ]
    if instance.kwargs:
        parts.append(Text(caption="Kwargs", text=_json(source.value(instance.kwargs), indent=2)))
    if metadata.get("result"):
        parts.append(Text(caption="Result", text=_json(metadata["result"], indent=2)))
    others = {key: value for key, value in metadata.items() if key not in _TOLD and value not in (None, {}, [])}
    if others:
        rows = [(key, _json(value)) for key, value in others.items()]
        parts.append(Table(caption="Metadata", columns=("key", "value"), rows=rows))
    if traceback := metadata.get("exceptionInfo"):
        parts.append(Text(caption="Traceback", text=str(traceback)))
    return Board(
        title=instance.name,
        about=f"instance in session {uid}",
        counts={instance.status: 1},
        said=tuple(said),
        parts=tuple(parts),
    )


#: Metadata that is shown elsewhere on the board.
_TOLD: Final = ("result", "exceptionInfo", "exceptionType", "exceptionMessage", "actualKwargs")


def _moment_of(us: int) -> datetime | str:
    """The moment of microseconds since 1970, or, if it is damaged, what is said instead."""
    try:
        return from_us(us)
    except StorageError:
        return "at no moment"


def _moment(value: Any) -> Cell:
    return value if is_moment(value) else str(value)


def _json(value: Any, indent: int | None = None) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=indent, default=str)
