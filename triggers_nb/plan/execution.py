"""Executing a plan: each step through the session's manager, at the version that was seen."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from triggers_nb.core.codec import checked_text
from triggers_nb.core.events import decode_event
from triggers_nb.core.work import HANDOVER
from triggers_nb.errors import InvalidStatus, StaleTarget, UnknownName, brief
from triggers_nb.journal import UnwrittenStep
from triggers_nb.manager import TriggerManager
from triggers_nb.plan.actions import Action
from triggers_nb.plan.interrupts import Interrupts
from triggers_nb.plan.results import DONE, FAILED, NOT_DONE, REFUSED, UNCHANGED, Done, PlanFailed, Result
from triggers_nb.plan.versions import Versions
from triggers_nb.storages.transactions import Outcome, Watch
from triggers_nb.storages.trials import refuse_in_trial

if TYPE_CHECKING:
    from triggers_nb.journal import JournalWriter
    from triggers_nb.plan.plan import Plan
    from triggers_nb.workspace import Workspace

__all__ = ["Done", "PlanFailed", "Result", "execute"]

#: Number of steps from which a progress bar is shown.
PROGRESS_FROM = 20
#: How many of a session's last events are searched for a change that an interrupt has cut off.
MAX_SEARCHED = 50

#: Whether a bar is shown (None: if there are many steps), or what is called with the outcome of each step.
Progress = bool | Callable[[Done], object] | None


def execute(
    workspace: Workspace,
    plan: Plan,
    *,
    reason: str | None,
    confirm: str | None,
    on_error: str,
    rate: float | None,
    progress: Progress,
) -> Result:
    """Execute a plan in a workspace; see ``Plan.execute``."""
    _check(workspace, plan, reason, on_error, rate)
    action_id = secrets.token_hex(8)
    if not plan.actions:
        return Result(workspace, plan, (), action_id)
    allowed = workspace.allow(plan, confirm)
    try:
        with workspace.journal_writer(plan, reason, action_id) as writer:
            plan.use()
            run = _Execution(allowed, plan, reason, action_id, writer)
            was_interrupted = run.all_steps(on_error == "stop", rate, progress)
    finally:
        if allowed is not workspace:
            allowed.end()
    return Result(workspace, plan, run.rows, action_id, run.errors, was_interrupted)


def _check(workspace: Workspace, plan: Plan, reason: object, on_error: str, rate: float | None) -> None:
    if on_error not in ("continue", "stop"):
        raise ValueError(f"on_error={on_error!r}: expected 'continue' or 'stop'")
    if rate is not None and not rate > 0:
        raise ValueError(f"rate={rate!r}: expected a positive number of steps a second, or None")
    if reason is not None and not isinstance(reason, str):
        raise TypeError(f"reason={brief(reason)}: expected text, or None")
    checked_text(reason or "", "reason")
    if plan.workspace._source is not workspace._source:
        raise ValueError(f"the plan was made on {plan.workspace.url}, this workspace is {workspace.url}")
    refuse_in_trial(None, workspace.url)


def _shown(actions: Sequence[Action], progress: Progress) -> Iterator[Action]:
    show = len(actions) >= PROGRESS_FROM if progress is None else progress
    if not show or callable(progress):
        yield from actions
        return
    from tqdm.auto import tqdm

    yield from tqdm(actions, unit="step", leave=False)


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

    def __init__(
        self, workspace: Workspace, plan: Plan, reason: str | None, action_id: str, writer: JournalWriter
    ) -> None:
        self.workspace, self.plan, self.reason, self.action_id, self.writer = workspace, plan, reason, action_id, writer
        self.versions = Versions(plan.actions)
        self.interrupts = Interrupts()
        self.rows: list[Done] = []
        self.errors: list[Exception | SystemExit] = []
        #: Whether a step could not be written into the journal.
        self.is_unwritten = False
        #: The step that is being done, and the commits that it has led to.
        self.current: tuple[Action, list[Outcome]] | None = None
        #: The manager of the last step, for the next one of the same session.
        self.manager: TriggerManager | None = None

    def all_steps(self, stops: bool, rate: float | None, progress: Progress) -> bool:
        """Do all steps in order; whether they were interrupted."""
        was_interrupted = False
        actions = self.plan.actions
        with self.interrupts as interrupts:
            try:
                for action in _paced(_shown(actions, progress), rate):
                    with interrupts.put_off():
                        self.step(action)
                    if callable(progress):
                        progress(self.rows[-1])
                    if self.is_unwritten or (stops and not self.rows[-1].is_clean):
                        break
            except KeyboardInterrupt:
                was_interrupted = True
                self.close_current()
            except BaseException:
                self.close_current()  # what was changed is in the journal, whatever ends the execution
                raise
        self.manager = None
        self.rows += [_row(action, NOT_DONE) for action in actions[len(self.rows) :]]
        return was_interrupted

    def step(self, action: Action) -> None:
        """Do one step, and write it into the journal."""
        outcomes: list[Outcome] = []
        self.current = (action, outcomes)
        row = self._do(action, outcomes)
        with self.interrupts.hold():
            self._note(action, row)

    def close_current(self) -> None:
        """Note the step that a second interrupt has cut off: done or not, never half."""
        with self.interrupts.hold():
            self._close_current()

    def _close_current(self) -> None:
        if self.current is None:
            return
        action, outcomes = self.current
        error = "interrupted after the change: hooks or hand-overs are left to recovery"
        if outcomes:
            self._note(action, self._done(action, outcomes[0], error))
        elif (seq := self._find(action)) is not None:
            self._note(action, _row(action, DONE, error=error, seq=seq))

    def _note(self, action: Action, row: Done) -> None:
        try:
            self.writer.write(action, row)
        except OSError as error:
            self.is_unwritten = True  # nothing more is changed without a record of it
            said = f"the journal could not be written: {error}"
            if row.outcome == DONE:
                said += ". The change was made; it is missing from the journal alone"
            self.errors.append(UnwrittenStep(said))
            row = msgspec.structs.replace(row, error=f"{row.error}; {said}" if row.error else said)
        self.rows.append(row)
        self.current = None

    def _do(self, action: Action, outcomes: list[Outcome]) -> Done:
        try:
            manager = self._manager_of(action)
            with self._watched(manager, action, outcomes):
                action.call(manager)
        except (Exception, SystemExit) as error:
            self.errors.append(error)
            text = f"{type(error).__name__}: {error}"
            if outcomes:
                return self._done(action, outcomes[0], text)
            is_refusal = isinstance(error, (StaleTarget, InvalidStatus, UnknownName))
            return _row(action, REFUSED if is_refusal else FAILED, error=text)
        return self._done(action, outcomes[0], None)

    @contextmanager
    def _watched(self, manager: TriggerManager, action: Action, outcomes: list[Outcome]) -> Iterator[None]:
        """Collect what this thread changes through a manager; what others change there, then or later, is theirs."""

        def observe(outcome: Outcome) -> None:
            outcomes.append(outcome)
            self.versions.note(action.uid, outcome)
            manager.storage.watch = Watch(observe)  # what hooks change afterwards rests on the state that they find

        manager.storage.watch = Watch(observe, *self.versions.enter(action))
        try:
            yield
        finally:
            manager.storage.watch = None

    def _manager_of(self, action: Action) -> TriggerManager:
        if self.manager is None or self.manager.storage.uid != action.uid:
            self.manager = self.workspace.session(action.uid).plan_manager(
                action.manager, reason=self.reason, action_id=self.action_id, plan_id=self.plan.plan_id
            )
            if action.epoch:
                self.manager.storage.begin_with(action.epoch, action.known_seq, action.known)
        return self.manager

    def _done(self, action: Action, outcome: Outcome, error: str | None) -> Done:
        created = [item[len(HANDOVER) :] for item in outcome.step.due if item.startswith(HANDOVER)]
        return _row(
            action,
            DONE if outcome.committed is not None else UNCHANGED,
            error=error,
            new_instance=created[0] if action.action == "replay" and created else None,
            seq=outcome.committed.seq if outcome.committed is not None else None,
        )

    def _find(self, action: Action) -> int | None:
        """Sequence number of a step's change, of which no answer came; None if it was not made."""
        store = self.workspace.store
        for summary in store.summaries(uids=[action.uid]):
            for stored in store.events(action.uid, after=max(0, summary.seq - MAX_SEARCHED)):
                event = decode_event(stored.data)
                is_it = any(change.target == action.target for change in event.changes) or not action.target
                if event.action_id == self.action_id and event.action == action.action and is_it:
                    return stored.seq
        return None
