"""Looking at all sessions of a store, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from triggers_nb.analysis import frames
from triggers_nb.analysis.frames_instances import Wanted
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.selection import Moment, Selection, Span, Statuses
from triggers_nb.analysis.stuck import OLDER_THAN
from triggers_nb.core.status import FAILED, RUNNING, SCHEDULED
from triggers_nb.errors import UnknownSession, brief
from triggers_nb.session_views import MAX_COMPLETIONS, SessionView

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.analysis.export import Exported
    from triggers_nb.analysis.graph import Graph
    from triggers_nb.render.board import Board
    from triggers_nb.render.picture import Picture

#: How many UIDs are searched for near names.
MAX_SEARCHED: Final = 20_000


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

    def __bool__(self) -> bool:
        return True

    def _ipython_key_completions_(self) -> list[str]:
        return self._source.store.uids()[:MAX_COMPLETIONS]

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

        Sessions come last changed first, instances by task and number. `pattern` chooses sessions, `since` and `until`
        instances by their last change, in the forms that `sessions` takes; `status`, `task`, `payloads` and
        `max_results` are those of `SessionView.instances`.
        """
        wanted = Wanted.parse(status, task, payloads)
        span = Span.parse(self._source.store, since, until)
        uids = self._uids(Selection(pattern, status, since))
        return frames.read_instances(self._source, uids, wanted, max_results, span)

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

        Rows are ordered as in `instances`; `since` and `until` bound the moment at which they failed.
        """
        span = Span.parse(self._source.store, since, until)
        uids = self._uids(Selection(pattern, FAILED, since))
        return frames.read_failures(self._source, uids, payloads, max_results, span)

    def failure_groups(
        self,
        pattern: str | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        max_results: int | None = frames.MAX_INSTANCES,
    ) -> pd.DataFrame:
        """Group the failures of all sessions by cause (`triggers_nb.analysis.failure_groups.GROUPS`), largest first.

        Takes what `failures` takes; `max_results` bounds the failures that are looked at.
        """
        from triggers_nb.analysis.failure_groups import failure_groups

        return failure_groups(self.failures(pattern, since=since, until=until, max_results=max_results))

    def stuck(
        self,
        pattern: str | None = None,
        *,
        older_than: object = OLDER_THAN,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> pd.DataFrame:
        """Read instances of all sessions that should have moved on (`schema.STUCK`).

        `pattern`, `since` and `until` choose sessions as in `sessions`.
        """
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

        Sessions are ordered as in `sessions`, the changes of each come oldest first; `since` and `until` bound the
        moment of the change.
        """
        span = Span.parse(self._source.store, since, until)
        return frames.read_events(self._source, self._uids(Selection(pattern, None, since)), max_results, span)

    def graph(self, pattern: str | None = None, *, since: Moment | None = None, until: Moment | None = None) -> Graph:
        """Build the union of the sessions' task graphs, with counts and failure rates per task.

        `pattern`, `since` and `until` choose sessions as in `sessions`.
        """
        from triggers_nb.analysis.fleet import read_fleet_graph

        return read_fleet_graph(self._source.store, self._uids(Selection(pattern, None, since, until)))

    def plot(
        self,
        pattern: str | None = None,
        *,
        since: Moment | None = None,
        until: Moment | None = None,
        title: str | None = None,
    ) -> Picture:
        """Draw the union of the sessions' task graphs."""
        from triggers_nb.render.picture import Picture

        graph = self.graph(pattern, since=since, until=until)
        return Picture(graph, title=title or f"{pattern or 'all sessions'} in {self._source.store.url}")

    def export(
        self,
        path: str | Path,
        pattern: str | None = None,
        *,
        status: Statuses | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
        payloads: bool = False,
    ) -> Exported:
        """Write sessions, instances and events to Parquet files, in bounded memory.

        Sessions are chosen as in `sessions`. The files are ``<path>/<kind>/day=<date>/part-<n>.parquet`` with `kind`
        one of ``sessions``, ``instances``, ``events``, and the day of the session's last change; the columns are those
        of the frames, lists as lists, other objects as JSON.

        Raises
        ------
        ImportError
            If pyarrow is missing: ``pip install "triggers-nb[parquet]"``.
        FileExistsError
            If the directory is there and not empty.
        """
        from triggers_nb.analysis.export import export

        return export(self._source, Selection(pattern, status, since, until), path, payloads=bool(payloads))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._source.store.url}>"

    def _repr_html_(self) -> str:
        return self._repr_mimebundle_()["text/html"]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from triggers_nb.render.board import board_bundle

        return board_bundle(self._board())

    def _board(self) -> Board:
        from triggers_nb.render.dashboard import MAX_SESSIONS, workspace_board

        found = list(islice(self._source.store.summaries(), MAX_SESSIONS + 1))
        is_all = len(found) <= MAX_SESSIONS
        title, about, tag = self._heading()
        return workspace_board(found[:MAX_SESSIONS], is_all=is_all, title=title, about=about, tag=tag)

    def _heading(self) -> tuple[str, str, str | None]:
        """Title, what it is, and the environment."""
        return self._source.store.url, "sessions", None

    def _uids(self, selection: Selection) -> list[str]:
        return selection.uids(self._source.store)

    def _check_uid(self, uid: object) -> None:
        if not isinstance(uid, str):
            raise TypeError(f"a session's UID is text, not {brief(uid)}")
        if uid in self:
            return
        known = self._source.store.uids()[:MAX_SEARCHED]
        raise UnknownSession(uid, known, hint=f"{self._source.store.url} has {_counted(known)}")


def _counted(uids: list[str]) -> str:
    more = " or more" if len(uids) == MAX_SEARCHED else ""
    return f"{len(uids):,}{more} session{'s' if len(uids) > 1 else ''}" if uids else "no session"
