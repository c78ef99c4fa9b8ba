"""The trigger manager: decides by the rules of the core, commits, hands over, calls hooks."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple
from weakref import WeakSet

from triggers_nb import runners, settings
from triggers_nb.core import records as rec
from triggers_nb.core import transitions
from triggers_nb.core.codec import encode_mapping
from triggers_nb.core.configuration import NAME_RULE, is_name, parse_configuration
from triggers_nb.core.failures import describe
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.metadata import parse_metadata
from triggers_nb.core.records import InstanceRecord, Raw
from triggers_nb.core.status import check_status
from triggers_nb.core.work import HANDOVER, HOOKS, LEASE, HookCall, Slice, Step, Work, decode_hooks
from triggers_nb.errors import (
    HandoverRefused,
    InvalidStatus,
    InvalidValue,
    ManagerMismatch,
    NoRunner,
    RegistryError,
    StorageError,
    TaskNotFound,
    UnknownInstance,
    WorkerLost,
    brief,
)
from triggers_nb.registry import Registry
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.storages.base import BaseTriggerStorage, storage_backends
from triggers_nb.storages.drafts import encode_kwargs
from triggers_nb.storages.leases import keep_alive
from triggers_nb.storages.store import DueItem
from triggers_nb.storages.transactions import Outcome

logger = logging.getLogger("triggers_nb.manager")

#: The hooks that a custom manager may override.
HOOK_NAMES = ("_post_fire", "_post_replay", "_post_skip")
_ASYNC_HOOK = "Write it with def; asyncio.run(…) in it runs what has to be awaited"

#: What recovery says of an item that only another manager, or another process, can take up.
OUT_OF_REACH = "out of reach"

#: The longest that a hand-over waits for the next try.
MAX_BACKOFF_S = 3600.0


class RunnerChoice(NamedTuple):
    """The runner for an instance, and what chose it."""

    runner: type[BaseTaskRunner]
    source: str


class TriggerManager:
    """Controls one session: fires triggers, replays and skips instances, and lets hooks know.

    Subclass it to override the hooks `_post_fire`, `_post_replay` and `_post_skip`, or `default_task_runner_name`, and
    register the subclass under the entry-point group ``triggers.managers``. These are the extension points: an override
    of any other method runs for direct calls only, not for cascades.

    Parameters
    ----------
    storage : BaseTriggerStorage
        The session.
    allow_manager_change : bool
        Whether this manager may change a session that remembers another one; the session then remembers this one.

    Examples
    --------
    >>> from triggers_nb import CacheStorageBackend, TriggerManager
    >>> manager = TriggerManager(CacheStorageBackend("order-17", "memory://manager-example"))
    >>> manager.update_configuration({"t_ship": {"after": ["paid", "packed"], "run": "app.Ship"}})
    >>> manager.fire("paid", {"amount": 20})
    >>> manager.storage["t_ship#0"].status
    'unstarted'
    """

    #: Key of the task runner for tasks that name none.
    default_task_runner_name: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in HOOK_NAMES:
            if inspect.iscoroutinefunction(getattr(cls, name)):
                raise TypeError(f"{cls.__qualname__}.{name} is async: nobody would await it. {_ASYNC_HOOK}")

    def __init__(self, storage: BaseTriggerStorage, allow_manager_change: bool = False) -> None:
        if not callable(getattr(storage, "transact", None)):
            raise TypeError(
                f"storage={brief(storage)}: expected a handle on a session, such as CacheStorageBackend('order-17')"
            )
        self.storage = storage
        self.allow_manager_change = allow_manager_change
        _warn_of_overrides(type(self))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.storage!r}>"

    # Changing -----------------------------------------------------------------------------------------------------

    def update_configuration(self, configuration: Mapping[str, Mapping[str, Any]]) -> None:
        """Add or replace tasks by name, and make the session if it does not exist.

        Triggers that fired earlier are not applied; no instance is created; other tasks stay as they are.

        Parameters
        ----------
        configuration : Mapping
            Directives of each task: ``after``, ``run``, ``andEvery``, ``unless``, ``withParams``, ``using``; any other
            is kept for custom managers.

        Raises
        ------
        ConfigurationError
            If a directive is missing or wrong. Nothing is saved.
        """
        tasks = parse_configuration(configuration)

        def decide(work: Work) -> None:
            self._record_manager(work)
            transitions.configure(work, tasks)

        self._change("configure", decide, creates=True)

    def fire(self, trigger_name: str, trigger_kwargs: Mapping[str, Any] | None = None, once: bool = False) -> None:
        """Fire a trigger.

        Parameters
        ----------
        trigger_name : str
            Its name; one that no task names is recorded, too.
        trigger_kwargs : Mapping, optional
            What tasks that wait for it receive.
        once : bool
            Do nothing if it has fired before. Of several that fire it at once, one does.

        Raises
        ------
        InvalidValue
            If the name or the kwargs cannot be stored.
        NoRunner
            If work would be scheduled and nothing says where it runs. Nothing was changed.
        Exception
            What a runner or a hook raised; the change stands.
        """
        if not is_name(trigger_name):
            raise InvalidValue("trigger_name", trigger_name, f"expected {NAME_RULE}")
        kwargs = Raw(encode_mapping(trigger_kwargs, "trigger_kwargs"))

        def decide(work: Work) -> None:
            if not (once and work.latest(trigger_name) is not None):
                transitions.fire(work, trigger_name, kwargs)

        self._change("fire", decide, creates=True, needs=(rec.TRIGGER + trigger_name, rec.LATEST + trigger_name))

    def replay_failed_instance(
        self, failed_instance: str | TaskInstance, replacement_kwargs: Mapping[str, Mapping[str, Any]] | None = None
    ) -> None:
        """Replay a failed instance: it becomes *replayed*, and a clone of it is scheduled.

        Parameters
        ----------
        failed_instance : str or TaskInstance
            Which one; its stored state counts.
        replacement_kwargs : Mapping, optional
            Replaces the kwargs of *all* triggers (``{}``: none at all). None keeps them.

        Raises
        ------
        UnknownInstance
            If there is no such instance.
        InvalidStatus
            If it is not failed.
        """
        name = self._name_of(failed_instance)
        kwargs = None if replacement_kwargs is None else encode_kwargs(replacement_kwargs, "replacement_kwargs")

        def decide(work: Work) -> None:
            clone = transitions.replay(work, name, kwargs)
            work.call_hook(HookCall("_post_replay", clone.name))

        self._change("replay", decide, instance=name)

    def skip_failed_instance(
        self, failed_instance: str | TaskInstance, cascade: bool = False, result: Mapping[str, Any] | None = None
    ) -> None:
        """Skip a failed instance: it becomes *skipped*, which is resolved.

        Parameters
        ----------
        failed_instance : str or TaskInstance
            Which one; its stored state counts.
        cascade : bool
            Whether to fire its task's name, as if it had finished.
        result : Mapping, optional
            The kwargs of that firing.

        Raises
        ------
        UnknownInstance, InvalidStatus
            As for `replay_failed_instance`.
        """
        name = self._name_of(failed_instance)
        kwargs = Raw(encode_mapping(result, "result"))
        self._change("skip", lambda work: transitions.skip(work, name, bool(cascade), kwargs), instance=name)

    def update_instance_status(
        self,
        task_instance: str | TaskInstance,
        status: str,
        metadata: Mapping[str, Any] | None = None,
        cascade: bool = False,
        cascade_kwargs: Mapping[str, Any] | None = None,
    ) -> TaskInstance:
        """Change the status of an unresolved instance by hand.

        Parameters
        ----------
        task_instance : str or TaskInstance
            Which one; its stored state counts.
        status : str
            ``finished``, ``failed``, ``skipped`` or ``abandoned``; or the one it has, to change metadata only.
        metadata : Mapping, optional
            Merged into the instance's.
        cascade, cascade_kwargs : bool, Mapping
            Whether to fire its task's name, and with which kwargs.

        Returns
        -------
        TaskInstance
            As it is after the change.

        Raises
        ------
        InvalidStatus
            If there is no such status, or the change is not allowed.
        """
        name = self._name_of(task_instance)
        check_status(status)
        own = parse_metadata(metadata)
        kwargs = Raw(encode_mapping(cascade_kwargs, "cascade_kwargs"))
        outcome = self._change(
            "update_status",
            lambda work: transitions.update_status(work, name, status, own, cascade, kwargs),
            instance=name,
        )
        return self._instance_after(outcome, name)

    def update_instance_metadata(self, task_instance: str | TaskInstance, metadata: Mapping[str, Any]) -> TaskInstance:
        """Merge metadata into an instance's, and return it as it is then."""
        name = self._name_of(task_instance)
        own = parse_metadata(metadata)
        outcome = self._change(
            "update_metadata", lambda work: transitions.update_metadata(work, name, own), instance=name
        )
        return self._instance_after(outcome, name)

    def mark_instance_logs_resolved(self, task_instance: str | TaskInstance) -> TaskInstance:
        """Note that somebody has looked at an instance's messages, and return it as it is then."""
        name = self._name_of(task_instance)
        own = parse_metadata({"logsResolved": True})
        outcome = self._change(
            "resolve_logs", lambda work: transitions.update_metadata(work, name, own, "logs"), instance=name
        )
        return self._instance_after(outcome, name)

    def get_unresolved_tasks(self) -> list[TaskConfig]:
        """Read all tasks that have no instance yet, or an unresolved one."""
        return self.storage.get_unresolved_tasks()

    # Hooks --------------------------------------------------------------------------------------------------------

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        """Be told that a trigger was fired, directly or by a cascade.

        Parameters
        ----------
        trigger_name : str
            The trigger.
        tasks_scheduled : list of TaskInstance
            The instances that it got scheduled.
        """

    def _post_replay(self, task_instance: TaskInstance) -> None:
        """Be told that an instance was replayed.

        Parameters
        ----------
        task_instance : TaskInstance
            The new one; ``task_instance.metadata["parent"]`` names the failed one.
        """

    def _post_skip(self, task_instance: TaskInstance, cascade: bool) -> None:
        """Be told that an instance was skipped; called after the cascade's own `_post_fire`.

        Parameters
        ----------
        task_instance : TaskInstance
            The skipped one.
        cascade : bool
            Whether its task's name was fired.
        """

    # The way of a change ------------------------------------------------------------------------------------------

    def _change(
        self,
        action: str,
        decide: Callable[[Work], object],
        *,
        creates: bool = False,
        instance: str | None = None,
        needs: tuple[str, ...] = (),
        in_worker: bool = False,
    ) -> Outcome:
        """Commit a decision, hand over what it scheduled, call its hooks.

        `needs`: cells that the decision will look at; for an `instance`, these are known.
        `in_worker`: nobody waits for the outcome. What goes wrong after the commit is logged, and whether a cascade's
        work can be handed over does not decide whether the instance may end.
        """
        hooked = hooks_of(type(self), vars(self))

        def guarded(work: Work) -> None:
            self._enter_session(work, creates)
            decide(work)
            if instance is not None and not in_worker:
                _refuse_damaged(work, instance)

        try:
            outcome = self.storage.transact(
                action,
                guarded,
                needs=(rec.HEAD, *needs, *_cells_around(instance)),
                prepare=None if in_worker or self.storage.take is not None else self.check_runners,
                hooked=hooked,
                grace_s=settings.grace_s(),
            )
        except UnknownInstance as error:
            if instance is None or error.name != instance:
                raise
            raise UnknownInstance(instance, self.storage.instance_names()[:5000]) from None
        errors = self._effects(outcome, hooked)
        if errors and not in_worker:
            raise errors[0]
        return outcome

    def _effects(self, outcome: Outcome, hooked: frozenset[str]) -> list[Exception | SystemExit]:
        step = outcome.step
        is_deferred = self.storage.handover == "defer"
        calls = [call for call in step.hooks if call.hook in hooked]
        if not calls and (is_deferred or not step.scheduled):
            return []
        instances = {record.name: self._instance_of(outcome, record) for record in step.scheduled}
        errors: list[Exception | SystemExit] = []
        if not is_deferred:
            errors += self.hand_over(list(instances.values()))
        if not calls or not self.storage.call_hooks:
            return errors
        for call in calls:
            if call.hook != "_post_fire" and call.target not in instances:
                instances[call.target] = self._instance_after(outcome, call.target)
        return errors + self._call_hooks(calls, instances, HOOKS + outcome.commit_id.hex())

    def _enter_session(self, work: Work, creates: bool) -> None:
        if not creates:
            work.refuse_missing_session()
        head = transitions.make_session(work, None, self.storage.timeout)
        if head.manager is None:
            if type(self) is not TriggerManager:  # else whoever comes after a crash would leave its hooks out
                transitions.record_manager(work, self._key())
        elif self.storage.check_manager and not self._is_of(head.manager):
            if not self.allow_manager_change:
                raise ManagerMismatch(self.storage.uid, head.manager, self._key(), type(self).__qualname__)
            transitions.record_manager(work, self._key())

    def _record_manager(self, work: Work) -> None:
        head = work.head()
        if head is not None and head.manager is None:
            transitions.record_manager(work, self._key())

    def _is_of(self, key: str) -> bool:
        return trigger_managers.knows(key, type(self)) or key == self._key()

    def _key(self) -> str | None:
        return trigger_managers.key_of(type(self))

    # Handing over -------------------------------------------------------------------------------------------------

    def choose_runner(self, config: TaskConfig | rec.ConfigRecord) -> RunnerChoice:
        """Choose where an instance of a task runs.

        Raises
        ------
        NoRunner
            If nothing says so, and the storage is shared.
        UnknownKey
            If what was named is not registered.
        """
        if name := config.using:
            return RunnerChoice(task_runners.get_class(name), "the task's 'using'")
        if name := self.storage.runner:
            return RunnerChoice(task_runners.get_class(name), "the handle (runner=…)")
        if name := self.default_task_runner_name:
            source = f"{type(self).__name__}.default_task_runner_name"
            return RunnerChoice(task_runners.get_class(name), source)
        if runners.DEFAULT_TASK_RUNNER is not None:
            return RunnerChoice(runners.DEFAULT_TASK_RUNNER, "DEFAULT_TASK_RUNNER")
        if name := settings.runner_name():
            return RunnerChoice(task_runners.get_class(name), "TRIGGERS_RUNNER")
        if name := self.storage.fallback_runner:
            return RunnerChoice(task_runners.get_class(name), "the worker that it comes from")
        if self.storage.store.embedded:
            return RunnerChoice(task_runners.get_class("threading"), "the embedded storage")
        raise NoRunner(
            f"nothing says where work of session {self.storage.uid!r} in {self.storage.store.url} runs: give the task "
            "'using', set default_task_runner_name on the manager, or set TRIGGERS_RUNNER (for example 'celery')"
        )

    def check_runners(self, step: Step, session: Slice) -> None:
        """Refuse, before the commit, what could never be handed over.

        Raises
        ------
        NoRunner, HandoverRefused, UnknownKey, SettingError, TaskNotFound
            Saying why.
        """
        if self.storage.handover == "defer":
            if step.scheduled and not self.storage.store.embedded:
                refuse_local_classes(self)
            return
        for task in {record.task for record in step.scheduled}:
            config: rec.ConfigRecord = step.records.get(rec.CONFIG + task) or session.get(rec.CONFIG + task)  # type: ignore[assignment]
            choice = self.choose_runner(config)
            if not choice.runner.crosses_processes:
                settings.heartbeat_s()  # what the work will run under: a lease that makes no sense is told now
            if (
                self.storage.refuse_threading
                and not choice.runner.crosses_processes
                and choice.source != "the handle (runner=…)"
            ):
                raise NoRunner(
                    f"work on the shared storage {self.storage.store.url} would run in this process, "
                    f"by {choice.source}. "
                    "Say runner='threading' if that is what you want, runner='celery' to send it to the workers, or "
                    "handover='defer' to leave it to them"
                )
            runner = choice.runner()
            runner.check(self, config.run)
            if self.storage.watch is not None and self.storage.watch.is_step:
                runner.resolve(config.run)  # people at a notebook had rather be told than make new failures

    def hand_over(self, instances: Sequence[TaskInstance], retry_s: float = 0.0) -> list[Exception]:
        """Hand scheduled instances over to their runners, each whatever becomes of the others.

        Parameters
        ----------
        instances : sequence of TaskInstance
            What is to run.
        retry_s : float
            Seconds after which one that could not be handed over is due for `recover`.

        Returns
        -------
        list of Exception
            What went wrong; those instances stay pending.
        """
        errors: list[Exception] = []
        for instance in instances:
            try:
                if self.storage.take is not None:
                    self.storage.take(instance)
                else:
                    self.choose_runner(instance.config).runner().run(self, instance)
            except TaskNotFound as error:
                self._fail_scheduled(instance.name, error)
            except Exception as error:
                logger.error(
                    "instance %s of session %r could not be handed over", instance.name, self.storage.uid, exc_info=True
                )
                self._try_again(HANDOVER + instance.name, retry_s)
                errors.append(error)
        return errors

    def _try_again(self, item: str, delay_s: float) -> None:
        try:
            self.storage.store.postpone(self.storage.uid, item, delay_s)
        except StorageError as error:
            logger.warning("%s of session %r stays due as it was: %s", item, self.storage.uid, error)

    def _fail_scheduled(self, name: str, error: Exception) -> None:
        failure = describe(error)
        try:
            self._change("fail", lambda work: transitions.fail_scheduled(work, name, failure), in_worker=True)
        except (StorageError, InvalidStatus) as trouble:
            logger.warning("instance %s of session %r could not be failed: %s", name, self.storage.uid, trouble)

    # Calling hooks ------------------------------------------------------------------------------------------------

    def _call_hooks(
        self, calls: Sequence[HookCall], instances: Mapping[str, TaskInstance], item: str
    ) -> list[Exception | SystemExit]:
        """Call hooks in order; `item` is what recovery would find meanwhile."""
        store, uid, grace_s = self.storage.store, self.storage.uid, settings.grace_s()
        with keep_alive(store, uid, item, grace_s, grace_s / 3):
            errors = self._call_each(calls, instances)
        try:
            store.settle(uid, item)
        except StorageError as error:
            logger.warning("recovery will call the hooks of session %r once more: %s", uid, error)
        return errors

    def _call_each(
        self, calls: Sequence[HookCall], instances: Mapping[str, TaskInstance]
    ) -> list[Exception | SystemExit]:
        """Call hooks, each whatever becomes of the others; one that exits has failed, and does not end recovery."""
        errors: list[Exception | SystemExit] = []
        for call in calls:
            try:
                self._call_hook(call, instances)
            except (Exception, SystemExit) as error:
                self._record_hook_error(call, error)
                errors.append(error)
        return errors

    def _call_hook(self, call: HookCall, instances: Mapping[str, TaskInstance]) -> None:
        arguments: tuple[Any, ...] = (instances.get(call.target),)
        if call.hook == "_post_fire":
            arguments = (call.target, [instances[name] for name in call.scheduled])
        elif call.hook == "_post_skip":
            arguments += (call.cascade,)
        answer = getattr(self, call.hook)(*arguments)
        if inspect.iscoroutine(answer):
            answer.close()
            raise TypeError(f"{call.hook} of this {type(self).__qualname__} is async, and did not run. {_ASYNC_HOOK}")

    def _record_hook_error(self, call: HookCall, error: BaseException) -> None:
        if self.storage.take is None:  # else it is only tried out
            logger.error("%s of session %r failed on %r", call.hook, self.storage.uid, call.target, exc_info=error)
        failure = describe(error)
        try:
            self.storage.transact(
                "hook_error",
                lambda work: work.refuse_missing_session() or work.change("hook", call.hook, cause=call.target),  # type: ignore[func-returns-value]
                error=f"{failure.type}: {failure.message}",
            )
        except Exception:
            logger.exception("the error of %s could not be recorded", call.hook)

    # Recovering ---------------------------------------------------------------------------------------------------

    def recover(self) -> dict[str, str]:
        """Take up what a crash left behind in this session, as far as it is due.

        Hands over again what nobody has started, calls hooks that have not been called, and fails as `WorkerLost` what
        a dead worker was running. Safe from several places at once.

        Returns
        -------
        dict of str to str
            What was found: the item, and what was done, one of ``handed over``, ``hooks called``, ``worker lost``,
            ``failed: …``, ``nothing`` (somebody else did it) or ``out of reach`` (hooks of another class than this, or
            a task class that would run in this process, which does not know it).
        """
        store, uid = self.storage.store, self.storage.uid
        self.storage.refuse_read_only()
        now_us = store.now_us()
        done: dict[str, str] = {}
        for _, state in store.states([uid], (rec.HEAD,)):
            for item, due in sorted(state.due.items() if state else (), key=lambda pair: pair[1].due_us):
                if due.due_us <= now_us:
                    done[item] = self.recover_item(item, due)
        return done

    def recover_item(self, item: str, due: DueItem) -> str:
        """Take up one due item; see `recover`."""
        try:
            if item.startswith(HANDOVER):
                return self._recover_handover(item, due)
            if item.startswith(LEASE):
                return self._recover_lease(item, due)
            return self._recover_hooks(item, due)
        except Exception as error:
            logger.exception("%s of session %r could not be recovered", item, self.storage.uid)
            return f"failed: {type(error).__name__}: {error}"

    def _recover_handover(self, item: str, due: DueItem) -> str:
        store, uid = self.storage.store, self.storage.uid
        instance = self.storage[item[len(HANDOVER) :]]
        if instance.status != "scheduled":
            store.settle(uid, item)
            return "nothing"
        if (unknown := self._find_unknown(instance)) is not None:
            logger.error("instance %s of session %r cannot be recovered here: %s", instance.name, uid, unknown)
            return OUT_OF_REACH
        scheduled_us = rec.to_us(instance.scheduled_at) if instance.scheduled_at else due.due_us
        waiting_s = (store.now_us() - scheduled_us) / 1e6 - instance.cooldown
        delay_s = min(max(settings.grace_s(), waiting_s), MAX_BACKOFF_S) + max(0.0, -waiting_s)
        if not store.postpone(uid, item, delay_s, due_us=due.due_us):
            return "nothing"
        errors = self.hand_over([instance], delay_s)
        return f"failed: {type(errors[0]).__name__}: {errors[0]}" if errors else "handed over"

    def _find_unknown(self, instance: TaskInstance) -> TaskNotFound | None:
        """Say that its class would have to run here and is unknown: whoever scheduled it may know it."""
        try:
            self.choose_runner(instance.config).runner().resolve(instance.config.run)
        except TaskNotFound as error:
            return error
        except (NoRunner, RegistryError):
            return None  # the hand-over tells
        return None

    def _recover_lease(self, item: str, due: DueItem) -> str:
        if not self.storage.store.postpone(self.storage.uid, item, settings.grace_s(), due_us=due.due_us):
            return "nothing"
        failure = describe(WorkerLost("the worker that ran it died, or gave no sign of life until its lease ran out"))
        if self.fail_running(item[len(LEASE) :], due.data, failure):
            return "worker lost"
        self.storage.store.settle(self.storage.uid, item)
        return "nothing"

    def fail_running(self, name: str, token: bytes, failure: transitions.Failure) -> bool:
        """Fail an instance that the holder of `token` was running; False if it has moved on."""
        failed = False

        def decide(work: Work) -> None:
            nonlocal failed
            failed = transitions.fail_lost(work, name, token, failure)

        self._change("worker_lost", decide, instance=name, in_worker=True)
        return failed

    def _recover_hooks(self, item: str, due: DueItem) -> str:
        calls, hooked = decode_hooks(due.data), hooks_of(type(self), vars(self))
        if type(self) is TriggerManager and not hooked.issuperset([call.hook for call in calls]):
            logger.error(
                "session %r: %s stays due: its hooks are those of a manager that the session does not remember, as its "
                "class is registered under no key (or they were set on the object). Register it, or call recover() on "
                "such a manager", self.storage.uid, item,
            )  # fmt: skip
            return OUT_OF_REACH
        if not self.storage.store.postpone(self.storage.uid, item, settings.grace_s(), due_us=due.due_us):
            return "nothing"
        names = {name for call in calls for name in (call.scheduled if call.hook == "_post_fire" else (call.target,))}
        errors = self._call_hooks(calls, {name: self.storage[name] for name in names}, item)
        return f"failed: {type(errors[0]).__name__}: {errors[0]}" if errors else "hooks called"

    # Reading back -------------------------------------------------------------------------------------------------

    def _instance_of(self, outcome: Outcome, record: InstanceRecord) -> TaskInstance:
        config = outcome.step.records.get(rec.CONFIG + record.task) or self._config_record(outcome, record.task)
        seq = outcome.committed.seq if outcome.committed else 0
        task = TaskConfig.from_record(record.task, config)  # type: ignore[arg-type]
        return TaskInstance.from_record(record, task, seq, self.storage.uid)

    def _config_record(self, outcome: Outcome, task: str) -> rec.ConfigRecord:
        loaded = outcome.session.cells.get(rec.CONFIG + task)
        if loaded is not None and loaded.record is not None:
            return loaded.record  # type: ignore[return-value]
        view = self.storage.store.read(self.storage.uid, (rec.CONFIG + task,), follow=False)
        assert view is not None
        return rec.decode_record(rec.CONFIG, view.cells[rec.CONFIG + task].data)  # type: ignore[return-value]

    def _name_of(self, instance: object) -> str:
        if isinstance(instance, str):
            return instance
        if not isinstance(instance, TaskInstance):
            raise TypeError(f"expected an instance's name or a TaskInstance, found {instance!r}")
        if instance.session_uid not in (None, self.storage.uid):
            raise ValueError(
                f"instance {instance.name!r} is one of session {instance.session_uid!r}, this manager controls session "
                f"{self.storage.uid!r}: use the manager of that session, or pass the name alone"
            )
        return instance.name

    def _instance_after(self, outcome: Outcome, name: str) -> TaskInstance:
        record = outcome.step.records.get(rec.INSTANCE + name)
        return self.storage[name] if record is None else self._instance_of(outcome, record)  # type: ignore[arg-type]


