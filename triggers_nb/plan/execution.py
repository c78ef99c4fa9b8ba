"""Executing a plan: each step through the session's manager, at the version that was seen."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from triggers_nb.core.status import RESOLVED
from triggers_nb.core.work import HANDOVER
from triggers_nb.errors import InvalidStatus, StaleTarget, TriggersError, UnknownName
from triggers_nb.plan.actions import Action
from triggers_nb.render.plans import MAX_LISTED, Facts, counts_text, facts_html, facts_text
from triggers_nb.storages.base import Outcome

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.plan.plan import Plan
    from triggers_nb.workspace import Workspace

#: Number of steps from which a progress bar is shown.
PROGRESS_FROM = 20

#: Actions that were tried out when the plan was made, to learn what they read.
TRIED = ("fire", "configure")

DONE, REFUSED, FAILED, NOT_DONE = "done", "refused", "failed", "not done"


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one step of a plan."""

    session_uid: str
    action: str
    target: str
    #: ``done``; ``refused``: the target moved on, or cannot be changed like this; ``failed``: something went wrong;
    #: ``not done``: the execution ended before. Of those, only ``done`` has changed anything, but for ``error``.
    outcome: str
    #: What was raised. With ``done``: by a runner or a hook, after the change.
    error: str | None = None
    #: The instance that a replay made.
    new_instance: str | None = None
    #: Sequence number of the change in its session.
    seq: int | None = None


class PlanFailed(TriggersError):
    """Raised by ``Result.raise_for_errors`` when steps of a plan were not done, or left an error."""


class Result:
    """What became of a plan.

    Attributes
    ----------
    frame : pandas.DataFrame
        A row for each step, in the order of the plan: session_uid, action, target, outcome, error, new_instance
        (string), seq (Int64).
    """

    def __init__(
        self, workspace: Workspace, plan: Plan, rows: Sequence[Done], action_id: str, errors: Sequence[Exception]
    ) -> None:
        self.workspace, self.plan, self.rows, self.action_id = workspace, plan, tuple(rows), action_id
        #: What was raised, in order.
        self.errors = tuple(errors)

    @property
    def frame(self) -> pd.DataFrame:
        """See the class."""
        from triggers_nb.plan.frames import RESULT

        return RESULT.frame({field: [getattr(row, field) for row in self.rows] for field in Done.__struct_fields__})

    @property
    def counts(self) -> dict[str, int]:
        """Number of steps by outcome, those that occur."""
        outcomes = [row.outcome for row in self.rows]
        return {each: outcomes.count(each) for each in (DONE, REFUSED, FAILED, NOT_DONE) if each in outcomes}

    def raise_for_errors(self, first: int = 3) -> None:
        """Raise if a step was not done, or left an error.

        Raises
        ------
        PlanFailed
            Naming the first few, and how many more there are.
        """
        wrong = [row for row in self.rows if row.outcome != DONE or row.error]
        if wrong:
            lines = [
                ": ".join(filter(None, (f"{row.session_uid} {row.target}", row.outcome, row.error))) for row in wrong
            ]
            more = f"\n… and {len(wrong) - first} more" if len(wrong) > first else ""
            raise PlanFailed(f"{len(wrong)} of {len(self.rows)} steps went wrong:\n" + "\n".join(lines[:first]) + more)

    def follow(self, timeout_s: float = 30.0) -> pd.DataFrame:
        """Watch the instances that the plan's replays made, until none of them is under way.

        Parameters
        ----------
        timeout_s : float
            Seconds after which it returns all the same.

        Returns
        -------
        pandas.DataFrame
            The instances' rows as `SessionView.instances` has them, in the order of the plan.
        """
        names: dict[str, list[str]] = {}
        for row in self.rows:
            if row.new_instance is not None:
                names.setdefault(row.session_uid, []).append(row.new_instance)
        deadline = time.monotonic() + timeout_s
        pending = dict(names)
        while pending and time.monotonic() < deadline:
            pending = {uid: wanted for uid, wanted in pending.items() if self._under_way(uid, wanted)}
            if pending:
                time.sleep(0.1)
        return self.workspace.instances_named(names)

    def _under_way(self, uid: str, names: Sequence[str]) -> bool:
        storage = self.workspace.session(uid).storage
        return any(storage[name].status not in (*RESOLVED, "failed") for name in names)

    def facts(self) -> Facts:
        """What its representations say: the counts, and the first rows that went wrong or else the first ones."""
        wrong = [row for row in self.rows if row.outcome != DONE or row.error]
        listed = (wrong or self.rows)[:MAX_LISTED]
        show = self.workspace.shown
        return Facts(
            title=f"{self.plan.title}: {counts_text(self.counts)}",
            url=self.workspace.url,
            env=self.workspace.env,
            rows=[(row.session_uid, row.target, row.outcome, show(_said(row))) for row in listed],
            n_rows=len(wrong or self.rows),
        )

    def __repr__(self) -> str:
        return facts_text(self.facts())

    def _repr_html_(self) -> str:
        return facts_html(self.facts())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def execute(
    workspace: Workspace,
    plan: Plan,
    *,
    reason: str | None,
    confirm: str | None,
    on_error: str,
    rate: float | None,
    progress: bool | None,
) -> Result:
    """Execute a plan in a workspace; see ``Plan.execute``."""
    if on_error not in ("continue", "stop"):
        raise ValueError(f"on_error={on_error!r}: expected 'continue' or 'stop'")
    if rate is not None and not rate > 0:
        raise ValueError(f"rate={rate!r}: expected a positive number of steps a second, or None")
    if plan.workspace.store is not workspace.store:
        raise ValueError(f"the plan was made on {plan.workspace.url}, this workspace is {workspace.url}")
    allowed = workspace.allow(plan, confirm)
    plan.use()
    run = _Execution(allowed, plan, reason, secrets.token_hex(8))
    rows: list[Done] = []
    try:
        for action in _paced(_shown(plan.actions, progress), rate):
            rows.append(run.step(action))
            if on_error == "stop" and (rows[-1].outcome != DONE or rows[-1].error):
                break
    except KeyboardInterrupt:
        rows += run.interrupted()
    finally:
        if allowed is not workspace:
            allowed.end()
        rows += [_row(action, NOT_DONE) for action in plan.actions[len(rows) :]]
    return Result(workspace, plan, rows, run.action_id, run.errors)


