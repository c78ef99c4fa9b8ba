"""A plan: exact targets, each at the version that was seen, and one execution."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from triggers_nb.core.codec import encode_value
from triggers_nb.errors import PlanUsed
from triggers_nb.manager import TriggerManager
from triggers_nb.plan.actions import Action
from triggers_nb.plan.rows import Consequence, as_columns
from triggers_nb.plan.simulation import Numbered, Outcomes, overridden_hooks, simulate
from triggers_nb.render.plans import MAX_LISTED, Facts, facts_html, facts_text
from triggers_nb.render.wording import plural
from triggers_nb.storages.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.plan.execution import Result
    from triggers_nb.workspace import Workspace

#: How many instances a preview runs for each session.
MAX_STEPS = 1000


class Plan:
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
        """
        from triggers_nb.plan.frames import PREVIEW

        rows: list[Consequence] = []
        for uid, steps in self._by_session().items():
            rows += self._simulate(uid, steps, hooks, manager, outcomes or {}, max_steps)
        if not hooks:
            rows += self._not_simulated(manager)
        return PREVIEW.frame(as_columns(rows))

    def _by_session(self) -> dict[str, list[Numbered]]:
        steps: dict[str, list[Numbered]] = {}
        for number, action in enumerate(self.actions):
            steps.setdefault(action.uid, []).append(Numbered(number, action))
        return steps

    def _simulate(
        self,
        uid: str,
        steps: Sequence[Numbered],
        hooks: bool,
        manager: type[TriggerManager] | None,
        outcomes: Outcomes,
        max_steps: int,
    ) -> list[Consequence]:
        session = self.workspace.session(uid)

        def make_manager(store: Store) -> TriggerManager:
            return session.trial_manager(store, manager)

        return simulate(
            self.workspace.store, uid, steps, make_manager, hooks=hooks, outcomes=outcomes, max_steps=max_steps
        )

    def _not_simulated(self, manager: type[TriggerManager] | None) -> list[Consequence]:
        classes: dict[type[TriggerManager], tuple[int, str]] = {}
        for uid, steps in self._by_session().items():
            classes.setdefault(manager or self.workspace.session(uid).manager_class(), (steps[0].step, uid))
        return [
            Consequence(
                step=step,
                session_uid=uid,
                action="not simulated",
                target=hook,
                origin="hook",
                detail="pass hooks=True to run the hooks, too; they may act outside of the session",
            )
            for cls, (step, uid) in classes.items()
            for hook in overridden_hooks(cls)
        ]

    def execute(
        self,
        *,
        reason: str | None = None,
        confirm: str | None = None,
        on_error: str = "continue",
        rate: float | None = None,
        progress: bool | None = None,
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
        progress : bool, optional
            Whether to show a progress bar; None: for 20 steps or more.

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
        if not self.actions:
            return "Nothing to do: the selection is empty"
        verb, noun = _WORDS[self.actions[0].action]
        where = f" in {plural(len(self.uids), 'session')}"
        if noun is None:
            return f"{verb}{where}"
        named = f" {self.actions[0].target!r}" if noun == "trigger" else f" {plural(len(self), noun)}"
        return f"{verb}{named}{where}"

    def differences(self) -> list[tuple[dict[str, Any], int]]:
        """Distinct differences in kwargs, as merge patches, with how often each occurs, the commonest first."""
        found: dict[bytes, tuple[dict[str, Any], int]] = {}
        for action in self.actions:
            patch = dict(kwargs_patch(action) or {})
            if action.action == "replay" and patch:
                key = encode_value(patch)
                found[key] = (patch, found.get(key, (patch, 0))[1] + 1)
        return sorted(found.values(), key=lambda pair: -pair[1])

    def facts(self) -> Facts:
        """What its representations say, redacted as the workspace is."""
        show = self.workspace.shown
        rows = [(action.uid, action.target, _what(action)) for action in self.actions[:MAX_LISTED]]
        return Facts(
            title=self.title,
            url=self.workspace.url,
            env=self.workspace.env,
            notes=self._notes(),
            rows=rows,
            n_rows=len(self),
            patches=[(repr(show(patch)), n) for patch, n in self.differences()],
        )

    def _notes(self) -> list[str]:
        notes = []
        common = {repr(self.workspace.shown(_common(action))) for action in self.actions} if self.actions else set()
        if len(common) == 1 and common != {"{}"}:
            notes.append(common.pop()[1:-1].replace("': ", "=").replace("'", ""))
        if self.is_used:
            notes.append("This plan has been executed.")
        elif self.actions:
            confirm = f", confirm={self.workspace.access.phrase!r}" if self.needs_confirmation else ""
            notes.append(
                f"Nothing is changed yet: .preview() shows what would happen, .execute(reason=…{confirm}) does it."
            )
        return notes

    def __repr__(self) -> str:
        return facts_text(self.facts())

    def _repr_html_(self) -> str:
        return facts_html(self.facts())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


#: How each action is called in a title, and what it is done to.
_WORDS: dict[str, tuple[str, str | None]] = {
    "fire": ("Fire", "trigger"),
    "replay": ("Replay", "instance"),
    "skip": ("Skip", "instance"),
    "update_status": ("Change the status of", "instance"),
    "update_metadata": ("Change the metadata of", "instance"),
    "resolve_logs": ("Resolve the logs of", "instance"),
    "configure": ("Change the configuration", None),
}


def _what(action: Action) -> str:
    """What becomes of a target, in the fewest words."""
    after = {"replay": "replayed", "skip": "skipped", "update_status": action.arguments.get("status")}.get(
        action.action
    )
    return f"{action.from_status} → {after}" if after and action.from_status else action.action.replace("_", " ")


def _common(action: Action) -> dict[str, Any]:
    """Arguments that are the same for all targets, those that say something."""
    return {key: value for key, value in action.arguments.items() if value and action.action != "replay"}


def kwargs_patch(action: Action) -> Mapping[str, Any] | None:
    """What a replay changes in its instance's kwargs, as a merge patch (None values remove); None if nothing."""
    new = action.arguments.get("kwargs")
    if action.action != "replay" or new is None:
        return None
    return difference(action.stored_kwargs or {}, new) or None


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What changes from one mapping to another: new values by key, deeply; None for a key that goes."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            inner = difference(old, value)
            if inner:
                patch[key] = inner
        elif key not in before or old != value or type(old) is not type(value):
            patch[key] = value
    return patch
