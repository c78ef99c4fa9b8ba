"""``s.plan`` and ``ws.plan``: how plans are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from triggers_nb.core import records as rec
from triggers_nb.core.codec import encode_mapping
from triggers_nb.core.configuration import parse_configuration
from triggers_nb.core.metadata import parse_metadata
from triggers_nb.core.status import check_by_hand, check_status
from triggers_nb.errors import InvalidStatus
from triggers_nb.plan.actions import Action
from triggers_nb.plan.plan import Plan
from triggers_nb.plan.selection import PerTarget, Seen, find_sessions, find_targets, new_kwargs, refuse_markers, see
from triggers_nb.storages.drafts import encode_kwargs
from triggers_nb.storages.overlay import OverlayStore

if TYPE_CHECKING:
    from triggers_nb.workspace import Workspace


class Planner:
    """Makes plans on instances; `SessionPlanner` and `WorkspacePlanner` say what a selection may be."""

    def __init__(self, workspace: Workspace, uid: str | None) -> None:
        self._workspace = workspace
        self._uid = uid

    def replay(self, targets: Any, *, kwargs: PerTarget | None = None, merge_kwargs: PerTarget | None = None) -> Plan:
        """Plan to replay failed instances.

        Parameters
        ----------
        targets
            An instance's name or a list of them (of a session), or a frame with ``session_uid`` and ``instance``.
        kwargs
            Replaces the kwargs of all triggers, ``{trigger: {key: value}}``: a mapping, a Series of mappings aligned
            on the frame, or a callable of the frame's row.
        merge_kwargs
            Is merged, key by key, into the kwargs that are stored; given in the same ways.

        Raises
        ------
        InvalidStatus
            If an instance is not failed.
        UnknownTrigger
            If its task does not wait for a trigger that kwargs are given for.
        """
        actions = []
        for seen in self._see(targets):
            _require_failed(seen, "replayed")
            new = new_kwargs(seen, kwargs, merge_kwargs)
            if new is not None:
                encode_kwargs(new)
            actions.append(_action(seen, "replay", {"kwargs": new}, stored_kwargs=seen.instance.kwargs))
        return self._plan(actions, "replay")

    def skip(self, targets: Any, *, cascade: bool = False, result: Mapping[str, Any] | None = None) -> Plan:
        """Plan to skip failed instances; with `cascade`, each one's task is fired with `result` as kwargs."""
        refuse_markers(result, "result")
        encode_mapping(result, "result")
        actions = []
        for seen in self._see(targets):
            _require_failed(seen, "skipped")
            actions.append(_action(seen, "skip", {"cascade": bool(cascade), "result": _copy(result)}))
        return self._plan(actions, "skip")

    def update_status(
        self,
        targets: Any,
        status: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        cascade: bool = False,
        cascade_kwargs: Mapping[str, Any] | None = None,
    ) -> Plan:
        """Plan to change the status of unresolved instances by hand."""
        check_status(status)
        refuse_markers(metadata, "metadata")
        refuse_markers(cascade_kwargs, "cascade_kwargs")
        parse_metadata(metadata)
        encode_mapping(cascade_kwargs, "cascade_kwargs")
        actions = []
        for seen in self._see(targets):
            check_by_hand(seen.instance.name, seen.instance.status, status)
            arguments = {
                "status": status,
                "metadata": _copy(metadata),
                "cascade": bool(cascade),
                "cascade_kwargs": _copy(cascade_kwargs),
            }
            actions.append(_action(seen, "update_status", arguments))
        return self._plan(actions, "update_status")

    def update_metadata(self, targets: Any, metadata: Mapping[str, Any]) -> Plan:
        """Plan to merge metadata into that of instances."""
        refuse_markers(metadata, "metadata")
        parse_metadata(metadata)
        actions = [_action(seen, "update_metadata", {"metadata": _copy(metadata)}) for seen in self._see(targets)]
        return self._plan(actions, "update_metadata")

    def resolve_logs(self, targets: Any) -> Plan:
        """Plan to note that somebody has looked at the messages of instances."""
        return self._plan([_action(seen, "resolve_logs", {}) for seen in self._see(targets)], "resolve_logs")

    def _see(self, targets: Any) -> list[Seen]:
        return see(self._workspace.store, find_targets(targets, self._uid))

    def _plan(self, actions: Sequence[Action], method: str) -> Plan:
        where = "ws" if self._uid is None else f"ws[{self._uid!r}]"
        return Plan(self._workspace, actions, f"{where}.plan.{method}(…)")

    def _fire(self, uids: Sequence[str], trigger: str, kwargs: Mapping[str, Any] | None, once: bool) -> Plan:
        refuse_markers(kwargs, "kwargs")
        arguments = {"kwargs": _copy(kwargs), "once": bool(once)}
        return self._plan([self._tried(uid, "fire", trigger, arguments) for uid in uids], "fire")

    def _configure(self, uids: Sequence[str], configuration: Mapping[str, Mapping[str, Any]]) -> Plan:
        refuse_markers(configuration, "configuration")
        parse_configuration(configuration)
        arguments = {"configuration": {name: dict(directives) for name, directives in configuration.items()}}
        return self._plan([self._tried(uid, "configure", "", arguments) for uid in uids], "configure")

    def _tried(self, uid: str, action: str, target: str, arguments: dict[str, Any]) -> Action:
        """An action on a session, with the revisions of all that it reads."""
        overlay = OverlayStore(self._workspace.store, uid)
        manager = self._workspace.session(uid).trial_manager(overlay, None)
        reads: dict[str, int] = {}
        manager.storage.take, manager.storage.call_hooks = _ignore, False
        manager.storage.observer = lambda outcome: reads.update(outcome.session.reads)
        made = Action(uid=uid, action=action, target=target, arguments=arguments, epoch=overlay.base_epoch, seen=reads)
        made.call(manager)
        return made