#: Trigger managers by entry point.
trigger_managers: Registry[TriggerManager] = Registry("triggers.managers", TriggerManager)


#: The hooks of a manager that overrides none, whatever is patched later.
_NO_HOOKS = {name: getattr(TriggerManager, name) for name in HOOK_NAMES}


def hooks_of(cls: type[TriggerManager], own: Container[str] = ()) -> frozenset[str]:
    """Names of the hooks that a class overrides, or that are among what was set on the object itself (`own`)."""
    return frozenset([name for name in HOOK_NAMES if name in own or getattr(cls, name) is not _NO_HOOKS[name]])


def overridden_methods(cls: type[TriggerManager]) -> tuple[str, ...]:
    """Public methods that a class overrides although cascades do not go through them, sorted."""
    public = (name for name, value in vars(TriggerManager).items() if callable(value) and not name.startswith("_"))
    return tuple(sorted(name for name in public if getattr(cls, name) is not getattr(TriggerManager, name)))


def refuse_local_classes(manager: TriggerManager) -> None:
    """Refuse to leave work to another process that would not find the manager's or the storage's class.

    Raises
    ------
    HandoverRefused
        If one of them is registered under no key, or in this process only.
    """
    for registry, owner in ((trigger_managers, manager), (storage_backends, manager.storage)):
        key = registry.key_of(type(owner))
        if key is None or registry.is_local(key):
            known = "is registered under no key" if key is None else f"is registered as {key!r} in this process only"
            raise HandoverRefused(
                f"{type(owner).__qualname__} {known}: a worker could not find it. "
                f"Register it under the entry-point group {registry.group!r} of an installed distribution"
            )


