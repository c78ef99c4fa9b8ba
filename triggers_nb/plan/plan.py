"""A plan: exact targets, each at the version that was seen, and one execution."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from triggers_nb.analysis.selection import is_number, parse_flag
from triggers_nb.errors import PlanUsed, brief
from triggers_nb.manager import TriggerManager
from triggers_nb.plan.actions import Action
from triggers_nb.plan.assumptions import Assumptions, Outcomes
from triggers_nb.plan.rows import Consequence, as_columns
from triggers_nb.plan.simulation import Numbered, overridden_hooks, simulate
from triggers_nb.plan.wording import Described, facts_of, title_of
from triggers_nb.render.plans import Facts
from triggers_nb.storages.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.plan.execution import Progress, Result
    from triggers_nb.workspace import Workspace

#: How many instances a preview runs for each session.
MAX_STEPS = 1000


class Plan(Described):
    """Changes that are about to be made. Made by ``s.plan`` and ``ws.plan``.

    A plan names its targets and the version of each that it saw. A target that has moved on since is refused and
    reported; the others are done. A plan is executed once.

    Attributes
    ----------
    plan_id : str
        Recorded with every change.
    actions : tuple of Action
        The steps, in order.
    made_at : datetime
        When, UTC.
    """

    def __init__(self, workspace: Workspace, actions: Sequence[Action], call: str) -> None:
        self.workspace = workspace
        self.actions = tuple(actions)
        self.plan_id = secrets.token_hex(8)
        self.made_at = datetime.now(UTC)
        #: The line that made it.
        self.call = call
        self._used = threading.Lock()

    def __len__(self) -> int:
        return len(self.actions)

    @property
    def uids(self) -> list[str]:
        """Sessions that it changes, in the order of its steps."""
        return list(dict.fromkeys(action.uid for action in self.actions))

    @property
    def is_used(self) -> bool:
        """Whether it has been executed."""
        return self._used.locked()

    @property
    def needs_confirmation(self) -> bool:
        """Whether its execution has to be confirmed by typing the workspace's phrase."""
        access = self.workspace.access
        return not access.is_confirmed and (access.is_production or self.is_sweeping)

    @property
    def is_sweeping(self) -> bool:
        """Whether it skips, or cascades, in bulk."""
        return len(self) > 1 and any(action.action == "skip" or action.cascades for action in self.actions)

    def preview(
        self,
        *,
        hooks: bool = False,
        manager: type[TriggerManager] | None = None,
        outcomes: Outcomes | None = None,
        max_steps: int = MAX_STEPS,
    ) -> pd.DataFrame:
        """Try the plan out in memory, through the sessions' real manager class; nothing is written, run or sent.

        Every step is tried in order, then what it would schedule runs one instance at a time, in the order of
        hand-over. Real workers are not bound to that order, nor to these numbers of instances.

        Parameters
        ----------
        hooks : bool
            Whether to run the manager's hooks. They may act outside of the session; without them, overridden ones are
            named in rows of action ``not simulated``.
        manager : type of TriggerManager, optional
            Another manager class, to compare with.
        outcomes : mapping, optional
            What becomes of instances: a result or an exception, by name, ``(session_uid, name)``, or task. By default
            each succeeds, its result is unknown, and what follows is ``if_succeeds``.
        max_steps : int
            Most instances that are run for each session; ends cycles with a row that says so.

        Returns
        -------
        pandas.DataFrame
            A row for each consequence, sessions in the order of the plan. Columns: step (Int64), session_uid, action,
            target, from_status, to_status, trigger, certainty, origin (string), kwargs (object), detail (string).
            Kwargs and details are redacted. `triggers_nb.plan.frames.PREVIEW` tells what the columns mean.

        Raises
        ------
        RegistryError
            If a session's manager is not installed here; pass one as `manager`.
        TypeError, ValueError
            If an argument has no such value.
        CommitConflict
            If a session is changed by others all the time.
        """
        from triggers_nb.plan.frames import PREVIEW

        assumptions = Assumptions({} if outcomes is None else outcomes)
        parse_flag(hooks, "hooks")
        if not is_number(max_steps) or max_steps < 0:
            raise ValueError(f"max_steps={brief(max_steps)}: expected a number of instances")
        if manager is not None and not (isinstance(manager, type) and issubclass(manager, TriggerManager)):
            raise TypeError(f"manager={brief(manager)}: expected a subclass of TriggerManager")
        sessions = self._by_session()
        classes = {uid: manager or self._class_of(steps[0].action) for uid, steps in sessions.items()}
        rows: list[Consequence] = []
        for uid, steps in sessions.items():
            rows += self._simulate(uid, steps, hooks, classes[uid], manager is not None, assumptions, max_steps)
        if not hooks:
            firsts: dict[type[TriggerManager], Numbered] = {}
            for uid, cls in classes.items():
                firsts.setdefault(cls, sessions[uid][0])
            rows += _not_simulated(firsts)
        rows += self._unused(assumptions)
        show = self.workspace.shown
        return PREVIEW.frame(as_columns([_redacted(row, show) for row in rows]))

    def _by_session(self) -> dict[str, list[Numbered]]:
        steps: dict[str, list[Numbered]] = {}
        for number, action in enumerate(self.actions):
            steps.setdefault(action.uid, []).append(Numbered(number, action))
        return steps

    def _class_of(self, action: Action) -> type[TriggerManager]:
        return self.workspace.session(action.uid).class_of(action.manager)

    def _simulate(
        self,
        uid: str,
        steps: Sequence[Numbered],
        hooks: bool,
        cls: type[TriggerManager],
        is_candidate: bool,
        assumptions: Assumptions,
        max_steps: int,
    ) -> list[Consequence]:
        session = self.workspace.session(uid)

        def make_manager(store: Store) -> TriggerManager:
            return session.trial_manager(store, cls, is_candidate=is_candidate)

        return simulate(
            self.workspace.store, uid, steps, make_manager, hooks=hooks, assumptions=assumptions, max_steps=max_steps
        )

    def _unused(self, assumptions: Assumptions) -> list[Consequence]:
        return [
            Consequence(
                step=0,
                session_uid=self.actions[0].uid,
                action="note",
                target=" ".join(key) if isinstance(key, tuple) else str(key),
                detail="outcomes names it, but no such instance is run: that outcome was not used",
            )
            for key in (assumptions.unused() if self.actions else [])
        ]

    def execute(
        self,
        *,
        reason: str | None = None,
        confirm: str | None = None,
        on_error: str = "continue",
        rate: float | None = None,
        progress: Progress = None,
    ) -> Result:
        """Make exactly these changes, through the sessions' own managers.

        Parameters
        ----------
        reason : str, optional
            Why; recorded with each change.
        confirm : str, optional
            The phrase that confirms it, where that is needed: see `needs_confirmation`.
        on_error : str
            ``"continue"`` or ``"stop"`` after a step that failed.
        rate : float, optional
            Most steps a second.
        progress : bool or callable, optional
            Whether to show a progress bar; None: for 20 steps or more. A callable is given each step's `Done` instead;
            a ``KeyboardInterrupt`` that it raises ends the execution.

        Returns
        -------
        Result
            What became of each step. An interrupt ends it early: the rest is ``not done``, no step is half done.

        Raises
        ------
        PlanUsed
            If the plan was executed before.
        ReadOnlyError, ConfirmationRequired
            If the workspace does not allow it. Nothing was changed, and the plan can still be executed.
        """
        return self.workspace.execute(
            self, reason=reason, confirm=confirm, on_error=on_error, rate=rate, progress=progress
        )

    def use(self) -> None:
        """Note that it is executed now.

        Raises
        ------
        PlanUsed
            If it was before.
        """
        if not self._used.acquire(blocking=False):
            raise PlanUsed(f"plan {self.plan_id} was executed already: a plan is executed once. Make it again")

    @property
    def title(self) -> str:
        """What it does, to how many: ``Replay 130 instances in 116 sessions``."""
        return title_of(self.actions)

    def facts(self) -> Facts:
        """What its representations say, redacted as the workspace is."""
        access = self.workspace.access
        confirm = f", confirm={access.phrase!r}" if self.needs_confirmation else ""
        way = f".execute(reason=…{confirm})"
        if access.is_read_only:
            way = f"rw.execute(plan, reason=…) in a block “with ws.writable(confirm={access.phrase!r}) as rw:”"
        return facts_of(self.actions, self.workspace, way=None if self.is_used else way)


def _not_simulated(classes: Mapping[type[TriggerManager], Numbered]) -> list[Consequence]:
    return [
        Consequence(
            step=first.step,
            session_uid=first.action.uid,
            action="not simulated",
            target=hook,
            origin="hook",
            detail="pass hooks=True to run the hooks, too; they may act outside of the session",
        )
        for cls, first in classes.items()
        for hook in overridden_hooks(cls)
    ]


def _redacted(row: Consequence, show: Callable[[Any], Any]) -> Consequence:
    if row.kwargs is None and row.detail is None:
        return row
    return msgspec.structs.replace(row, kwargs=show(row.kwargs), detail=show(row.detail))
