"""One session, to be looked at and changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from triggers_nb.access import Access
from triggers_nb.changes import SessionChanges
from triggers_nb.core.events import Provenance
from triggers_nb.errors import RegistryError
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.plan.builders import SessionPlanner
from triggers_nb.session_views import SessionView
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.cache import CacheStorageBackend
from triggers_nb.storages.store import Store

if TYPE_CHECKING:
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

    def plan_manager(self, *, reason: str | None, action_id: str, plan_id: str) -> TriggerManager:
        """Return the session's manager for one step of a plan."""
        provenance = Provenance(actor=self.workspace.actor, reason=reason, action_id=action_id, plan_id=plan_id)
        return self._build_manager(self.workspace.access, provenance, {})

    def trial_manager(self, store: Store, manager: type[TriggerManager] | None) -> TriggerManager:
        """Return the session's manager, or one of another class, on an overlay that takes its changes."""
        handle = self._handle(self.workspace.access, Provenance(actor=self.workspace.actor), {}).derive(
            mode="read-write", store=store, guard=None, check_manager=manager is None
        )
        cls = manager or self.manager_class()
        return cls(handle, allow_manager_change=True) if self.workspace.allow_manager_change else cls(handle)

    def _tag(self) -> str | None:
        return self.workspace.env

    def _handle(self, access: Access, provenance: Provenance, expected: Mapping[str, int]) -> BaseTriggerStorage:
        workspace = self.workspace
        return CacheStorageBackend(self.uid, workspace.store).derive(
            mode=access.mode,
            provenance=provenance,
            expected=expected,
            guard=access.guard(self.uid),
            runner=workspace.runner,
            handover=workspace.handover,
            refuse_threading=not workspace.store.embedded,
            celery_app=workspace.celery_app,
        )

    def _build_manager(self, access: Access, provenance: Provenance, expected: Mapping[str, int]) -> TriggerManager:
        handle = self._handle(access, provenance, expected)
        return self.manager_class()(handle, allow_manager_change=self.workspace.allow_manager_change)

    def manager_class(self) -> type[TriggerManager]:
        """Return the class that controls the session: the workspace's, else the one that the session remembers.

        Raises
        ------
        RegistryError
            If the session remembers a manager that is not installed here.
        """
        chosen = self.workspace.manager
        if chosen is not None:
            return chosen
        key = BaseTriggerStorage(self.uid, self.workspace.store).manager_key if self._exists() else None
        if key is None:
            return TriggerManager
        try:
            return trigger_managers.get_class(key)
        except RegistryError as error:
            raise type(error)(
                f"session {self.uid!r} belongs to manager {key!r}, which cannot be used here, so it cannot be changed "
                f"(reading it works): {error}"
            ) from error

    def _exists(self) -> bool:
        return self.workspace.store.counts(self.uid) is not None
