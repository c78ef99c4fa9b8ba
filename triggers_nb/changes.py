"""Changing a session from a notebook: each change through the session's own manager, with who and why."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.records import INSTANCE
from triggers_nb.errors import InvalidValue, UnknownTrigger
from triggers_nb.redaction import contains_marker
from triggers_nb.task import merge

if TYPE_CHECKING:
    from triggers_nb.manager import TriggerManager

Kwargs = Mapping[str, Any]
TriggerKwargs = Mapping[str, Mapping[str, Any]]


class SessionChanges:
    """The changes of a session, as a part of `triggers_nb.session.Session`.

    Every method takes `reason` (recorded with the change) and `confirm` (what is typed where changes have to be
    confirmed). They raise what the manager's own method raises, and `ReadOnlyError` or `ConfirmationRequired` where
    the workspace does not allow the change; nothing was changed then.
    """

    uid: str

    def manager_for(
        self, *, reason: str | None, confirm: str | None, action_id: str, expected: Mapping[str, int]
    ) -> TriggerManager:
        """Return the session's manager for one change."""
        raise NotImplementedError

    def fire(
        self,
        trigger: str,
        kwargs: Kwargs | None = None,
        *,
        once: bool = False,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> None:
        """Fire a trigger; with `once`, only if it has not fired yet."""
        _refuse_markers(kwargs, "kwargs")
        self._manager(reason, confirm).fire(trigger, kwargs, once=once)

    def replay(
        self,
        instance: str | TaskInstance,
        *,
        kwargs: TriggerKwargs | None = None,
        merge_kwargs: TriggerKwargs | None = None,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> None:
        """Replay a failed instance.

        Parameters
        ----------
        instance
            Which one; its stored state counts.
        kwargs
            Replaces the kwargs of all triggers, ``{trigger: {key: value}}``.
        merge_kwargs
            Is merged, key by key, into the kwargs that are stored.
        reason, confirm
            See `SessionChanges`.

        Raises
        ------
        UnknownTrigger
            If the task does not wait for a trigger that kwargs are given for.
        """
        if kwargs is not None and merge_kwargs is not None:
            raise ValueError("kwargs replaces all of the stored kwargs, merge_kwargs changes some: pass one of them")
        _refuse_markers(kwargs, "kwargs")
        _refuse_markers(merge_kwargs, "merge_kwargs")
        name = instance.name if isinstance(instance, TaskInstance) else instance
        expected = {}
        if merge_kwargs is not None or kwargs is not None:
            stored = self._manager(reason, confirm).storage[name]
            _check_triggers(stored, kwargs if merge_kwargs is None else merge_kwargs)
            expected = {INSTANCE + name: stored.revision}
            if merge_kwargs is not None:
                kwargs = merge(stored.kwargs, merge_kwargs)
        self._manager(reason, confirm, expected).replay_failed_instance(name, kwargs)

    def skip(
        self,
        instance: str | TaskInstance,
        *,
        cascade: bool = False,
        result: Kwargs | None = None,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> None:
        """Skip a failed instance; with `cascade`, its task's name is fired with `result` as kwargs."""
        _refuse_markers(result, "result")
        self._manager(reason, confirm).skip_failed_instance(instance, cascade=cascade, result=result)

    def update_status(
        self,
        instance: str | TaskInstance,
        status: str,
        metadata: Kwargs | None = None,
        *,
        cascade: bool = False,
        cascade_kwargs: Kwargs | None = None,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> TaskInstance:
        """Change the status of an unresolved instance by hand, and return it as it is then."""
        _refuse_markers(metadata, "metadata")
        _refuse_markers(cascade_kwargs, "cascade_kwargs")
        manager = self._manager(reason, confirm)
        return manager.update_instance_status(instance, status, metadata, cascade, cascade_kwargs)

    def update_metadata(
        self, instance: str | TaskInstance, metadata: Kwargs, *, reason: str | None = None, confirm: str | None = None
    ) -> TaskInstance:
        """Merge metadata into an instance's, and return it as it is then."""
        _refuse_markers(metadata, "metadata")
        return self._manager(reason, confirm).update_instance_metadata(instance, metadata)

    def resolve_logs(
        self, instance: str | TaskInstance, *, reason: str | None = None, confirm: str | None = None
    ) -> TaskInstance:
        """Note that somebody has looked at an instance's messages, and return it as it is then."""
        return self._manager(reason, confirm).mark_instance_logs_resolved(instance)

    def configure(self, configuration: TriggerKwargs, *, reason: str | None = None, confirm: str | None = None) -> None:
        """Add or replace tasks by name; takes what ``update_configuration`` takes."""
        _refuse_markers(configuration, "configuration")
        self._manager(reason, confirm).update_configuration(configuration)

    def _manager(
        self, reason: str | None, confirm: str | None, expected: Mapping[str, int] | None = None
    ) -> TriggerManager:
        action_id = secrets.token_hex(8)
        return self.manager_for(reason=reason, confirm=confirm, action_id=action_id, expected=expected or {})


def _check_triggers(instance: TaskInstance, kwargs: TriggerKwargs | None) -> None:
    known = {*instance.config.after, *instance.kwargs, *instance.config.with_params}
    for trigger in kwargs or ():
        if trigger not in known:
            raise UnknownTrigger(
                trigger, known, hint=f"Task {instance.config.name!r} takes kwargs of {', '.join(sorted(known))}"
            )


def _refuse_markers(value: object, name: str) -> None:
    """Raise if a change would store what stands for a redacted value."""
    path = contains_marker(value)
    if path:
        where = name + path.removeprefix("$")
        raise InvalidValue(where, "[redacted:…]", "expected the value itself, which this marker stands for")
