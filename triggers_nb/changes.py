"""Changing a session from a notebook: each method plans one change and executes it at once."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from triggers_nb.analysis.reading import caller_level
from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import UnwrittenJournal
from triggers_nb.journal import UnwrittenStep
from triggers_nb.plan.builders import SessionPlanner
from triggers_nb.plan.plan import Plan

if TYPE_CHECKING:
    from triggers_nb.plan.execution import Result

Kwargs = Mapping[str, Any]
TriggerKwargs = Mapping[str, Mapping[str, Any]]


class SessionChanges:
    """The changes of a session, as a part of `triggers_nb.session.Session`.

    Every method is short for making a plan with ``s.plan`` and executing it. All take `reason` (recorded with the
    change) and `confirm` (what is typed where changes have to be confirmed), and return the `Result`. They raise what
    the manager, a runner or a hook raises, as it is (an error of an application's own is not redacted), and
    `ReadOnlyError` or `ConfirmationRequired` where the workspace does not allow the change; nothing was changed then. A
    change that could not be written into the journal is made, and warned about (`UnwrittenJournal`).
    """

    @property
    def plan(self) -> SessionPlanner:
        """Makes plans: what a change would do, before it is made."""
        raise NotImplementedError

    def fire(
        self,
        trigger: str,
        kwargs: Kwargs | None = None,
        *,
        once: bool = False,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> Result:
        """Fire a trigger; with `once`, only if it has not fired yet."""
        return _execute(self.plan.fire(trigger, kwargs, once=once), reason, confirm)

    def replay(
        self,
        instance: str | TaskInstance,
        *,
        kwargs: TriggerKwargs | None = None,
        merge_kwargs: TriggerKwargs | None = None,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> Result:
        """Replay a failed instance; see `triggers_nb.plan.builders.Planner.replay`."""
        return _execute(self.plan.replay(instance, kwargs=kwargs, merge_kwargs=merge_kwargs), reason, confirm)

    def skip(
        self,
        instance: str | TaskInstance,
        *,
        cascade: bool = False,
        result: Kwargs | None = None,
        reason: str | None = None,
        confirm: str | None = None,
    ) -> Result:
        """Skip a failed instance; with `cascade`, its task's name is fired with `result` as kwargs."""
        return _execute(self.plan.skip(instance, cascade=cascade, result=result), reason, confirm)

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
    ) -> Result:
        """Change the status of an unresolved instance by hand."""
        plan = self.plan.update_status(instance, status, metadata, cascade=cascade, cascade_kwargs=cascade_kwargs)
        return _execute(plan, reason, confirm)

    def update_metadata(
        self, instance: str | TaskInstance, metadata: Kwargs, *, reason: str | None = None, confirm: str | None = None
    ) -> Result:
        """Merge metadata into an instance's."""
        return _execute(self.plan.update_metadata(instance, metadata), reason, confirm)

    def resolve_logs(
        self, instance: str | TaskInstance, *, reason: str | None = None, confirm: str | None = None
    ) -> Result:
        """Note that somebody has looked at an instance's messages."""
        return _execute(self.plan.resolve_logs(instance), reason, confirm)

    def configure(
        self, configuration: TriggerKwargs, *, reason: str | None = None, confirm: str | None = None
    ) -> Result:
        """Add or replace tasks by name; takes what ``update_configuration`` takes."""
        return _execute(self.plan.configure(configuration), reason, confirm)


def _execute(plan: Plan, reason: str | None, confirm: str | None) -> Result:
    result = plan.execute(reason=reason, confirm=confirm)
    for error in result.errors:
        if not isinstance(error, UnwrittenStep):
            raise error
    for error in result.errors:
        warnings.warn(str(error), UnwrittenJournal, stacklevel=caller_level())
    return result
