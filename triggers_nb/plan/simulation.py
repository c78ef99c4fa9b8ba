"""Trying a plan out: the session's own manager class, on an overlay in memory, with no task run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from triggers_nb.core import records as rec
from triggers_nb.core.events import decode_event
from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.records import TaskRecord, TriggerRecord
from triggers_nb.errors import CommitConflict, TriggersError
from triggers_nb.manager import TriggerManager, hooks_of
from triggers_nb.plan.actions import Action
from triggers_nb.plan.rows import Consequence, consequences
from triggers_nb.storages.base import Outcome
from triggers_nb.storages.overlay import MovedOn, OverlayStore
from triggers_nb.storages.store import Store
from triggers_nb.task import InstanceRun, TaskContext, TriggerTask

#: How often a trial starts again because the session was changed meanwhile.
MAX_RESTARTS = 20

#: Makes the manager that a trial goes through, on an overlay.
MakeManager = Callable[[Store], TriggerManager]
#: What becomes of instances, by name (or by session and name, or by task): a result, or an exception.
Outcomes = Mapping[Any, Mapping[str, Any] | BaseException]


class Waiting(NamedTuple):
    """An instance that would have been handed over."""

    instance: TaskInstance
    step: int
    certainty: str


class Numbered(NamedTuple):
    """A step of a plan with its number."""

    step: int
    action: Action


def simulate(
    store: Store,
    uid: str,
    steps: Sequence[Numbered],
    make_manager: MakeManager,
    *,
    hooks: bool,
    outcomes: Outcomes,
    max_steps: int,
) -> list[Consequence]:
    """Try the steps of a plan that concern one session, and what follows from them.

    Instances that would be scheduled are run after the last step, one at a time in the order of their hand-over:
    each succeeds, unless `outcomes` says otherwise.

    Raises
    ------
    CommitConflict
        If the session is changed by others all the time.
    """
    for _ in range(MAX_RESTARTS):
        try:
            return _Trial(OverlayStore(store, uid), uid, make_manager, hooks, outcomes, max_steps).run(steps)
        except MovedOn:
            continue
    raise CommitConflict(
        f"session {uid!r} changed {MAX_RESTARTS} times while the plan was tried out; try again when it is quieter"
    )


class _Trial:
    """One trial on one session."""

    def __init__(
        self,
        overlay: OverlayStore,
        uid: str,
        make_manager: MakeManager,
        hooks: bool,
        outcomes: Outcomes,
        max_steps: int,
    ) -> None:
        self.overlay, self.uid, self.make_manager = overlay, uid, make_manager
        self.hooks, self.outcomes, self.max_steps = hooks, outcomes, max_steps
        self.rows: list[Consequence] = []
        self.queue: deque[Waiting] = deque()
        #: What the next commits are consequences of.
        self.step, self.certainty, self.origin, self.is_known = 0, "certain", "direct", True
        #: Whether the commit that comes is the one that was asked for; those after it are a hook's.
        self.is_first = True

    def run(self, steps: Sequence[Numbered]) -> list[Consequence]:
        for step, action in steps:
            self.step, self.certainty, self.origin, self.is_known = step, "certain", "direct", True
            self._attempt(action)
        n_run = 0
        while self.queue:
            if n_run >= self.max_steps:
                self._add(
                    "stopped", self.queue[0].instance.name, detail=f"after {self.max_steps} instances (max_steps)"
                )
                break
            n_run += 1
            self._run_instance(self.queue.popleft())
        for step, action in steps:
            self._add_blocked(step, action)
        return self.rows

    def _attempt(self, action: Action) -> None:
        self.is_first = True
        try:
            action.call(self._manager())
        except MovedOn:
            raise
        except Exception as error:
            # What a hook raised is in the rows; anything else refused the step.
            if self.is_first:
                self._add("refused", action.target, detail=f"{type(error).__name__}: {error}")

    def _manager(self) -> TriggerManager:
        manager = self.make_manager(self.overlay)
        storage = manager.storage
        storage.take, storage.observer, storage.call_hooks = self._take, self._observe, self.hooks
        return manager

    def _take(self, instance: TaskInstance) -> None:
        self.queue.append(Waiting(instance, self.step, self.certainty))

    def _observe(self, outcome: Outcome) -> None:
        if outcome.committed is None:
            return
        (stored,) = self.overlay.new_events(outcome.committed.seq - 1)[:1]
        origin = self.origin if self.is_first else "hook"
        event = decode_event(stored.data)
        self.rows += consequences(
            event,
            step=self.step,
            uid=self.uid,
            certainty=self.certainty,
            origin=origin,
            is_known=self.is_known,
        )
        self.is_first = event.action == "claim"

    def _run_instance(self, waiting: Waiting) -> None:
        name = waiting.instance.name
        outcome = self._outcome(waiting.instance)
        self.step, self.origin, self.is_first = waiting.step, "cascade", True
        self.is_known = outcome is not None
        self.certainty = waiting.certainty if self.is_known else "if_succeeds"
        run = InstanceRun(self._manager(), name, _task_with(outcome))
        try:
            run.claim()
            run.body()
        except MovedOn:
            raise
        except TriggersError as error:
            self._add("refused", name, detail=f"{type(error).__name__}: {error}")

    def _outcome(self, instance: TaskInstance) -> Mapping[str, Any] | BaseException | None:
        for key in ((self.uid, instance.name), instance.name, instance.config.name):
            if key in self.outcomes:
                return self.outcomes[key]
        return None

    def _add(self, action: str, target: str, *, detail: str | None = None, trigger: str | None = None) -> None:
        self.rows.append(
            Consequence(
                step=self.step,
                session_uid=self.uid,
                action=action,
                target=target,
                trigger=trigger,
                certainty=self.certainty,
                origin=self.origin,
                detail=detail,
            )
        )

    # What stays blocked -------------------------------------------------------------------------------------------

    def _add_blocked(self, step: int, action: Action) -> None:
        """Add the tasks that still wait for the task of an instance that the step was about."""
        parts = rec.split_instance_name(action.target)
        if parts is None or action.action not in ("replay", "skip", "update_status"):
            return
        self.step, self.certainty, self.origin = step, "certain", "direct"
        pending, found = [parts[0]], {parts[0]}
        while pending:
            waited_for = pending.pop(0)
            for task in self._waiting_tasks(waited_for):
                if task not in found:
                    found.add(task)
                    pending.append(task)
                    self._add("blocked", task, trigger=waited_for)

    def _waiting_tasks(self, trigger: str) -> list[str]:
        """Tasks that need a trigger which has not been fired for them, in the order of their names."""
        view = self.overlay.read(self.uid, (rec.TRIGGER + trigger, rec.LATEST + trigger))
        if view is None or rec.TRIGGER + trigger not in view.cells or rec.LATEST + trigger in view.cells:
            return []
        route: TriggerRecord = rec.decode_record(rec.TRIGGER, view.cells[rec.TRIGGER + trigger].data)  # type: ignore[assignment]
        waiting = []
        for task in route.tasks:
            config: rec.ConfigRecord = rec.decode_record(rec.CONFIG, view.cells[rec.CONFIG + task].data)  # type: ignore[assignment]
            state: TaskRecord = rec.decode_record(rec.TASK, view.cells[rec.TASK + task].data)  # type: ignore[assignment]
            if trigger in config.after and (state.next_index == 0 or state.groups):
                waiting.append(task)
        return waiting


def _task_with(outcome: Mapping[str, Any] | BaseException | None) -> type[TriggerTask]:
    """A task that does nothing but end like this."""

    class Assumed(TriggerTask):
        is_registered = False

        def _run(self, context: TaskContext) -> Mapping[str, Any] | None:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

    return Assumed


def overridden_hooks(cls: type[TriggerManager]) -> list[str]:
    """Hooks of a manager class that a preview without hooks leaves out, as ``Class.hook``."""
    return [f"{cls.__qualname__}.{name}" for name in sorted(hooks_of(cls))]
