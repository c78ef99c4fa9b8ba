"""Looking at one session, and at what is in it, without changing anything."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import msgspec

from triggers_nb.analysis import frames
from triggers_nb.analysis.explain import Explanation, Situation
from triggers_nb.analysis.frames_failures import fired_of, tasks_of
from triggers_nb.analysis.frames_instances import Wanted
from triggers_nb.analysis.history import When, rebuild
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.selection import Statuses
from triggers_nb.analysis.stuck import OLDER_THAN
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.records import from_us
from triggers_nb.errors import UnknownName, UnknownSession, UnknownTask
from triggers_nb.storages.base import BaseTriggerStorage, created, instances_of
from triggers_nb.storages.store import SessionState

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.analysis.graph import Graph
    from triggers_nb.analysis.graph_impact import Blocked
    from triggers_nb.render.board import Board
    from triggers_nb.render.picture import Picture

#: How many names are offered for completion.
MAX_COMPLETIONS: Final = 1000

Level = Literal["task", "instance"]


class SessionView:
    """One session, to be looked at.

    Every method reads the current state. Instances, tasks and triggers come as frames whose columns
    `triggers_nb.analysis.schema` describes.

    Parameters
    ----------
    source : Source
        Where it is kept.
    uid : str
        Its name.

    Examples
    --------
    >>> import triggers_nb as tnb
    >>> ws = tnb.connect("memory://view-example")
    >>> s = ws.create("order-17", {"t_ship": {"after": ["paid", "packed"], "run": "app.Ship"}})
    >>> result = s.fire("paid", {"amount": 20})
    >>> s.instances()[["instance", "status", "missing_triggers"]].to_dict("records")
    [{'instance': 't_ship#0', 'status': 'unstarted', 'missing_triggers': ['packed']}]
    >>> s.triggers(payloads=True).set_index("trigger").loc["paid", "payload"]
    {'amount': 20}
    >>> s.events().query("action == 'fire'")[["seq", "target", "to_status"]].to_numpy().tolist()
    [[2, 'paid', <NA>], [2, 't_ship#0', 'unstarted']]
    >>> sorted(s.graph().edges(keys=True))
    [('packed', 't_ship', 'after'), ('paid', 't_ship', 'after')]
    >>> s.diff(1)[["kind", "target", "field", "after"]].iloc[-1].tolist()
    ['instance', 't_ship#0', 'kwargs.paid', {'amount': 20}]
    """

    #: Names are asked for, not iterated over: `instances` and `tasks` list them.
    __iter__: ClassVar[None] = None

    def __init__(self, source: Source, uid: str) -> None:
        self._source = source
        self.uid = uid

    @property
    def storage(self) -> BaseTriggerStorage:
        """A read-only handle on the session."""
        return BaseTriggerStorage(self.uid, self._source.store).derive(mode="read-only")

    def tasks(self) -> pd.DataFrame:
        """Read the session's tasks: a row for each, by name (`schema.TASKS`)."""
        return frames.read_tasks(self._source, self.uid)

    def instances(
        self,
        *,
        status: Statuses | None = None,
        task: str | list[str] | None = None,
        payloads: bool = False,
        max_results: int | None = frames.MAX_INSTANCES,
    ) -> pd.DataFrame:
        """Read the session's instances: a row for each, by task and number (`schema.INSTANCES`).

        Parameters
        ----------
        status, task
            Only those in (one of) these statuses, of (one of) these tasks.
        payloads
            Whether to fill kwargs, result, traceback and exception context, redacted.
        max_results
            Most rows; None: all.

        Raises
        ------
        InvalidStatus
            If there is no such status.
        UnknownSession
            If the session does not exist (any more).
        UnknownTask
            If the session has no such task; near names are suggested.
        """
        wanted = Wanted.parse(status, task, payloads)
        self._check_exists(wanted.tasks)
        return frames.read_instances(self._source, [self.uid], wanted, max_results)

    def triggers(self, *, payloads: bool = False) -> pd.DataFrame:
        """Read the session's triggers, named or fired: a row for each, by name (`schema.TRIGGERS`)."""
        return frames.read_triggers(self._source, self.uid, payloads)

    def failures(self, *, payloads: bool = False, max_results: int | None = frames.MAX_INSTANCES) -> pd.DataFrame:
        """Read the session's failed instances, with what cannot run because of each (`schema.FAILURES`)."""
        self._check_exists()
        return frames.read_failures(self._source, [self.uid], payloads, max_results)

    def events(self, *, max_results: int | None = frames.MAX_EVENTS) -> pd.DataFrame:
        """Read the session's changes: a row for each, oldest first (`schema.EVENTS`)."""
        self._check_exists()
        return frames.read_events(self._source, [self.uid], max_results)

    def stuck(self, older_than: object = OLDER_THAN) -> pd.DataFrame:
        """Read the session's instances that should have moved on (`schema.STUCK`)."""
        self._check_exists()
        return frames.read_stuck(self._source, [self.uid], older_than)

    def graph(self, level: Level = "task") -> Graph:
        """Build the session's graph: of tasks and triggers, or of instances.

        Raises
        ------
        ValueError
            If there is no such level.
        """
        from triggers_nb.analysis.session_graph import session_graph

        return session_graph(self._source.store, self._state(), self.uid, level)

    def plot(self, level: Level = "task", *, title: str | None = None) -> Picture:
        """Draw the session's graph; in a notebook the result is a picture, elsewhere text."""
        from triggers_nb.render.picture import Picture

        return Picture(self.graph(level), title=title or self.uid)

    def explain(self, name: str) -> ExplanationView:
        """Say why an instance, or a task, has run or has not.

        Raises
        ------
        UnknownName
            If the session has neither of that name.
        """
        return ExplanationView(**msgspec.structs.asdict(self._situation().explain(name)))

    def impact(self, instance: str) -> list[Blocked]:
        """Find out what cannot run because of an instance, nearest first.

        Raises
        ------
        UnknownInstance
            If the session has none of that name.
        """
        return self._situation().impacts.of(instance)

    def timeline(self, *, title: str | None = None) -> Picture:
        """Draw when the session's instances waited and ran; in a notebook a picture, elsewhere text."""
        from triggers_nb.render.picture import Picture

        until = from_us(self._source.store.now_us())
        return Picture(self.graph("instance"), title=title or self.uid, kind="timeline", until=until)

    def at(self, when: When) -> PastSession:
        """Return the session as it was after an event.

        Parameters
        ----------
        when
            The event's sequence number, from 1; or a moment (a datetime with a time zone, or an age such as ``"2h"``),
            which means the last event at or before it.

        Raises
        ------
        HistoryTrimmed
            If that event is no longer kept.
        ValueError
            If there was no such event, or the session did not exist at that moment.
        """
        past = rebuild(self._source.store, self.uid, when)
        return PastSession(Source(past.store, self._source.redactor), self.uid, past.seq, past.at_us)

    def diff(self, before: When, after: When | None = None) -> pd.DataFrame:
        """Compare the session at two moments, by default with what it is now (`schema.DIFFERENCES`).

        A row for each field that differs: of the session, then of tasks, triggers and instances, each by name.
        Timestamps are left out.
        """
        from triggers_nb.analysis.differences import difference_columns
        from triggers_nb.analysis.schema import DIFFERENCES

        old = self.at(before)._state()
        new = self._state() if after is None else self.at(after)._state()
        return DIFFERENCES.frame(difference_columns(self._source, self.uid, old, new))

    def __getitem__(self, name: str) -> InstanceView | TaskView:
        """Return an instance, or a task, to be looked at.

        Raises
        ------
        UnknownName
            If the session has neither of that name; near ones are suggested.
        """
        situation = self._situation()
        if name in situation.instances:
            return InstanceView(self._source, self.uid, situation, situation.instances[name])
        if name in situation.tasks:
            return TaskView(self._source, self.uid, situation, situation.tasks[name])
        raise UnknownName(name, [*situation.instances, *situation.tasks])

    def _ipython_key_completions_(self) -> list[str]:
        situation = self._situation()
        return [*situation.tasks, *situation.instances][:MAX_COMPLETIONS]

    def _situation(self) -> Situation:
        state = self._state()
        tasks, now_us = tasks_of(state), self._source.store.now_us()
        return Situation(self._source, tasks, instances_of(state, tasks, self.uid), fired_of(state), state.due, now_us)

    def _board(self) -> Board:
        from triggers_nb.render.dashboard import MAX_ROWS, session_board

        state = self._state()
        events = self._source.store.events(self.uid, after=max(state.seq - MAX_ROWS, 0), limit=MAX_ROWS)
        return session_board(self._source, self.uid, state, events, where=self._source.store.url, tag=self._tag())

    def _tag(self) -> str | None:
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.uid!r} in {self._source.store.url}>"

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from triggers_nb.render.board import board_bundle

        return board_bundle(self._board())

    def _state(self) -> SessionState:
        return frames.read_state(self._source, self.uid)

    def _check_exists(self, tasks: Collection[str] = ()) -> None:
        """Raise if the session does not exist, or has not all of these tasks."""
        counts = self._source.store.counts(self.uid)
        if counts is None:
            raise UnknownSession(self.uid, hint="It was never configured, was deleted, or has expired")
        known = created(counts) if tasks else {}
        for task in tasks:
            if task not in known:
                raise UnknownTask(task, known)