def _shown(actions: Sequence[Action], progress: bool | None) -> Iterator[Action]:
    from tqdm.auto import tqdm

    show = len(actions) >= PROGRESS_FROM if progress is None else progress
    yield from tqdm(actions, unit="step", disable=not show, leave=False)


def _paced(actions: Iterator[Action], rate: float | None) -> Iterator[Action]:
    started = time.monotonic()
    for number, action in enumerate(actions):
        if rate is not None:
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
        yield action


def _row(action: Action, outcome: str, **fields: Any) -> Done:
    return Done(session_uid=action.uid, action=action.action, target=action.target, outcome=outcome, **fields)


class _Execution:
    """One execution of a plan."""

    def __init__(self, workspace: Workspace, plan: Plan, reason: str | None, action_id: str) -> None:
        self.workspace, self.plan, self.reason, self.action_id = workspace, plan, reason, action_id
        #: Revisions that the plan's own steps gave to cells.
        self.own: dict[tuple[str, str], int] = {}
        #: Sessions that a step has changed, or tried to.
        self.entered: set[str] = set()
        #: What the plan's fires have read, by session.
        self.read_by_fires: dict[str, dict[str, int]] = {}
        for action in plan.actions:
            if action.action in TRIED:
                self.read_by_fires.setdefault(action.uid, {}).update(action.seen)
        self.errors: list[Exception] = []
        self.current: tuple[Action, list[Outcome]] | None = None

    def step(self, action: Action) -> Done:
        """Do one step, and write it into the journal."""
        outcomes: list[Outcome] = []
        self.current = (action, outcomes)
        row = self._do(action, outcomes)
        self.workspace.journal_step(self.plan, action, row, self.reason, self.action_id)
        self.current = None
        return row

    def interrupted(self) -> list[Done]:
        """The row of the step that an interrupt has hit: done or not, never half."""
        if self.current is None:
            return []
        action, outcomes = self.current
        if not outcomes:
            return []
        row = self._done(action, outcomes[0], "interrupted after the change: hooks or hand-overs may be pending")
        self.workspace.journal_step(self.plan, action, row, self.reason, self.action_id)
        return [row]

    def _do(self, action: Action, outcomes: list[Outcome]) -> Done:
        try:
            manager = self.workspace.session(action.uid).plan_manager(
                reason=self.reason, action_id=self.action_id, plan_id=self.plan.plan_id
            )
            storage = manager.storage
            storage.expected, storage.expected_epoch = self._expected(action), self._epoch(action)

            def observe(outcome: Outcome) -> None:
                if not outcomes:
                    outcomes.append(outcome)
                    # What hooks change afterwards rests on the state that they find.
                    storage.expected, storage.expected_epoch = {}, None

            storage.observer = observe
            action.call(manager)
        except Exception as error:
            self.errors.append(error)
            if outcomes:
                return self._done(action, outcomes[0], _text(error))
            is_refusal = isinstance(error, (StaleTarget, InvalidStatus, UnknownName))
            return _row(action, REFUSED if is_refusal else FAILED, error=_text(error))
        return self._done(action, outcomes[0], None)

    def _expected(self, action: Action) -> dict[str, int]:
        """Revisions that the step's cells must have; what fires have read is compared at the session's first step."""
        expected = dict(action.seen) if action.action not in TRIED else {}
        if action.uid not in self.entered:
            self.entered.add(action.uid)
            expected.update(self.read_by_fires.get(action.uid, {}))
        return {cell: self.own.get((action.uid, cell), revision) for cell, revision in expected.items()}

    def _epoch(self, action: Action) -> int | None:
        return None if (action.uid, "") in self.own else action.epoch

    def _done(self, action: Action, outcome: Outcome, error: str | None) -> Done:
        committed = outcome.committed
        if committed is not None:
            self.own[action.uid, ""] = committed.epoch
            for cell in outcome.step.writes:
                self.own[action.uid, cell] = committed.seq
        created = [item[len(HANDOVER) :] for item in outcome.step.due if item.startswith(HANDOVER)]
        return _row(
            action,
            DONE,
            error=error,
            new_instance=created[0] if action.action == "replay" and created else None,
            seq=committed.seq if committed is not None else None,
        )


def _said(row: Done) -> str:
    return row.error or row.new_instance or ""


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
