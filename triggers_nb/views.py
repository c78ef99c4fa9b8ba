"""Looking at sessions: what can be asked of a store, and of one session in it, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Literal

from triggers_nb.analysis import frames
from triggers_nb.analysis.frames_instances import Wanted
from triggers_nb.analysis.history import When, rebuild
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.selection import Moment, Selection, Statuses, codes_of, parse_names, parse_statuses
from triggers_nb.analysis.stuck import OLDER_THAN
from triggers_nb.core.records import from_us
from triggers_nb.core.status import FAILED, RUNNING, SCHEDULED
from triggers_nb.errors import UnknownSession, brief
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.store import SessionState

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.analysis.graph import Graph
    from triggers_nb.render.picture import Picture

#: How many UIDs are offered for completion, and searched for near names.
MAX_COMPLETIONS: Final = 1000
MAX_SEARCHED: Final = 20_000

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
    """

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
        """
        self._check_exists()
        wanted = _wanted(status, task, payloads)
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

    def _state(self) -> SessionState:
        return frames.read_state(self._source, self.uid)

    def _check_exists(self) -> None:
        if self._source.store.counts(self.uid) is None:
            raise UnknownSession(self.uid, hint="It was never configured, was deleted, or has expired")


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


class StoreView:
    """All sessions of a store, to be looked at.

    Parameters
    ----------
    source : Source
        The store.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    def __getitem__(self, uid: str) -> SessionView:
        """Return a session.

        Raises
        ------
        UnknownSession
            If there is none of this UID; near ones are suggested.
        """
        self._check_uid(uid)
        return SessionView(self._source, uid)

    def __contains__(self, uid: object) -> bool:
        return isinstance(uid, str) and bool(uid) and self._source.store.counts(uid) is not None

    def __iter__(self) -> Iterator[str]:
        return (summary.uid for summary in self._source.store.summaries())

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _ipython_key_completions_(self) -> list[str]:
        return list(islice(self, MAX_COMPLETIONS))

    def sessions(
        self,
        pattern: str | None = None,
        *,
        status: Statuses | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        max_results: int | None = frames.MAX_SESSIONS,
    ) -> pd.DataFrame:
        """Read sessions: a row for each, last changed first (`schema.SESSIONS`).

        Parameters
        ----------
        pattern
            Only UIDs like this, with ``*``, ``?`` and ``[…]`` as in file names.
        status
            Only sessions with at least one instance in (one of) these statuses.
        since, until
            Only sessions whose last change was in this span: datetimes with a time zone, or ages such as ``"24h"``.
        max_results
            Most rows; None: all.

        Raises
        ------
        InvalidStatus, ValueError
            If there is no such status, or a moment makes no sense.
        """
        return frames.read_sessions(self._source, Selection(pattern, status, since, until), max_results)

    def instances(
        self,
        pattern: str | None = None,
        *,
        status: Statuses | None = None,
        task: str | list[str] | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        payloads: bool = False,
        max_results: int | None = frames.MAX_INSTANCES,
    ) -> pd.DataFrame:
        """Read instances of all sessions: a row for each (`schema.INSTANCES`).

        Sessions come last changed first, instances by task and number. `pattern`, `since` and `until` choose sessions
        as in `sessions`; `status`, `task`, `payloads` and `max_results` are those of `SessionView.instances`.
        """
        wanted = _wanted(status, task, payloads)
        uids = self._uids(Selection(pattern, status, since, until))
        return frames.read_instances(self._source, uids, wanted, max_results)

    def failures(
        self,
        pattern: str | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        payloads: bool = False,
        max_results: int | None = frames.MAX_INSTANCES,
    ) -> pd.DataFrame:
        """Read failed instances of all sessions, with what cannot run because of each (`schema.FAILURES`).

        Sessions are chosen and rows ordered as in `instances`.
        """
        uids = self._uids(Selection(pattern, FAILED, since, until))
        return frames.read_failures(self._source, uids, payloads, max_results)

    def failure_groups(self, pattern: str | None = None, **filters: Any) -> pd.DataFrame:
        """Group the failures of all sessions by cause; takes what `failures` takes."""
        from triggers_nb.analysis.failure_groups import failure_groups

        return failure_groups(self.failures(pattern, **filters))

    def stuck(
        self,
        pattern: str | None = None,
        *,
        older_than: object = OLDER_THAN,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> pd.DataFrame:
        """Read instances of all sessions that should have moved on (`schema.STUCK`)."""
        uids = self._uids(Selection(pattern, (SCHEDULED, RUNNING), since, until))
        return frames.read_stuck(self._source, uids, older_than)

    def events(
        self,
        pattern: str | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        max_results: int | None = frames.MAX_EVENTS,
    ) -> pd.DataFrame:
        """Read the changes of all sessions (`schema.EVENTS`).

        Sessions are chosen and ordered as in `sessions`; the changes of each come oldest first.
        """
        return frames.read_events(self._source, self._uids(Selection(pattern, None, since, until)), max_results)

    def _uids(self, selection: Selection) -> list[str]:
        return [summary.uid for summary in selection.summaries(self._source.store)]

    def _check_uid(self, uid: object) -> None:
        if not isinstance(uid, str):
            raise TypeError(f"a session's UID is text, not {brief(uid)}")
        if uid in self:
            return
        known = list(islice(self, MAX_SEARCHED))
        raise UnknownSession(uid, known, hint=f"{self._source.store.url} has {_counted(known)}")


def _counted(uids: list[str]) -> str:
    more = " or more" if len(uids) == MAX_SEARCHED else ""
    return f"{len(uids):,}{more} sessions" if uids else "no session"


def _wanted(status: Statuses | None, task: str | list[str] | None, payloads: bool) -> Wanted:
    return Wanted(codes=codes_of(parse_statuses(status)), tasks=parse_names(task, "task"), payloads=bool(payloads))
