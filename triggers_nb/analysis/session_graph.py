"""A session's state and history made into what its graphs are built from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from triggers_nb.analysis.frames_events import decode_or_warn, read_stored_events
from triggers_nb.analysis.frames_failures import fired_of, tasks_of
from triggers_nb.analysis.graph import instance_graph, task_graph
from triggers_nb.core.events import Event
from triggers_nb.core.instances import TaskConfig
from triggers_nb.core.records import split_instance_name
from triggers_nb.errors import brief
from triggers_nb.storages.base import instances_of
from triggers_nb.storages.store import SessionState, Store

if TYPE_CHECKING:
    from triggers_nb.analysis.graph import Graph


def session_graph(store: Store, state: SessionState, uid: str, level: str) -> Graph:
    """Build the graph of a session.

    Raises
    ------
    ValueError
        If `level` is neither ``"task"`` nor ``"instance"``.
    """
    if level not in ("task", "instance"):
        raise ValueError(f"level={brief(level)}: expected 'task' or 'instance'")
    tasks = tasks_of(state)
    instances = instances_of(state, tasks).values()
    if level == "task":
        return task_graph(tasks, instances, fired_of(state))
    events = (decode_or_warn(uid, stored) for stored in read_stored_events(store, uid))
    return instance_graph(tasks, instances, read_causes(filter(None, events), tasks))


def read_causes(events: Iterable[Event], tasks: Mapping[str, TaskConfig]) -> dict[str, list[str]]:
    """Find out, for each instance, the instances whose end gave it a trigger.

    Parameters
    ----------
    events
        The session's events, oldest first.
    tasks
        Its configuration.

    Returns
    -------
    dict of str to list of str
        In the order in which the triggers came. A replay has the causes of no one: its parent had them.
    """
    causes: dict[str, list[str]] = {}
    latest: dict[str, str] = {}
    for event in events:
        for change in event.changes:
            if change.action == "fire":
                latest.pop(change.target, None)
                if change.cause is not None:
                    latest[change.target] = change.cause
            elif change.action == "apply" and change.trigger in latest:
                causes.setdefault(change.target, []).append(latest[change.trigger])
            elif change.action == "create" and change.trigger is not None:
                causes[change.target] = _causes_of_new(change.target, tasks, latest)
    return causes


def _causes_of_new(name: str, tasks: Mapping[str, TaskConfig], latest: Mapping[str, str]) -> list[str]:
    """A new instance takes the latest kwargs of every trigger that has fired."""
    parts = split_instance_name(name)
    config = tasks.get(parts[0]) if parts is not None else None
    return [latest[trigger] for trigger in sorted(config.after | config.unless) if trigger in latest] if config else []
