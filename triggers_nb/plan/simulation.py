"""Trying a plan out: the session's own manager class, on an overlay in memory, with no task run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value
from triggers_nb.core.events import Event, decode_event
from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.records import TaskRecord, TriggerRecord
from triggers_nb.errors import ClaimRefused, TriggersError
from triggers_nb.manager import TriggerManager, hooks_of
from triggers_nb.plan.actions import Action
from triggers_nb.plan.assumptions import Assumptions
from triggers_nb.plan.assumptions import Outcome as Assumed
from triggers_nb.plan.rows import Consequence, consequences
from triggers_nb.plan.trying import MAX_RESTARTS, moves_on
from triggers_nb.plan.versions import Versions
from triggers_nb.storages.overlay import MovedOn, OverlayStore
from triggers_nb.storages.store import Store
from triggers_nb.storages.transactions import Outcome, Watch
from triggers_nb.storages.trials import tried_out
from triggers_nb.task import InstanceRun, TaskContext, TriggerTask

#: Makes the manager that a trial goes through, on an overlay.
MakeManager = Callable[[Store], TriggerManager]


#: What is said of a step that changes nothing.
_UNCHANGED = {
    "fire": "it has fired before and is to be fired once: nothing is changed",
    "": "it is like this already: nothing is changed",
}


class Waiting(NamedTuple):
    """An instance that would have been handed over."""

    instance: TaskInstance
    step: int
    certainty: str


class Numbered(NamedTuple):
    """A step of a plan with its number."""

    step: int
    action: Action


class Attempt(NamedTuple):
    """A step that is being tried."""

    action: Action
    manager: TriggerManager
    #: The versions that it must find.
    versions: Versions


def simulate(
    store: Store,
    uid: str,
    steps: Sequence[Numbered],
    make_manager: MakeManager,
    *,
    hooks: bool,
    assumptions: Assumptions,
    max_steps: int,
) -> list[Consequence]:
    """Try the steps of a plan that concern one session, and what follows from them.

    Instances that would be scheduled are run after the last step, one at a time in the order of their hand-over:
    each succeeds, unless something else is assumed.

    Raises
    ------
    CommitConflict
        If the session is changed by others all the time.
    """
    for _ in range(MAX_RESTARTS):
        overlay = OverlayStore(store, uid)
        trial = _Trial(overlay, uid, make_manager, hooks, assumptions, max_steps)
        try:
            with tried_out(overlay) as refused:
                rows = trial.run(steps, refused)
        except MovedOn:
            continue
        # A hook may have swallowed that the session moved on.
        if not overlay.has_moved:
            return rows
    raise moves_on(uid)


class _Trial:
    """One trial on one session."""

    def __init__(
        self,
        overlay: OverlayStore,
        uid: str,
        make_manager: MakeManager,
        hooks: bool,
        assumptions: Assumptions,
        max_steps: int,
    ) -> None:
        self.overlay, self.uid, self.make_manager = overlay, uid, make_manager
        self.hooks, self.assumptions, self.max_steps = hooks, assumptions, max_steps
        self.rows: list[Consequence] = []
        self.queue: deque[Waiting] = deque()
        #: What the next commits are consequences of.
        self.step, self.certainty, self.origin, self.is_known = 0, "certain", "direct", True
        #: Whether the commit that comes is the one that was asked for; those after it are a hook's.
        self.is_first = True
        #: Triggers whose latest kwargs are the unknown result of a task, and instances that have taken such ones.
        self.unknown: set[str] = set()
        self.unknown_instances: set[str] = set()
        #: While a step is tried.
        self.attempt: Attempt | None = None
        #: What an execution from here would say of handing work over.
        self.notes: set[str] = set()

    def run(self, steps: Sequence[Numbered], refused: list[str]) -> list[Consequence]:
        """Try the steps, then run what they schedule; `refused` is what hooks were told that reached elsewhere."""
        versions = Versions(action for _, action in steps)
        for step, action in steps:
            self.step, self.certainty, self.origin, self.is_known = step, "certain", "direct", True
            self._attempt(action, versions)
            self._note_refused(refused)
        n_run = 0
        while self.queue:
            if n_run >= self.max_steps:
                self._add(
                    "stopped", self.queue[0].instance.name, detail=f"after {self.max_steps} instances (max_steps)"
                )
                break
            n_run += self._run_instance(self.queue.popleft())
            self._note_refused(refused)
        for step, action in steps:
            self._add_blocked(step, action)
        return self.rows

    def _attempt(self, action: Action, versions: Versions) -> None:
        self.is_first = True
        manager = self._manager(Watch(self._observe, *versions.enter(action)))
        self.attempt = Attempt(action, manager, versions)
        try:
            action.call(manager)
        except MovedOn:
            raise
        except (Exception, SystemExit) as error:
            # What a hook raised is in the rows; anything else refused the step.
            if self.is_first:
                self._add("refused", action.target, detail=f"{type(error).__name__}: {error}")
        finally:
            self.attempt = None

    def _note_refused(self, refused: list[str]) -> None:
        """Add what a hook was refused and kept to itself."""
        self.origin = "hook"
        for said in refused:
            if not any(row.detail is not None and said in row.detail for row in self.rows):
                self._add("note", self.uid, detail=f"refused: {said}")
        refused.clear()

    def _note_runners(self, manager: TriggerManager, outcome: Outcome) -> None:
        """Add what an execution from here would say of handing over what a step schedules."""
        try:
            manager.check_runners(outcome.step, outcome.session)
        except Exception as error:
            detail = f"executed from here, this step is refused: {type(error).__name__}: {error}"
            if detail not in self.notes:
                self.notes.add(detail)
                self._add("note", outcome.step.scheduled[0].name, detail=detail)

    def _manager(self, watch: Watch) -> TriggerManager:
        manager = self.make_manager(self.overlay)
        storage = manager.storage
        storage.take, storage.watch, storage.call_hooks = self._take, watch, self.hooks
        return manager

    def _take(self, instance: TaskInstance) -> None:
        self.queue.append(Waiting(instance, self.step, self.certainty))

    def _observe(self, outcome: Outcome) -> None:
        attempt = self.attempt
        if attempt is not None:
            attempt.versions.note(self.uid, outcome)
            if self.is_first and attempt.manager.storage.check_manager:
                self._note_runners(attempt.manager, outcome)
            attempt.manager.storage.watch = Watch(self._observe)
        if outcome.committed is None:
            if attempt is not None and self.is_first:
                self._add("note", attempt.action.target, detail=_UNCHANGED.get(outcome.step.action, _UNCHANGED[""]))
            return
        (stored,) = self.overlay.new_events(outcome.committed.seq - 1)[:1]
        event = decode_event(stored.data)
        self.rows += consequences(
            event,
            step=self.step,
            uid=self.uid,
            certainty=self.certainty,
            origin=self.origin if self.is_first else "hook",
            is_known=self.is_known,
            instance_kwargs=self._kwargs(event, outcome),
        )
        self.is_first = event.action == "claim"

    def _kwargs(self, event: Event, outcome: Outcome) -> dict[str, dict[str, Any] | None]:
        """The kwargs of the instances that a commit has made, or given a trigger; None if some are unknown."""
        for change in event.changes:
            if change.action == "fire":
                is_unknown = change.cause is not None and not self.is_known
                (self.unknown.add if is_unknown else self.unknown.discard)(change.target)
        kwargs: dict[str, dict[str, Any] | None] = {}
        for change in event.changes:
            if change.action in ("create", "apply"):
                record: rec.InstanceRecord = outcome.step.records[rec.INSTANCE + change.target]  # type: ignore[assignment]
                if record.parent in self.unknown_instances or not self.unknown.isdisjoint(record.kwargs):
                    self.unknown_instances.add(change.target)
                is_known = change.target not in self.unknown_instances
                kwargs[change.target] = (
                    {trigger: decode_value(raw) for trigger, raw in record.kwargs.items()} if is_known else None
                )
        return kwargs

    def _run_instance(self, waiting: Waiting) -> bool:
        """Run an instance; False if it does not start, as it was resolved since it was handed over."""
        name = waiting.instance.name
        assumed = self.assumptions.of(self.uid, waiting.instance)
        self.step, self.origin, self.is_first = waiting.step, "cascade", True
        self.is_known = assumed is not None
        self.certainty = waiting.certainty if self.is_known else "if_succeeds"
        run = InstanceRun(self._manager(Watch(self._observe)), name, Assuming)
        run.task = Assuming(assumed)
        try:
            run.claim()
            run.body()
        except MovedOn:
            raise
        except ClaimRefused:
            return False
        except TriggersError as error:
            self._add("refused", name, detail=f"{type(error).__name__}: {error}")
        finally:
            if isinstance(assumed, BaseException):
                assumed.__traceback__ = None  # it outlives this trial, whose frames need not
        return True

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


class Assuming(TriggerTask):
    """A task that does nothing but end as it is assumed to."""

    is_registered = False

    def __init__(self, assumed: Assumed | None = None) -> None:
        super().__init__()
        self.assumed = assumed

    def _run(self, context: TaskContext) -> Mapping[str, Any] | None:
        if isinstance(self.assumed, BaseException):
            # The same exception may be assumed for many: each begins a traceback of its own.
            raise self.assumed.with_traceback(None)
        return self.assumed


def overridden_hooks(cls: type[TriggerManager]) -> list[str]:
    """Hooks of a manager class that a preview without hooks leaves out, as ``Class.hook``."""
    return [f"{cls.__qualname__}.{name}" for name in sorted(hooks_of(cls))]
