"""Connecting to a storage, and what can be done with all of its sessions."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from triggers_nb.access import Access, current_actor, make_access
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.selection import parse_flag
from triggers_nb.core.codec import checked_text
from triggers_nb.errors import CredentialsWarning, SessionExists, brief
from triggers_nb.journal import Journal, JournalWriter, journal_path
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.plan.builders import WorkspacePlanner
from triggers_nb.redaction import Redactor, safe_url
from triggers_nb.runners.base import task_runners
from triggers_nb.session import Session
from triggers_nb.storages.guarded import GuardedStore
from triggers_nb.storages.store import Store
from triggers_nb.storages.urls import URL_VARIABLE, absolute_url, default_url, open_store
from triggers_nb.views import StoreView

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.notebook.triage import Triage
    from triggers_nb.plan.execution import Progress, Result
    from triggers_nb.plan.plan import Plan

Handover = Literal["now", "defer"]


def connect(
    url: str | None = None,
    *,
    manager: str | type[TriggerManager] | None = None,
    mode: str | None = None,
    env: str | None = None,
    actor: str | None = None,
    runner: str | None = None,
    celery_app: str | None = None,
    handover: Handover | None = None,
    redact: bool = True,
    allow_manager_change: bool = False,
) -> Workspace:
    """Open a storage to look at its sessions, and to change them where that is allowed.

    Parameters
    ----------
    url
        ``sqlite:///path`` or ``memory://name`` (*embedded*), ``redis://…`` and the like (*shared*). By default
        ``TRIGGERS_URL``, else ``sqlite:///triggers.db`` in the working directory.
    manager
        Key or class of the manager that changes go through; by default each session's own.
    mode
        ``"read-write"`` or ``"read-only"``; by default read-write for embedded storages, read-only for shared ones.
        With ``"read-only"`` a SQLite file has to exist; otherwise it is made when it is first used.
    env
        Name of the environment. A writable shared storage without one counts as ``"production"``, where every change
        has to be confirmed; ``env="dev"`` opts out.
    actor
        Who is recorded with changes; by default ``JUPYTERHUB_USER``, else the user of the operating system.
    runner
        Key of the runner for work that is scheduled from here; by default work goes where it goes in production.
    celery_app
        ``module:attribute`` of the Celery application that takes the work; it is imported when work is handed over.
    handover
        ``"defer"`` commits and leaves handing work over to ``recover()`` on the workers' side.
    redact
        Whether secrets and personal data are hidden in what is shown.
    allow_manager_change
        Whether `manager` may change sessions that remember another one, which then remember this one.

    Returns
    -------
    Workspace

    Raises
    ------
    StorageUrlError
        If the URL cannot be used, or ``mode="read-only"`` is asked for a SQLite file that does not exist.
    UnknownKey
        If no manager or runner has that key.
    TypeError, ValueError
        If another argument has no such value.

    Warns
    -----
    CredentialsWarning
        If the URL holds a password: set ``TRIGGERS_URL`` outside of the notebook instead.

    Examples
    --------
    >>> import triggers_nb as tnb
    >>> with tnb.connect("memory://connect-example") as ws:
    ...     ws.mode, ws.sessions().empty
    ('read-write', True)
    """
    if url is not None and not isinstance(url, str):
        raise TypeError(f"url={brief(url)}: expected text such as 'sqlite:///triggers.db' or 'redis://localhost'")
    if url is not None and safe_url(url) != url:
        warnings.warn(
            f"{safe_url(url)}: the URL that was passed holds credentials, and whoever gets this notebook gets them; "
            f"set {URL_VARIABLE} outside of it",
            CredentialsWarning,
            stacklevel=2,
        )
    if handover not in (None, "now", "defer"):
        raise ValueError(f"handover={brief(handover)}: expected 'defer', or None to hand work over at once")
    if actor is not None and not isinstance(actor, str):
        raise TypeError(f"actor={brief(actor)}: expected a person's name, or None for the one who works here")
    checked_text(actor or "", "actor")
    redacts, changes_manager = parse_flag(redact, "redact"), parse_flag(allow_manager_change, "allow_manager_change")
    if isinstance(celery_app, str):
        _check_application(celery_app)
    store = open_store(default_url() if url is None else absolute_url(url), must_exist=mode == "read-only")
    if runner is not None:
        task_runners.get_class(runner)
    return Workspace(
        store,
        make_access(store, mode, env),
        manager=_manager_class(manager),
        actor=actor or current_actor(),
        runner=runner,
        celery_app=celery_app,
        handover=handover or "now",
        redactor=Redactor.from_environment() if redacts else None,
        allow_manager_change=changes_manager,
    )


def _check_application(name: str) -> None:
    """Refuse what cannot name a Celery application, without importing anything of it: that may do anything."""
    module, sign, attribute = name.partition(":")
    parts = [*module.split("."), *(attribute.split(".") if sign else ())]
    if not all(part.isidentifier() for part in parts):
        raise ValueError(f"celery_app={brief(name)}: expected 'module:attribute', such as 'proj.celery:app'")
    if parts[0] not in sys.modules and find_spec(parts[0]) is None:
        raise ValueError(
            f"celery_app={brief(name)}: there is no module {parts[0]!r} here; expected 'module:attribute' of what can "
            "be imported, such as 'proj.celery:app'"
        )


def _manager_class(manager: str | type[TriggerManager] | None) -> type[TriggerManager] | None:
    if isinstance(manager, str):
        return trigger_managers.get_class(manager)
    if manager is None or (isinstance(manager, type) and issubclass(manager, TriggerManager)):
        return manager
    raise TypeError(f"manager={brief(manager)}: expected the key of a manager, or a subclass of TriggerManager")


class Workspace(StoreView):
    """All sessions of a storage, as one person sees and may change them. Made by `connect`; a context manager.

    Attributes
    ----------
    url : str
        The storage, without credentials.
    mode : str
        ``"read-write"`` or ``"read-only"``.
    env : str or None
        The environment.
    actor : str
        Who is recorded with changes.

    Examples
    --------
    >>> import triggers_nb as tnb
    >>> with tnb.connect("memory://workspace-example") as ws:
    ...     s = ws.create("order-17", {"t_ship": {"after": ["paid", "packed"], "run": "app.Ship"}})
    ...     result = s.fire("paid", {"amount": 20})
    ...     ws.sessions()[["session_uid", "manager", "unstarted", "n_unresolved"]].to_dict("records")
    [{'session_uid': 'order-17', 'manager': 'default', 'unstarted': 1, 'n_unresolved': 1}]
    >>> with ws.writable(confirm="memory") as rw:
    ...     result = rw["order-17"].fire("packd", reason="a misspelling")
    >>> print(ws["order-17"].explain("t_ship#0"))
    t_ship#0 has not started: packed has not fired; but packd has, which nothing waits for.
    >>> ws["order-17"].at(2).triggers()["trigger"].tolist()
    ['packed', 'paid']
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        *,
        manager: type[TriggerManager] | None,
        actor: str,
        runner: str | None,
        celery_app: str | None,
        handover: Handover,
        redactor: Redactor | None,
        allow_manager_change: bool,
    ) -> None:
        super().__init__(Source(store, redactor))
        self.access, self.manager, self.actor = access, manager, actor
        self.runner, self.celery_app, self.handover = runner, celery_app, handover
        self.allow_manager_change = allow_manager_change
        self._journal = Journal(journal_path(), redactor or Redactor.from_environment())

    @property
    def store(self) -> Store:
        """The storage itself: may be changed as far as this workspace may change it."""
        store, guard = self._source.store, self.access.guard()
        return store if guard is None else GuardedStore(store, guard)

    @property
    def url(self) -> str:
        """The storage, without credentials."""
        return self.store.url

    @property
    def mode(self) -> str:
        """``"read-write"`` or ``"read-only"``."""
        return self.access.mode

    @property
    def env(self) -> str | None:
        """The environment; None for an embedded storage of which nothing was said."""
        return self.access.env

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the storage's connections; they open again when something is asked."""
        self.store.close()

    def __getitem__(self, uid: str) -> Session:
        """Return a session.

        Raises
        ------
        UnknownSession
            If there is none of this UID; near ones are suggested.
        """
        self._check_uid(uid)
        return Session(self, uid)

    def create(
        self,
        uid: str,
        configuration: Mapping[str, Mapping[str, Any]],
        *,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> Session:
        """Make a session with that configuration, and return it.

        Raises
        ------
        SessionExists
            If there is one of this UID.
        ConfigurationError
            If the configuration is wrong; no session is made then.
        ReadOnlyError, ConfirmationRequired
            If this workspace does not allow it.
        """
        if uid in self:
            raise SessionExists(f"session {uid!r} exists already: use ws[{uid!r}].configure(…) to change its tasks")
        session = Session(self, uid)
        session.configure(configuration, reason=reason, confirm=confirm)
        return session

    @contextmanager
    def writable(self, confirm: str | None = None) -> Iterator[Workspace]:
        """Yield a second workspace that may change sessions, until the block ends.

        Parameters
        ----------
        confirm
            The phrase that confirms it: the environment's name; else the file's name of an SQLite storage, or
            ``"memory"``.

        Raises
        ------
        ConfirmationRequired
            If another phrase was typed, or none. The message says which.
        """
        allowed = self._with(self.access.confirm(confirm))
        try:
            yield allowed
        finally:
            allowed.end()

    def triage(self, pattern: str | None = None, *, values: pd.DataFrame | None = None) -> Triage:
        """Show the failures of all sessions by cause, in a widget that follows them, and repair them from there.

        Parameters
        ----------
        pattern
            Only sessions whose UID matches, with ``*`` and ``?``.
        values
            Columns of one's own for instances, named by ``session_uid`` and ``instance``: what a patch takes as
            ``{{column}}``.

        Raises
        ------
        ValueError
            If `values` names no instances, or one twice.
        """
        from triggers_nb.notebook.triage import Triage

        return Triage(self, pattern, values)

    @property
    def plan(self) -> WorkspacePlanner:
        """Makes plans over sessions: what changes would do, before they are made."""
        return WorkspacePlanner(self)

    def execute(
        self,
        plan: Plan,
        *,
        reason: str | None = None,
        confirm: str | None = None,
        on_error: str = "continue",
        rate: float | None = None,
        progress: Progress = None,
    ) -> Result:
        """Execute a plan that was made on this workspace, or on the one that this is a writable block of.

        Takes and raises what ``plan.execute`` does.
        """
        from triggers_nb.plan.execution import execute

        return execute(self, plan, reason=reason, confirm=confirm, on_error=on_error, rate=rate, progress=progress)

    def allow(self, plan: Plan, confirm: str | None) -> Workspace:
        """Return a workspace that may execute a plan: this one, or a confirmed copy, to be ended with `end`.

        Raises
        ------
        ReadOnlyError, ConfirmationRequired
            If this workspace does not allow it.
        """
        access = self.access
        if access.mode == "read-write" and access.permit is None and (access.is_production or plan.is_sweeping):
            return self._with(access.confirm(confirm))
        access.refuse(plan.uids[0] if plan.uids else "…")
        return self

    def end(self) -> None:
        """End what a confirmation has allowed."""
        if self.access.permit is not None:
            self.access.permit.is_over = True

    def session(self, uid: str) -> Session:
        """Return a session that need not exist."""
        return Session(self, uid)

    def instances_named(self, names: Sequence[tuple[str, str]]) -> pd.DataFrame:
        """Read instances by UID and name (`schema.INSTANCES`), in the order given, as far as they exist."""
        from triggers_nb.analysis.frames import read_instances
        from triggers_nb.analysis.frames_instances import Wanted

        found = read_instances(self._source, list(dict.fromkeys(uid for uid, _ in names)), Wanted(), None)
        positions = {key: row for row, key in enumerate(zip(found["session_uid"], found["instance"], strict=True))}
        return found.iloc[[positions[name] for name in names if name in positions]].reset_index(drop=True)

    def shown(self, value: Any) -> Any:
        """Return a value as it may be shown here: redacted, unless the workspace was opened without."""
        return self._source.value(value)

    def journal(self, form: Literal["frame", "lines", "python"] = "frame") -> Any:
        """Read what was executed on this storage from this machine's user's notebooks, oldest first.

        Parameters
        ----------
        form
            ``"frame"``: a `pandas.DataFrame` (`triggers_nb.plan.frames.JOURNAL`); ``"lines"``: what is on disk, as
            dicts; ``"python"``: text that makes the same changes again, with kwargs as patches and secrets redacted.

        Warns
        -----
        UnreadableJournal
            If lines of the file cannot be read; they are named and left out.
        """
        if form == "frame":
            return self._journal.frame(self.url)
        if form == "python":
            return self._journal.python(self.url)
        return self._journal.lines(self.url)

    def journal_writer(self, plan: Plan, reason: str | None, action_id: str) -> AbstractContextManager[JournalWriter]:
        """Open the journal for one execution of a plan."""
        about = {
            "actor": self.actor,
            "env": self.env,
            "url": self.url,
            "reason": reason,
            "plan_id": plan.plan_id,
            "action_id": action_id,
        }
        return self._journal.writer(about)

    def managers(self) -> pd.DataFrame:
        """List every registered manager (`schema.MANAGERS`), those that cannot be loaded included."""
        from triggers_nb.analysis.frames_managers import manager_columns
        from triggers_nb.analysis.schema import MANAGERS

        return MANAGERS.frame(manager_columns(trigger_managers.entries()))

    def _heading(self) -> tuple[str, str, str | None]:
        return self.url, f"workspace · {self.mode} · {self.actor}", self.env

    def _with(self, access: Access) -> Workspace:
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.access = access
        return other
