"""The steps of a plan: one call of a manager's method each, with the versions of what it rests on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from triggers_nb.manager import TriggerManager
from triggers_nb.storages.store import Cell


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a plan."""

    uid: str
    #: A key of `METHODS`.
    action: str
    #: The instance, or the trigger; empty for a configuration.
    target: str
    #: What the manager's method is given besides the target.
    arguments: dict[str, Any]
    #: The session's epoch when the plan was made; 0 if it did not exist.
    epoch: int
    #: Revision of each cell that the step rests on, when the plan was made.
    seen: dict[str, int]
    #: Key of the manager that the session remembers; None if it remembers none.
    manager: str | None = None
    #: What was read of the session when the plan was made, at this sequence number; None: it was not there.
    known: Mapping[str, Cell | None] = {}
    known_seq: int = 0
    #: The instance's status when the plan was made.
    from_status: str | None = None
    #: The instance's kwargs when the plan was made, for steps that may change them.
    stored_kwargs: dict[str, Any] | None = None

    @property
    def cascades(self) -> bool:
        """Whether the step fires its instance's task."""
        return bool(self.arguments.get("cascade"))

    def call(self, manager: TriggerManager) -> None:
        """Make the change."""
        METHODS[self.action](manager, self.target, self.arguments)


def _fire(manager: TriggerManager, target: str, arguments: Mapping[str, Any]) -> None:
    manager.fire(target, arguments["kwargs"], once=arguments["once"])


def _replay(manager: TriggerManager, target: str, arguments: Mapping[str, Any]) -> None:
    manager.replay_failed_instance(target, arguments["kwargs"])


def _skip(manager: TriggerManager, target: str, arguments: Mapping[str, Any]) -> None:
    manager.skip_failed_instance(target, cascade=arguments["cascade"], result=arguments["result"])


def _update_status(manager: TriggerManager, target: str, arguments: Mapping[str, Any]) -> None:
    manager.update_instance_status(
        target,
        arguments["status"],
        arguments["metadata"],
        cascade=arguments["cascade"],
        cascade_kwargs=arguments["cascade_kwargs"],
    )


def _update_metadata(manager: TriggerManager, target: str, arguments: Mapping[str, Any]) -> None:
    manager.update_instance_metadata(target, arguments["metadata"])


def _resolve_logs(manager: TriggerManager, target: str, arguments: Mapping[str, Any]) -> None:
    manager.mark_instance_logs_resolved(target)


def _configure(manager: TriggerManager, target: str, arguments: Mapping[str, Any]) -> None:
    manager.update_configuration(arguments["configuration"])


#: Actions that were tried out when the plan was made, to learn what they read.
TRIED: Final = ("fire", "configure")

#: The manager's method behind each action; nothing else changes a session.
METHODS: Final[dict[str, Callable[[TriggerManager, str, Mapping[str, Any]], None]]] = {
    "fire": _fire,
    "replay": _replay,
    "skip": _skip,
    "update_status": _update_status,
    "update_metadata": _update_metadata,
    "resolve_logs": _resolve_logs,
    "configure": _configure,
}
