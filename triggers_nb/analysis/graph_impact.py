"""The blast radius of an instance: what cannot run because of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from triggers_nb.analysis.graph import group_by_task, missing_triggers, required
from triggers_nb.core.status import FINISHED, REPLAYED, SKIPPED
from triggers_nb.errors import UnknownInstance

if TYPE_CHECKING:
    from triggers_nb.core.instances import TaskConfig, TaskInstance


class Blocked(msgspec.Struct, frozen=True, kw_only=True):
    """A task that cannot run because of an instance."""

    #: The task's name.
    task: str
    #: The instance that waits; None if the task has none yet, or would get another one.
    instance: str | None
    #: The trigger that does not come: the name of the instance's task, or of a task that is itself blocked.
    waits_for: str
    #: 1 for what waits for the instance itself, 2 for what waits for that, and so on.
    distance: int
    #: What it lacks besides, and would still lack once the instance has succeeded; sorted.
    also_waits_for: tuple[str, ...]


class Impacts:
    """The blast radius of any instance of one session.

    Parameters
    ----------
    tasks
        The session's configuration.
    instances
        All of its instances.
    fired
        The names of all triggers that have fired, those of tasks included.
    """

    def __init__(
        self, tasks: Mapping[str, TaskConfig], instances: Iterable[TaskInstance], fired: Collection[str]
    ) -> None:
        self._tasks, self._fired = tasks, frozenset(fired)
        self._groups = group_by_task(instances)
        self._instances = {instance.name: instance for group in self._groups.values() for instance in group}
        self._waiting: dict[str, list[str]] = {}
        for name, config in tasks.items():
            for trigger in required(config):
                self._waiting.setdefault(trigger, []).append(name)

    def of(self, instance_name: str) -> list[Blocked]:
        """Return what cannot run because of an instance, nearest first, then by name.

        An instance that was replayed blocks nothing: its clone does.

        Raises
        ------
        UnknownInstance
            If the session has no instance of that name.
        """
        if instance_name not in self._instances:
            raise UnknownInstance(instance_name, self._instances)
        instance = self._instances[instance_name]
        if instance.status == REPLAYED:
            return []
        found = self._spread(instance.config.name, repeats=not _has_cascaded(instance))
        held_back = {instance.config.name, *(blocked.task for blocked in found)}
        lacking = [self._without(blocked, held_back) for blocked in found]
        return sorted(lacking, key=lambda blocked: (blocked.distance, blocked.task))

    def _spread(self, task: str, *, repeats: bool) -> list[Blocked]:
        found: dict[str, Blocked] = {}
        queue = deque([(task, 1)])
        while queue:
            trigger, distance = queue.popleft()
            for name in sorted(self._waiting.get(trigger, ())):
                blocked = self._blocked(name, trigger, distance, repeats=repeats)
                if blocked is not None and name not in found and name != task:
                    found[name] = blocked
                    queue.append((name, distance + 1))
        return list(found.values())

    def _blocked(self, task: str, trigger: str, distance: int, *, repeats: bool) -> Blocked | None:
        """Return how `task` is blocked by the lack of `trigger`; None if it is not."""
        for instance in self._groups.get(task, ()):
            missing = missing_triggers(instance)
            if trigger in missing:
                return _blocked(task, instance.name, trigger, distance, missing)
        first = task not in self._groups and trigger not in self._fired
        another = self._tasks[task].and_every == trigger and repeats
        if first or another:
            return _blocked(task, None, trigger, distance, required(self._tasks[task]) - self._fired)
        return None

    def _without(self, blocked: Blocked, held_back: set[str]) -> Blocked:
        rest = tuple(trigger for trigger in blocked.also_waits_for if trigger not in held_back)
        return msgspec.structs.replace(blocked, also_waits_for=rest)


def impact(
    tasks: Mapping[str, TaskConfig], instances: Iterable[TaskInstance], fired: Collection[str], instance_name: str
) -> list[Blocked]:
    """Return what cannot run because of an instance, nearest first, then by name.

    For many instances of one session, use `Impacts`.

    Raises
    ------
    UnknownInstance
        If the session has no instance of that name.

    Examples
    --------
    >>> from types import SimpleNamespace as Record
    >>> plane = Record(name="t_plane", run="P", after={"go"}, and_every=None, unless=set())
    >>> rebook = Record(name="t_rebook", run="R", after={"t_plane", "cancelled"}, and_every=None, unless=set())
    >>> failed = Record(name="t_plane#0", config=plane, status="failed", kwargs={"go": {}}, metadata={})
    >>> [blocked] = impact({"t_plane": plane, "t_rebook": rebook}, [failed], {"go"}, "t_plane#0")
    >>> blocked.task, blocked.waits_for, blocked.also_waits_for
    ('t_rebook', 't_plane', ('cancelled',))
    """
    return Impacts(tasks, instances, fired).of(instance_name)


def _blocked(task: str, instance: str | None, trigger: str, distance: int, missing: Iterable[str]) -> Blocked:
    also = tuple(sorted(set(missing) - {trigger}))
    return Blocked(task=task, instance=instance, waits_for=trigger, distance=distance, also_waits_for=also)


def _has_cascaded(instance: TaskInstance) -> bool:
    """Tell whether the instance has fired its task's name, so that a task that runs at every firing has its turn."""
    return instance.status == FINISHED or (instance.status == SKIPPED and bool(instance.metadata.get("cascade")))