#: Classes that were warned about.
_warned: WeakSet[type[TriggerManager]] = WeakSet()


def _warn_of_overrides(cls: type[TriggerManager]) -> None:
    if cls in _warned:
        return
    _warned.add(cls)
    if names := overridden_methods(cls):
        warnings.warn(
            f"{cls.__qualname__} overrides {', '.join(names)}: that runs for direct calls, not for cascades. "
            f"Override a hook instead ({', '.join(HOOK_NAMES)}).",
            ManagerOverrideWarning,
            stacklevel=3,
        )


class ManagerOverrideWarning(UserWarning):
    """A custom manager overrides a method that cascades do not go through."""


def _cells_around(instance: str | None) -> tuple[str, ...]:
    """Cells that a change of an instance, and the cascade of its end, look at."""
    parts = None if instance is None else rec.split_instance_name(instance)
    if instance is None or parts is None:
        return ()
    return (rec.INSTANCE + instance, *(kind + parts[0] for kind in (rec.CONFIG, rec.TASK, rec.TRIGGER, rec.LATEST)))


def _refuse_damaged(work: Work, instance: str) -> None:
    """Raise, before the commit, if the instance could not be read after it; nothing else is decided by its task."""
    parts = rec.split_instance_name(instance)
    loaded = work.session.cells.get(rec.CONFIG + parts[0]) if parts else None
    if loaded is None or parts is None:
        return
    if loaded.record is None:
        raise StorageError(f"session {work.session.uid!r} is damaged: the configuration of {instance!r} is missing")
    TaskConfig.from_record(parts[0], loaded.record)  # type: ignore[arg-type]