class ExplanationView(Explanation, frozen=True, kw_only=True):
    """An explanation that a notebook shows."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from triggers_nb.render.board import board_bundle
        from triggers_nb.render.dashboard import explanation_board

        return board_bundle(explanation_board(self))


class InstanceView:
    """An instance as it was when it was read.

    Attributes
    ----------
    name, status : str
        What it is called, and its status.
    instance : TaskInstance
        All of it, unredacted.
    explanation : Explanation
        Why it has run or has not.
    """

    def __init__(self, source: Source, uid: str, situation: Situation, instance: TaskInstance) -> None:
        self._source, self._uid = source, uid
        self.name, self.status, self.instance = instance.name, instance.status, instance
        self.explanation = situation.explain(instance.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.status}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from triggers_nb.render.board import board_bundle
        from triggers_nb.render.dashboard import instance_board

        return board_bundle(instance_board(self._source, self._uid, self.instance, [self.explanation.sentence]))


class TaskView:
    """A task, and its instances, as they were when they were read.

    Attributes
    ----------
    name : str
        What it is called.
    task : TaskConfig
        Its configuration, unredacted.
    instances : list of TaskInstance
        By number.
    explanation : Explanation
        Why it has run or has not.
    """

    def __init__(self, source: Source, uid: str, situation: Situation, task: TaskConfig) -> None:
        self._source, self._uid = source, uid
        self.name, self.task, self.instances = task.name, task, situation.groups.get(task.name, [])
        self.explanation = situation.explain(task.name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} with {len(self.instances)} instances>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from triggers_nb.render.board import board_bundle
        from triggers_nb.render.dashboard import task_board

        said = [self.explanation.sentence]
        return board_bundle(task_board(self._source, self._uid, self.task, self.instances, said))


class PastSession(SessionView):
    """A session as it was after an event; it cannot be changed.

    Attributes
    ----------
    seq : int
        Sequence number of the event.
    occurred_at : datetime
        When it was committed.
    """

    def __init__(self, source: Source, uid: str, seq: int, at_us: int) -> None:
        super().__init__(source, uid)
        self.seq = seq
        self.occurred_at = from_us(at_us)

    def _tag(self) -> str | None:
        return f"as it was after event {self.seq}"