class SessionPlanner(Planner):
    """Makes plans for one session: ``s.plan``."""

    def __init__(self, workspace: Workspace, uid: str) -> None:
        super().__init__(workspace, uid)
        self._own_uid = uid

    def fire(self, trigger: str, kwargs: Mapping[str, Any] | None = None, *, once: bool = False) -> Plan:
        """Plan to fire a trigger; with `once`, only if it has not fired yet."""
        return self._fire([self._own_uid], trigger, kwargs, once)

    def configure(self, configuration: Mapping[str, Mapping[str, Any]]) -> Plan:
        """Plan to add or replace tasks by name."""
        return self._configure([self._own_uid], configuration)


class WorkspacePlanner(Planner):
    """Makes plans over sessions: ``ws.plan``."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, None)

    def fire(self, sessions: Any, trigger: str, kwargs: Mapping[str, Any] | None = None, *, once: bool = False) -> Plan:
        """Plan to fire a trigger on several sessions: UIDs, or a frame with ``session_uid``."""
        return self._fire(find_sessions(sessions), trigger, kwargs, once)

    def configure(self, sessions: Any, configuration: Mapping[str, Mapping[str, Any]]) -> Plan:
        """Plan to add or replace tasks of several sessions."""
        return self._configure(find_sessions(sessions), configuration)


def _action(seen: Seen, action: str, arguments: dict[str, Any], stored_kwargs: dict[str, Any] | None = None) -> Action:
    return Action(
        uid=seen.target.uid,
        action=action,
        target=seen.instance.name,
        arguments=arguments,
        epoch=seen.epoch,
        seen={rec.INSTANCE + seen.instance.name: seen.instance.revision},
        from_status=seen.instance.status,
        stored_kwargs=stored_kwargs,
    )


def _require_failed(seen: Seen, what: str) -> None:
    if seen.instance.status != "failed":
        raise InvalidStatus(
            f"instance {seen.instance.name!r} of session {seen.target.uid!r} is {seen.instance.status}; only a failed "
            f"instance can be {what}"
        )


def _copy(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A copy that later changes of the original do not reach."""
    from triggers_nb.core.codec import decode_value

    return None if value is None else decode_value(encode_mapping(value, "value"))


def _ignore(_: object) -> None:
    pass
