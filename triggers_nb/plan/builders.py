"""``s.plan`` and ``ws.plan``: how plans are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from triggers_nb.analysis.selection import parse_flag
from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value, encode_mapping
from triggers_nb.core.configuration import NAME_RULE, is_name, parse_configuration
from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.metadata import parse_metadata
from triggers_nb.core.status import check_by_hand, check_status
from triggers_nb.errors import InvalidStatus, InvalidValue, brief
from triggers_nb.plan.actions import Action
from triggers_nb.plan.plan import Plan
from triggers_nb.plan.selection import (
    PerTarget,
    Seen,
    Target,
    find_sessions,
    find_targets,
    for_target,
    new_kwargs,
    refuse_markers,
    refuse_missing_sessions,
    refuse_status,
    see,
)
from triggers_nb.plan.trying import learn_reads

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
        seen = self._see(targets)
        refuse_status(seen, lambda instance: _require_failed(instance, "replayed"))
        actions = []
        for each in seen:
            found = new_kwargs(each, kwargs, merge_kwargs)
            actions.append(_action(each, "replay", {"kwargs": found.new}, stored_kwargs=found.stored))
        return self._plan(actions, "replay")

    def skip(self, targets: Any, *, cascade: bool = False, result: PerTarget | None = None) -> Plan:
        """Plan to skip failed instances; with `cascade`, each one's task is fired with `result` as kwargs.

        `result` may be given for each target, as `replay` takes its kwargs.
        """
        seen = self._see(targets)
        refuse_status(seen, lambda instance: _require_failed(instance, "skipped"))
        cascades = parse_flag(cascade, "cascade")
        actions = []
        for each in seen:
            own = _own_mapping(each.target, result, "result")
            encode_mapping(own, "result")
            actions.append(_action(each, "skip", {"cascade": cascades, "result": _copy(own)}))
        return self._plan(actions, "skip")

    def update_status(
        self,
        targets: Any,
        status: str,
        metadata: PerTarget | None = None,
        *,
        cascade: bool = False,
        cascade_kwargs: PerTarget | None = None,
    ) -> Plan:
        """Plan to change the status of unresolved instances by hand.

        `metadata` and `cascade_kwargs` may be given for each target, as `replay` takes its kwargs.
        """
        check_status(status)
        cascades = parse_flag(cascade, "cascade")
        seen = self._see(targets)
        refuse_status(seen, lambda instance: check_by_hand(instance.name, instance.status, status))
        actions = []
        for each in seen:
            own = _own_mapping(each.target, metadata, "metadata")
            kwargs = _own_mapping(each.target, cascade_kwargs, "cascade_kwargs")
            parse_metadata(own)
            encode_mapping(kwargs, "cascade_kwargs")
            arguments = {
                "status": status,
                "metadata": _copy(own),
                "cascade": cascades,
                "cascade_kwargs": _copy(kwargs),
            }
            actions.append(_action(each, "update_status", arguments))
        return self._plan(actions, "update_status")

    def update_metadata(self, targets: Any, metadata: PerTarget) -> Plan:
        """Plan to merge metadata into that of instances; it may be given for each target."""
        actions = []
        for each in self._see(targets):
            own = _own_mapping(each.target, metadata, "metadata")
            parse_metadata(own)
            actions.append(_action(each, "update_metadata", {"metadata": _copy(own)}))
        return self._plan(actions, "update_metadata")

    def resolve_logs(self, targets: Any) -> Plan:
        """Plan to note that somebody has looked at the messages of instances."""
        return self._plan([_action(seen, "resolve_logs", {}) for seen in self._see(targets)], "resolve_logs")

    def _see(self, targets: Any) -> list[Seen]:
        return see(self._workspace.store, find_targets(targets, self._uid))

    def _plan(self, actions: Sequence[Action], method: str) -> Plan:
        where = "ws" if self._uid is None else f"ws[{self._uid!r}]"
        return Plan(self._workspace, actions, f"{where}.plan.{method}(…)")

    def _fire(
        self, targets: Sequence[Target], triggers: str | Sequence[str], kwargs: PerTarget | None, once: bool
    ) -> Plan:
        fires_once = parse_flag(once, "once")
        names = [triggers] if isinstance(triggers, str) else triggers
        if not isinstance(names, Iterable):
            raise TypeError(f"found {brief(names)}; expected a trigger's name, or several in order")
        names = list(names)
        for name in names:
            if not is_name(name):
                raise InvalidValue("trigger", name, f"expected {NAME_RULE}")
        actions: list[Action] = []
        for target in targets:
            own = _own_mapping(target, kwargs, "kwargs")
            encode_mapping(own, "kwargs")
            arguments = {"kwargs": _copy(own), "once": fires_once}
            actions += self._tried(target.uid, "fire", [(name, arguments) for name in names])
        return self._plan(actions, "fire")

    def _configure(self, targets: Sequence[Target], configuration: Mapping[str, Mapping[str, Any]]) -> Plan:
        refuse_markers(configuration, "configuration")
        parse_configuration(configuration)
        arguments = {"configuration": {name: dict(directives) for name, directives in configuration.items()}}
        actions = [action for target in targets for action in self._tried(target.uid, "configure", [("", arguments)])]
        return self._plan(actions, "configure")

    def _tried(self, uid: str, action: str, calls: Sequence[tuple[str, dict[str, Any]]]) -> list[Action]:
        """Actions on a session, each with the revisions of what it reads of the session as it is now."""
        return learn_reads(self._workspace.session(uid), action, calls)


class SessionPlanner(Planner):
    """Makes plans for one session: ``s.plan``."""

    def __init__(self, workspace: Workspace, uid: str) -> None:
        super().__init__(workspace, uid)
        self._own_uid = uid

    def fire(
        self, trigger: str | Sequence[str], kwargs: Mapping[str, Any] | None = None, *, once: bool = False
    ) -> Plan:
        """Plan to fire a trigger, or several in order; with `once`, only one that has not fired yet."""
        return self._fire([Target(self._own_uid, "")], trigger, kwargs, once)

    def configure(self, configuration: Mapping[str, Mapping[str, Any]]) -> Plan:
        """Plan to add or replace tasks by name."""
        return self._configure([Target(self._own_uid, "")], configuration)


class WorkspacePlanner(Planner):
    """Makes plans over sessions: ``ws.plan``."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(workspace, None)

    def fire(
        self,
        sessions: Any,
        trigger: str | Sequence[str],
        kwargs: PerTarget | None = None,
        *,
        once: bool = False,
    ) -> Plan:
        """Plan to fire a trigger on several sessions: UIDs, or a frame with ``session_uid``.

        `kwargs` may be a mapping, a Series of mappings aligned on the frame, or a callable of the frame's row.

        Raises
        ------
        UnknownSession
            If a session does not exist; all of those are named.
        """
        return self._fire(self._sessions(sessions), trigger, kwargs, once)

    def configure(self, sessions: Any, configuration: Mapping[str, Mapping[str, Any]]) -> Plan:
        """Plan to add or replace tasks of several sessions; errors as for `fire`."""
        return self._configure(self._sessions(sessions), configuration)

    def _sessions(self, selection: Any) -> list[Target]:
        targets = find_sessions(selection)
        found = {each.uid for each in self._workspace.store.summaries(uids=[target.uid for target in targets])}
        refuse_missing_sessions([target.uid for target in targets if target.uid not in found])
        return targets


def _action(seen: Seen, action: str, arguments: dict[str, Any], stored_kwargs: dict[str, Any] | None = None) -> Action:
    return Action(
        uid=seen.target.uid,
        action=action,
        target=seen.instance.name,
        arguments=arguments,
        epoch=seen.reading.epoch,
        seen={rec.INSTANCE + seen.instance.name: seen.instance.revision},
        manager=seen.reading.manager,
        known=seen.reading.cells,
        known_seq=seen.reading.seq,
        from_status=seen.instance.status,
        stored_kwargs=stored_kwargs,
    )


def _require_failed(instance: TaskInstance, what: str) -> None:
    if instance.status != "failed":
        raise InvalidStatus(f"instance {instance.name!r} is {instance.status}; only a failed instance can be {what}")


def _own_mapping(target: Target, given: PerTarget | None, name: str) -> Mapping[str, Any] | None:
    return None if given is None else for_target(target, given, name)


def _copy(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A copy that later changes of the original do not reach."""
    return None if value is None else decode_value(encode_mapping(value, "value"))
