"""One session, to be looked at and changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from triggers_nb.access import Access
from triggers_nb.changes import SessionChanges
from triggers_nb.core import records as rec
from triggers_nb.core.events import Provenance
from triggers_nb.errors import RegistryError
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.plan.builders import SessionPlanner
from triggers_nb.plan.selection import manager_of
from triggers_nb.session_views import SessionView
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.cache import CacheStorageBackend
from triggers_nb.storages.store import Store

if TYPE_CHECKING:
    from triggers_nb.notebook.panel import SessionPanel
    from triggers_nb.workspace import Workspace


class Session(SessionView, SessionChanges):
    """A session of a workspace: its state as frames and graphs, its changes through its own manager.

    Made by ``workspace[uid]``.

    Examples
    --------
    >>> import triggers_nb as tnb
    >>> ws = tnb.connect("memory://session-example")
    >>> s = ws.create("order-17", {"t_ship": {"after": ["paid", "packed"], "run": "app.Ship"}})
    >>> result = s.fire("paid", {"amount": 20}, reason="an example")
    >>> s.instances()[["instance", "status", "missing_triggers"]].to_dict("records")
    [{'instance': 't_ship#0', 'status': 'unstarted', 'missing_triggers': ['packed']}]
    """

    def __init__(self, workspace: Workspace, uid: str) -> None:
        super().__init__(workspace._source, uid)
        self.workspace = workspace

    @property
    def manager(self) -> TriggerManager:
        """The session's real manager, on a handle with this workspace's mode.

        Raises
        ------
        RegistryError
            If the session remembers a manager that is not installed here. Reading the session works all the same.
        """
        return self._build_manager(self.workspace.access, Provenance(actor=self.workspace.actor), {})

    @property
    def storage(self) -> BaseTriggerStorage:
        """A handle on the session, with this workspace's mode."""
        return self._handle(self.workspace.access, Provenance(actor=self.workspace.actor), {})

    @property
    def plan(self) -> SessionPlanner:
        """Makes plans: what a change would do, before it is made."""
        return SessionPlanner(self.workspace, self.uid)

    def panel(self) -> SessionPanel:
        """Show the session in a widget that follows it: picture, instances, and what can be done with them.

        Close it with ``panel.close()``, or use it as a context manager. Of a session that is deleted it says so.
        """
        from triggers_nb.notebook.panel import SessionPanel

        return SessionPanel(self)

    def plan_manager(self, key: str | None, *, reason: str | None, action_id: str, plan_id: str) -> TriggerManager:
        """Return the manager of that key for steps of a plan (or the workspace's own, see `class_of`)."""
        provenance = Provenance(actor=self.workspace.actor, reason=reason, action_id=action_id, plan_id=plan_id)
        handle = self._handle(self.workspace.access, provenance, {})
        return self._make_manager(self.class_of(key), handle)

    def trial_manager(self, store: Store, cls: type[TriggerManager], *, is_candidate: bool = False) -> TriggerManager:
        """Return a manager of that class on an overlay that takes its changes; a candidate may be another's."""
        handle = self._handle(self.workspace.access, Provenance(actor=self.workspace.actor), {}).derive(
            mode="read-write", store=store, guard=None, check_manager=not is_candidate
        )
        return self._make_manager(cls, handle)

    def _tag(self) -> str | None:
        return self.workspace.env

    def _handle(self, access: Access, provenance: Provenance, expected: Mapping[str, int]) -> BaseTriggerStorage:
        workspace = self.workspace
        return CacheStorageBackend(self.uid, workspace._source.store).derive(
            mode=access.handle_mode,
            provenance=provenance,
            expected=expected,
            guard=access.guard(self.uid),
            runner=workspace.runner,
            handover=workspace.handover,
            refuse_threading=not workspace.store.embedded,
            celery_app=workspace.celery_app,
        )

    def _build_manager(self, access: Access, provenance: Provenance, expected: Mapping[str, int]) -> TriggerManager:
        return self._make_manager(self.manager_class(), self._handle(access, provenance, expected))

    def _make_manager(self, cls: type[TriggerManager], handle: BaseTriggerStorage) -> TriggerManager:
        # A subclass may take the storage alone.
        return cls(handle, allow_manager_change=True) if self.workspace.allow_manager_change else cls(handle)

    def manager_class(self) -> type[TriggerManager]:
        """Return the class that controls the session: the workspace's, else the one that the session remembers.

        Raises
        ------
        RegistryError
            If the session remembers a manager that is not installed here.
        """
        if self.workspace.manager is not None:
            return self.workspace.manager
        view = self.workspace.store.read(self.uid, (rec.HEAD,), follow=False)
        return self.class_of(manager_of(view) if view is not None else None)

    def class_of(self, key: str | None) -> type[TriggerManager]:
        """Return the class for a session that remembers that key; see `manager_class`."""
        if self.workspace.manager is not None:
            return self.workspace.manager
        if key is None:
            return TriggerManager
        try:
            return trigger_managers.get_class(key)
        except RegistryError as error:
            raise type(error)(
                f"session {self.uid!r} belongs to manager {key!r}, which cannot be used here, so it cannot be changed "
                f"(reading it works): {error}"
            ) from error
