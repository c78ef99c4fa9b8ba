"""Why an instance has run or has not, in a sentence and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

import msgspec

from triggers_nb.analysis.graph import group_by_task, missing_triggers, order_counts, required
from triggers_nb.analysis.graph_impact import Impacts
from triggers_nb.analysis.lint_spelling import near_misses
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.selection import parse_age
from triggers_nb.analysis.stuck import LEASE_OUT, OLDER_THAN, PENDING, RUNNING_LONG, SCHEDULED_LONG, why_stuck
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.records import from_us, is_moment, to_us
from triggers_nb.core.status import ABANDONED, CODES, FAILED, FINISHED, REPLAYED, RUNNING, SCHEDULED, SKIPPED, UNSTARTED
from triggers_nb.core.work import HANDOVER
from triggers_nb.errors import UnknownName
from triggers_nb.storages.store import DueItem

#: How far upstream it is looked for a cause.
MAX_DEPTH: Final = 20


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that explains why an instance is where it is."""

    #: ``not-fired``, ``near-miss``, ``fired-before``, ``no-instance``, ``circle``, ``upstream-failed``,
    #: ``upstream-running``, ``upstream-scheduled``, ``upstream-waiting``, ``upstream-skipped``,
    #: ``upstream-abandoned``, ``upstream-silent``, ``unless``, ``unless-partly``, ``by-hand``, ``pending``, ``stuck``,
    #: ``cooldown``, ``replayed``, ``replay-of``, ``no-cascade``, ``cascade``, ``exception``, ``blocks`` or ``done``.
    kind: str
    #: The same as part of a sentence.
    text: str
    #: Triggers, tasks or instances that it is about.
    names: tuple[str, ...] = ()


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an instance or a task is where it is.

    Attributes
    ----------
    target : str
        The instance or task.
    status : str or None
        The instance's status, or that of the task's most urgent instance; None if it has none.
    sentence : str
        The explanation.
    reasons : tuple of Reason
        The same as data, what is nearest first.
    """

    target: str
    status: str | None
    sentence: str
    reasons: tuple[Reason, ...] = ()

    def __str__(self) -> str:
        return self.sentence

    def kinds(self) -> list[str]:
        """Kinds of the reasons, in order."""
        return [reason.kind for reason in self.reasons]


class Situation:
    """All of a session that explanations look at.

    Parameters
    ----------
    source
        Redacts messages.
    tasks, instances
        The session's configuration, and all of its instances by name.
    fired
        Names of all triggers that have fired.
    due, now_us
        Its due items, and the moment.
    """

    def __init__(
        self,
        source: Source,
        tasks: Mapping[str, TaskConfig],
        instances: Mapping[str, TaskInstance],
        fired: set[str],
        due: Mapping[str, DueItem],
        now_us: int,
    ) -> None:
        self.source, self.tasks, self.instances, self.fired = source, tasks, instances, fired
        self.due, self.now_us = due, now_us
        self.groups = group_by_task(instances.values())
        self.impacts = Impacts(tasks, instances.values(), fired)

    def explain(self, name: str) -> Explanation:
        """Explain an instance or a task.

        Raises
        ------
        UnknownName
            If the session has neither of that name.
        """
        if name in self.instances:
            return self._explain_instance(self.instances[name])
        if name not in self.tasks:
            raise UnknownName(name, [*self.instances, *self.tasks])
        group = self.groups.get(name, [])
        if not group:
            return self._explain_absence(name)
        counts = order_counts(Counter(instance.status for instance in group))
        [*_, urgent] = [instance for instance in group if instance.status == next(iter(counts))]
        about = self._explain_instance(urgent)
        if len(group) == 1:
            return msgspec.structs.replace(about, target=name)
        said = ", ".join(f"{n} {status}" for status, n in counts.items())
        return msgspec.structs.replace(
            about, target=name, sentence=f"{name} has {len(group)} instances: {said}. {about.sentence}"
        )

    # Instances ----------------------------------------------------------------------------------------------------

    def _explain_instance(self, instance: TaskInstance) -> Explanation:
        reasons = tuple(_EXPLAIN[instance.status](self, instance))
        if parent := instance.metadata.get("parent"):
            reasons += (Reason(kind="replay-of", text=f"it is a replay of {parent}", names=(str(parent),)),)
        said = "; ".join(reason.text for reason in reasons)
        sentence = f"{instance.name} {_VERBS[instance.status]}" + (f": {said}" if said else "") + "."
        return Explanation(target=instance.name, status=instance.status, sentence=sentence, reasons=reasons)

    def _unstarted(self, instance: TaskInstance) -> Iterator[Reason]:
        missing = missing_triggers(instance)
        for trigger in missing:
            yield from self._why_missing(trigger, instance.config.name, frozenset({instance.config.name}))
        if not missing:
            text = "it has all of its triggers, and the next firing that concerns it schedules it"
            yield Reason(kind="done", text=text)
        seen = sorted(instance.abandon_state & instance.config.unless)
        if seen:
            rest = sorted(instance.config.unless - instance.abandon_state)
            text = f"{_list(seen)} fired: once {_list(rest)} fires, too, it is abandoned"
            yield Reason(kind="unless-partly", text=text, names=tuple(seen))

    def _scheduled(self, instance: TaskInstance) -> Iterator[Reason]:
        since = _moment(instance, SCHEDULED)
        item, run = self.due.get(HANDOVER + instance.name), instance.config.run
        if instance.cooldown and since is not None:
            starts_us = to_us(since) + round(instance.cooldown * 1e6)
            if starts_us > self.now_us:
                yield Reason(kind="cooldown", text=f"it was asked to wait until {_said_moment(from_us(starts_us))}")
        stuck = self._stuck(instance)
        if stuck is not None:
            yield stuck
        elif item is not None:
            text = f"no worker has started {run} yet; recover() hands it over again from {_said_us(item.due_us)} on"
            yield Reason(kind="pending", text=text, names=(run,))
        else:
            yield Reason(kind="pending", text=f"no worker has started {run} yet", names=(run,))

    def _running(self, instance: TaskInstance) -> Iterator[Reason]:
        since = _moment(instance, RUNNING)
        yield Reason(kind="done", text=f"since {_said_moment(since)}" if since is not None else "it was started")
        stuck = self._stuck(instance)
        if stuck is not None:
            yield stuck

    def _stuck(self, instance: TaskInstance) -> Reason | None:
        since = _moment(instance, instance.status)
        code, since_us = CODES[instance.status], 0 if since is None else to_us(since)
        older_than_us = round(parse_age(OLDER_THAN).total_seconds() * 1e6)
        why = why_stuck(instance.name, code, since_us, instance.cooldown, self.due, self.now_us, older_than_us)
        if why is None:
            return None
        text = _STUCK[why].format(run=instance.config.run, since=_said_us(since_us))
        return Reason(kind="stuck", text=text, names=(why,))

    def _failed(self, instance: TaskInstance) -> Iterator[Reason]:
        kind = str(instance.metadata.get("exceptionType") or "").rpartition(".")[2]
        message = self.source.text(str(instance.metadata.get("exceptionMessage") or "")) or ""
        if kind:
            yield Reason(kind="exception", text=f"{kind}: {message}" if message else kind, names=(kind,))
        blocked = [each.task for each in self.impacts.of(instance.name)]
        if blocked:
            yield Reason(kind="blocks", text=f"it blocks {_list(blocked)}", names=tuple(blocked))

    def _finished(self, instance: TaskInstance) -> Iterator[Reason]:
        started, ended = _moment(instance, RUNNING), _moment(instance, FINISHED)
        if started is None:
            yield Reason(kind="by-hand", text="someone set its status by hand, it did not run")
        elif ended is not None:
            yield Reason(kind="done", text=f"it ran from {_said_moment(started)} for {_seconds(ended - started)}")

    def _replayed(self, instance: TaskInstance) -> Iterator[Reason]:
        clone = self._clone(instance)
        if clone is not None:
            yield Reason(kind="replayed", text=f"its replay {clone.name} is {clone.status}", names=(clone.name,))

    def _skipped(self, instance: TaskInstance) -> Iterator[Reason]:
        task = instance.config.name
        if instance.metadata.get("cascade"):
            yield Reason(kind="cascade", text=f"{task} was fired as if it had finished", names=(task,))
        elif _moment(instance, FAILED) is None and _moment(instance, RUNNING) is not None:
            yield Reason(kind="no-cascade", text=f"it skipped itself, and {task} was not fired", names=(task,))
        else:
            yield Reason(kind="no-cascade", text=f"there was no cascade, {task} was not fired", names=(task,))

    def _abandoned(self, instance: TaskInstance) -> Iterator[Reason]:
        unless = sorted(instance.config.unless)
        if unless and set(unless) <= instance.abandon_state:
            yield Reason(kind="unless", text=f"{_list(unless)} fired before it could start", names=tuple(unless))
        else:
            yield Reason(kind="by-hand", text="someone set its status by hand")

    def _clone(self, instance: TaskInstance) -> TaskInstance | None:
        """The last of the replays that led on from an instance."""
        group = self.groups[instance.config.name]
        clones = {str(each.metadata.get("parent")): each for each in group if each.metadata.get("parent")}
        found = clones.get(instance.name)
        for _ in group:
            if found is None or found.name not in clones:
                return found
            found = clones[found.name]
        return found

    # Triggers that do not come ------------------------------------------------------------------------------------

    def _explain_absence(self, task: str) -> Explanation:
        reasons = tuple(
            reason
            for trigger in sorted(required(self.tasks[task]))
            for reason in self._why_missing(trigger, task, frozenset({task}))
        )
        said = "; ".join(reason.text for reason in reasons)
        return Explanation(target=task, status=None, sentence=f"{task} has no instance yet: {said}.", reasons=reasons)

    def _why_missing(self, trigger: str, task: str, path: frozenset[str]) -> Iterator[Reason]:
        """Say why a trigger has not come to a task, and what would bring it."""
        if trigger in self.tasks:
            yield from self._why_silent(trigger, task, path)
        elif trigger in self.fired:
            text = f"{trigger} fired before {task} waited for it"
            yield Reason(kind="fired-before", text=text, names=(trigger,))
        else:
            yield Reason(kind="not-fired", text=f"{trigger} has not fired", names=(trigger,))
            yield from self._near_misses(trigger)

    def _near_misses(self, trigger: str) -> Iterator[Reason]:
        """Find what was fired and may be meant: what nothing waits for, or else what is spelt almost alike."""
        near = get_close_matches(trigger, sorted(self.fired - self._used()), n=2, cutoff=0.75)
        if near:
            yield Reason(kind="near-miss", text=f"but {_list(near)} has, which nothing waits for", names=tuple(near))
            return
        uses = {trigger: 1, **dict.fromkeys(sorted(self.fired), 1)}
        for _, meant in near_misses(uses, frozenset(self.fired)):
            yield Reason(kind="near-miss", text=f"but {meant} has, which is spelt almost alike", names=(meant,))

    def _used(self) -> set[str]:
        return {trigger for task in self.tasks.values() for trigger in task.after | task.unless}

    def _why_silent(self, upstream: str, task: str, path: frozenset[str]) -> Iterator[Reason]:
        """Say why a task whose end is waited for has not ended."""
        if upstream in path:
            text = f"{task} waits for {upstream}, and that for it: neither comes first"
            yield Reason(kind="circle", text=text, names=(upstream, task))
            return
        group = self.groups.get(upstream, [])
        if not group:
            yield Reason(kind="no-instance", text=f"{upstream} has no instance yet", names=(upstream,))
            if len(path) < MAX_DEPTH:
                for trigger in sorted(required(self.tasks[upstream])):
                    yield from self._why_missing(trigger, upstream, path | {upstream})
            return
        counts = order_counts(Counter(instance.status for instance in group))
        [*_, instance] = [each for each in group if each.status == next(iter(counts))]
        yield self._upstream(instance, task)
        if instance.status == UNSTARTED and len(path) < MAX_DEPTH:
            for trigger in missing_triggers(instance):
                yield from self._why_missing(trigger, upstream, path | {upstream})

    def _upstream(self, instance: TaskInstance, task: str) -> Reason:
        name, upstream = instance.name, instance.config.name
        if instance.status == FAILED:
            kind = str(instance.metadata.get("exceptionType") or "").rpartition(".")[2]
            return Reason(kind="upstream-failed", text=f"{name} failed" + (f" ({kind})" if kind else ""), names=(name,))
        if instance.status in _ON_ITS_WAY:
            kind, text = _ON_ITS_WAY[instance.status]
            return Reason(kind=kind, text=f"{name} {text}", names=(name,))
        if instance.status == ABANDONED:
            return Reason(kind="upstream-abandoned", text=f"{name} was abandoned, so it never finishes", names=(name,))
        if upstream in self.fired:
            return Reason(kind="fired-before", text=f"{upstream} fired before {task} waited for it", names=(upstream,))
        if instance.status == SKIPPED:
            return Reason(kind="upstream-skipped", text=f"{name} was skipped without a cascade", names=(name,))
        return Reason(kind="upstream-silent", text=f"{name} is {instance.status}, without a cascade", names=(name,))


_VERBS: Final = {
    UNSTARTED: "has not started",
    SCHEDULED: "is scheduled",
    RUNNING: "is running",
    FINISHED: "finished",
    FAILED: "failed",
    REPLAYED: "was replayed",
    SKIPPED: "was skipped",
    ABANDONED: "was abandoned",
}
_EXPLAIN: Final[Mapping[str, Any]] = {
    UNSTARTED: Situation._unstarted,
    SCHEDULED: Situation._scheduled,
    RUNNING: Situation._running,
    FINISHED: Situation._finished,
    FAILED: Situation._failed,
    REPLAYED: Situation._replayed,
    SKIPPED: Situation._skipped,
    ABANDONED: Situation._abandoned,
}
_ON_ITS_WAY: Final = {
    RUNNING: ("upstream-running", "is still running"),
    SCHEDULED: ("upstream-scheduled", "is scheduled and has not started"),
    UNSTARTED: ("upstream-waiting", "has not started"),
}
_STUCK: Final = {
    PENDING: "no worker has started {run} since {since}, however often it was handed over; does one that knows this "
    "class run, and recover() with it?",
    SCHEDULED_LONG: "no worker has started it for a long time",
    RUNNING_LONG: "it has been running for a long time",
    LEASE_OUT: "its worker has not been heard of: recover() fails it as WorkerLost",
}


def _moment(instance: TaskInstance, stamp: str) -> datetime | None:
    found = instance.metadata["timestamps"].get(stamp)
    return found if is_moment(found) else None


def _said_us(us: int) -> str:
    return _said_moment(from_us(us))


def _said_moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _seconds(span: timedelta) -> str:
    seconds = span.total_seconds()
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:,.0f} s"


def _list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
