"""Tasks: what an application writes, and how an instance of it runs."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from decimal import Decimal
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

from triggers_nb import settings
from triggers_nb.core import transitions
from triggers_nb.core.codec import decode_value, encode_mapping, encode_value
from triggers_nb.core.failures import describe
from triggers_nb.core.instances import MAX_COOLDOWN_S, TaskInstance
from triggers_nb.core.metadata import parse_metadata
from triggers_nb.core.records import Raw
from triggers_nb.core.status import FAILED, SKIPPED
from triggers_nb.core.transitions import Failure
from triggers_nb.core.work import LEASE, HookCall, Work
from triggers_nb.errors import (
    ClaimRefused,
    CommitConflict,
    InvalidStatus,
    InvalidValue,
    MaxRetriesExceeded,
    TaskNotFound,
    brief,
    suggest,
    with_context,
)
from triggers_nb.manager import HOOK_NAMES, TriggerManager, trigger_managers
from triggers_nb.storages.drafts import encode_kwargs
from triggers_nb.storages.leases import keep_alive

if TYPE_CHECKING:
    LoggerAdapter = logging.LoggerAdapter[logging.Logger]
else:
    LoggerAdapter = logging.LoggerAdapter

logger = logging.getLogger("triggers_nb.task")

#: The highest level of a message that is kept; what is above counts as this.
MAX_LEVEL = 2**31 - 1

#: Task classes by name; a class is in here once it is defined.
_task_classes: dict[str, type[TriggerTask]] = {}
#: Called with each class that is defined.
_watchers: list[Callable[[type[TriggerTask]], object]] = []


class StatusChange(Exception):
    """Raised by a task to end with another status than *finished* or *failed*; made by `TriggerTask.skip`."""

    def __init__(self, status: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(status)
        if metadata is not None and not isinstance(metadata, Mapping):
            raise TypeError(f"metadata={brief(metadata)}: expected a mapping with string keys, or None")
        self.status = status
        self.metadata = dict(metadata or {})


class Retry(StatusChange):
    """Raised by a task to fail and be replayed; made by `TriggerTask.retry`."""

    def __init__(
        self,
        metadata: Mapping[str, Any] | None = None,
        replacement_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
        cooldown: float | None = None,
        failure: Failure | None = None,
    ) -> None:
        super().__init__(FAILED, metadata)
        number: object = cooldown
        if number is not None and not isinstance(number, (Real, Decimal)):
            raise TypeError(f"cooldown={brief(cooldown)}: expected a number of seconds, or None")
        if cooldown is not None and not 0 <= cooldown < MAX_COOLDOWN_S:
            raise ValueError(f"cooldown is a number of seconds, 0 <= cooldown < 1e9, or None; not {cooldown!r}")
        self.replacement_kwargs = replacement_kwargs
        self.cooldown = cooldown
        self.failure = failure


class TaskRequest:
    """What a task knows of its own start."""

    def __init__(self, retries: int = 0) -> None:
        #: How often the task has retried itself since it was started from outside.
        self.retries = retries


class TriggerTask:
    """Base of an application's tasks: implement `_run`.

    Defining a subclass makes it known under its `name` in this process; defining it again replaces it.

    Attributes
    ----------
    name : str
        What ``run`` in a configuration says; module and class by default.
    max_retries : int
        How often the task may retry itself.

    Examples
    --------
    >>> class CountSeats(TriggerTask):
    ...     name = "example.CountSeats"
    ...
    ...     def _run(self, context):
    ...         return {"seats": context.trigger_kwargs["scheduled"]["rows"] * 6}
    >>> find_task("example.CountSeats") is CountSeats
    True
    """

    name: ClassVar[str]
    max_retries: int = 3
    #: Whether subclasses become known when they are defined.
    is_registered: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in vars(cls):
            cls.name = f"{cls.__module__}.{cls.__name__}"
        if not isinstance(cls.name, str) or not cls.name:
            raise ValueError(f"task class {cls.__qualname__}: name={brief(cls.name)}, expected a non-empty string")
        if not isinstance(cls.max_retries, int) or isinstance(cls.max_retries, bool) or cls.max_retries < 0:
            raise ValueError(
                f"task class {cls.__qualname__}: max_retries={brief(cls.max_retries)}, expected a number from 0 on"
            )
        if cls._run is not TriggerTask._run and cls.is_registered:
            _task_classes[cls.name] = cls
            for watcher in _watchers:
                watcher(cls)

    def __init__(self) -> None:
        self.request = TaskRequest()

    def _run(self, context: TaskContext) -> Mapping[str, Any] | None:
        """Do the work.

        Parameters
        ----------
        context : TaskContext
            What the instance was given.

        Returns
        -------
        Mapping or None
            The result; the kwargs with which the task's name is fired.
        """
        raise NotImplementedError(f"{type(self).__name__} does not implement _run")

    @staticmethod
    def skip(metadata: Mapping[str, Any] | None = None) -> StatusChange:
        """Make the exception that ends this instance as *skipped*: ``raise self.skip({"why": "no seats"})``."""
        return StatusChange(SKIPPED, metadata)

    def retry(
        self,
        exc: BaseException | None = None,
        metadata: Mapping[str, Any] | None = None,
        replacement_kwargs: Mapping[str, Mapping[str, Any]] | None = None,
        cooldown: float | None = None,
    ) -> Retry:
        """Make the exception that fails this instance and replays it: ``raise self.retry(exc=error, cooldown=60)``.

        Parameters
        ----------
        exc : BaseException, optional
            What went wrong, recorded with the instance.
        metadata : Mapping, optional
            Merged into the instance's.
        replacement_kwargs : Mapping, optional
            Replaces the kwargs of all triggers; None keeps them.
        cooldown : float, optional
            Seconds to wait before the replay starts.

        Raises
        ------
        MaxRetriesExceeded
            If the task has retried itself `max_retries` times; the instance then fails with this.
        TypeError
            If `exc` is no exception.
        """
        if exc is not None and not isinstance(exc, BaseException):
            raise TypeError(f"exc={brief(exc)}: expected an exception, or None")
        retry = Retry(metadata, replacement_kwargs, cooldown, describe(exc) if exc is not None else None)
        self.check_retries(retry, exc)
        return retry

    def check_retries(self, retry: Retry, cause: BaseException | None = None) -> None:
        """Raise `MaxRetriesExceeded` if the task has used up its own retries."""
        if self.request.retries >= self.max_retries:
            raise with_context(
                MaxRetriesExceeded(f"retry {self.request.retries + 1} of {self.name}, which allows {self.max_retries}"),
                {"replay_metadata": retry.metadata},
            ) from cause


class TaskContext:
    """What an instance was given to run with.

    Attributes
    ----------
    manager : TriggerManager
        The session's manager, of the class that controls it in production.
    instance_name : str
        The instance.
    trigger_kwargs : dict of str to dict
        Kwargs of each trigger, merged over ``withParams``.
    log_level : int
        Highest level logged so far.

    Examples
    --------
    >>> from triggers_nb import CacheStorageBackend, TaskContext, TriggerManager, TriggerTask, task_runners
    >>> class Greet(TriggerTask):
    ...     name = "example.Greet"
    ...
    ...     def _run(self, context: TaskContext) -> dict:
    ...         with context.get_logger_context() as log:
    ...             log.debug("run as %s", context.instance_name)
    ...         return {"said": f"Hello, {context.trigger_kwargs['arrived']['guest']}"}
    >>> manager = TriggerManager(CacheStorageBackend("greeting", "memory://context-example"))
    >>> manager.update_configuration({"t_greet": {"after": ["arrived"], "run": "example.Greet"}})
    >>> instances = manager.fire("arrived", {"guest": "Ann"})
    >>> task_runners.get_class("threading").join_all()
    >>> manager.storage["t_greet#0"].metadata["result"], manager.storage["t_greet#0"].log_level
    ({'said': 'Hello, Ann'}, 10)
    """

    def __init__(self, manager: TriggerManager, instance_name: str, trigger_kwargs: dict[str, Any]) -> None:
        self.manager = manager
        self.instance_name = instance_name
        self.trigger_kwargs = trigger_kwargs
        self.log_level = logging.NOTSET

    @property
    def task_instance(self) -> TaskInstance:
        """The instance, as it is stored now."""
        return self.manager.storage[self.instance_name]

    @contextmanager
    def get_logger_context(
        self, logger: logging.Logger | None = None, context: Mapping[str, Any] | None = None
    ) -> Iterator[LoggerAdapter]:
        """Yield a logger; the highest level that it is used at becomes the instance's ``logLevel``.

        Parameters
        ----------
        logger : logging.Logger, optional
            Where messages go; ``triggers.task`` by default.
        context : Mapping, optional
            Facts added to each record, as its attribute ``context``.

        Notes
        -----
        An exception that leaves the block is logged at level ERROR.
        """
        adapter = _LevelLogger(logger or logging.getLogger("triggers.task"), {"context": dict(context or {})}, self)
        try:
            yield adapter
        except StatusChange:
            raise
        except Exception as error:
            adapter.exception("%s", error)
            raise

    def filter_kwargs(self, filters: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Check and convert the triggers' kwargs with the ``filters`` library (the extra ``filters``).

        Parameters
        ----------
        filters : Mapping
            For each trigger, a filter for each of its kwargs.

        Returns
        -------
        dict
            The filtered kwargs of each trigger.

        Raises
        ------
        ValueError
            If a value does not pass; its ``context`` has the details.
        """
        try:
            import filters as f
        except ImportError as error:
            raise ImportError('filter_kwargs needs the filters library: pip install "triggers-nb[filters]"') from error
        mapper = {key: f.Optional(default={}) | f.FilterMapper(inner) for key, inner in filters.items()}
        runner = f.FilterRunner(
            f.FilterMapper(mapper, allow_missing_keys=True, allow_extra_keys=True), self.trigger_kwargs or {}
        )
        if not runner.is_valid():
            raise with_context(
                ValueError(f"invalid trigger kwargs: {runner.errors}"),
                {"filter_errors": runner.get_errors(with_context=True)},
            )
        cleaned: dict[str, Any] = runner.cleaned_data
        return cleaned


class _LevelLogger(LoggerAdapter):
    """Notes the highest level that is logged through it."""

    def __init__(self, target: logging.Logger, extra: Mapping[str, object], context: TaskContext) -> None:
        super().__init__(target, extra)
        self._context = context

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        if not isinstance(level, int):
            raise TypeError(f"level={brief(level)}: expected a number such as logging.ERROR")
        self._context.log_level = max(self._context.log_level, min(level, MAX_LEVEL))
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        super().log(level, msg, *args, **kwargs)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        kwargs["extra"] = {**(self.extra or {}), **(kwargs.get("extra") or {})}
        return msg, kwargs


def find_task(name: str) -> type[TriggerTask]:
    """Find the task class of a name.

    Raises
    ------
    TaskNotFound
        If none is defined in this process.
    """
    try:
        return _task_classes[name]
    except KeyError:
        if any(each.name == name for each in _subclasses(TriggerTask) if each.is_registered):
            raise TaskNotFound(f"task class {name!r} defines no _run, so it cannot be run: implement it") from None
        near = suggest(name, _task_classes) or "."
        raise TaskNotFound(
            f"no task class {name!r} is defined in this process{near} "
            "Import the module that defines it where the work runs"
        ) from None


def _subclasses(cls: type[TriggerTask]) -> Iterator[type[TriggerTask]]:
    for each in cls.__subclasses__():
        yield each
        yield from _subclasses(each)


def watch_tasks(watcher: Callable[[type[TriggerTask]], object]) -> None:
    """Call `watcher` with every task class that is defined in this process, now and later."""
    _watchers.append(watcher)
    for task_class in list(_task_classes.values()):
        watcher(task_class)


def rebuild_manager(manager: TriggerManager, runner: str) -> TriggerManager:
    """Make the manager for an instance that runs in this process: of the registered class, on a handle of its own."""
    key = trigger_managers.key_of(type(manager))
    cls = type(manager) if key is None else trigger_managers.get_class(key)
    storage = manager.storage.for_worker(worker_actor(runner))
    rebuilt = cls(storage, allow_manager_change=True) if manager.allow_manager_change else cls(storage)
    vars(rebuilt).update({name: hook for name, hook in vars(manager).items() if name in HOOK_NAMES})
    return rebuilt


def worker_actor(runner: str) -> str:
    """Who commits what a running instance does."""
    return f"{runner}:{socket.gethostname()}:{os.getpid()}"


class OtherTaskStored(ClaimRefused):
    """Raised by a claim for a task class that is no longer, or never was, the one that the configuration names."""


def run_instance(
    manager: TriggerManager,
    instance_name: str,
    task_class: type[TriggerTask],
    token: bytes | None = None,
    run: str | None = None,
) -> None:
    """Run a scheduled instance here and now: claim it, run its body, commit how it ended.

    A second delivery of the same work, and a result that comes too late, are logged and dropped. An instance that is to
    run another class, by what is stored now, is handed over anew.

    Parameters
    ----------
    manager : TriggerManager
        The session's manager, on a handle of its own.
    instance_name : str
        The instance.
    task_class : type of TriggerTask
        What to run.
    token : bytes, optional
        Identifies this run; random by default.
    run : str, optional
        What the configuration must name for `task_class` to run; by default it is not asked.

    Raises
    ------
    UnknownSession, UnknownInstance
        If there is nothing of that name to run.
    BaseException
        What the body raised that is no `Exception`, after the instance has failed with it.
    """
    own = InstanceRun(manager, instance_name, task_class, token, run)
    try:
        own.claim()
    except OtherTaskStored as refusal:
        logger.warning("%s", refusal)
        manager.hand_over([manager.storage[instance_name]])
        return
    except ClaimRefused as refusal:
        logger.info("%s", refusal)
        return
    store, uid = manager.storage.store, manager.storage.uid
    with keep_alive(store, uid, LEASE + instance_name, own.lease_s, own.heartbeat_s):
        own.body()


class InstanceRun:
    """One run of an instance: `claim` it, then let its `body` run and end it."""

    def __init__(
        self,
        manager: TriggerManager,
        name: str,
        task_class: type[TriggerTask],
        token: bytes | None = None,
        run: str | None = None,
    ) -> None:
        self.manager, self.name, self.run = manager, name, run
        self.task = task_class()
        self.token = token or os.urandom(16)
        self.lease_s, self.heartbeat_s = settings.lease_s(), settings.heartbeat_s()
        self.kwargs: dict[str, Any] = {}

    def claim(self) -> None:
        """Start the instance, and learn its kwargs.

        Raises
        ------
        ClaimRefused
            If it may not start.
        OtherTaskStored
            If it is to run another class.
        """

        def decide(work: Work) -> None:
            record = work.instance(self.name)
            config = work.config(record.task)
            params = decode_value(config.with_params)
            kwargs = {trigger: decode_value(raw) for trigger, raw in record.kwargs.items()}
            self.kwargs = merge(params, kwargs)
            self.task.request.retries = record.retries
            metadata = {"actualKwargs": Raw(encode_mapping(self.kwargs, "kwargs", depth=-1))}
            transitions.claim(work, self.name, self.token, self.lease_s, metadata)
            if self.run not in (None, config.run):
                raise OtherTaskStored(
                    f"instance {self.name!r} of session {work.session.uid!r} was sent to {self.run!r}, and is to run "
                    f"{config.run!r} by its configuration: it does not start, and is handed over anew"
                )

        self.manager._change("claim", decide, instance=self.name, in_worker=True)

    def body(self) -> None:
        """Run the task, and commit how it ended."""
        context = TaskContext(self.manager, self.name, self.kwargs)
        try:
            result = Raw(encode_mapping(self._result(self.task._run(context)), "result"))
        except Retry as retry:
            self._end_with_retry(retry, context.log_level)
        except StatusChange as change:
            self._change_status(change, context.log_level)
        except BaseException as error:
            self._fail(error, context.log_level)
            if not isinstance(error, Exception):
                raise
        else:
            level = context.log_level
            self._end("finish", lambda work: transitions.finish(work, self.name, self.token, result, level))

    def _result(self, result: Any) -> Any:
        if result is not None and not isinstance(result, Mapping):
            raise with_context(
                ValueError(
                    f"{type(self.task).__name__}._run returned {type(result).__name__}; expected a mapping or None, "
                    "because the result becomes the kwargs of a firing"
                ),
                {"actual_result": result},
            )
        return result

    def _end_with_retry(self, retry: Retry, log_level: int) -> None:
        try:
            self.task.check_retries(retry)  # it may have been made without `TriggerTask.retry`
        except MaxRetriesExceeded as error:
            self._fail(error, log_level)
        else:
            self._end("retry", lambda work: self._retry(work, retry, log_level))

    def _retry(self, work: Work, retry: Retry, log_level: int) -> None:
        own = parse_metadata(retry.metadata)
        kwargs = (
            None if retry.replacement_kwargs is None else encode_kwargs(retry.replacement_kwargs, "replacement_kwargs")
        )
        cooldown_s = float(retry.cooldown or 0)
        clone = transitions.retry_running(
            work, self.name, self.token, retry.failure, own, kwargs,
            cooldown_s, Raw(encode_value(retry.cooldown)), log_level,
        )  # fmt: skip
        work.call_hook(HookCall("_post_replay", clone.name))

    def _change_status(self, change: StatusChange, log_level: int) -> None:
        if change.status == SKIPPED:
            self._end("skip", lambda work: self._skip(work, change, log_level))
        else:
            self._fail(
                InvalidStatus(f"a running task can only become skipped by itself, not {change.status!r}"), log_level
            )

    def _skip(self, work: Work, change: StatusChange, log_level: int) -> None:
        own = parse_metadata(change.metadata)
        transitions.skip_running(work, self.name, self.token, own, log_level)

    def _fail(self, error: BaseException, log_level: int) -> None:
        failure = describe(error, log_level)
        self._end("fail", lambda work: transitions.fail(work, self.name, self.token, failure))

    def _end(self, action: str, decide: Callable[[Work], object]) -> None:
        try:
            self._commit_end(action, decide)
        except ClaimRefused as refusal:
            logger.warning("%s", refusal)
        except InvalidValue as error:
            # Metadata or kwargs of a retry or skip that cannot be stored.
            self._fail(error, logging.NOTSET)

    def _commit_end(self, action: str, decide: Callable[[Work], object]) -> None:
        """Commit how the instance ended; as long as its lease stands, what was done is not lost to a lock."""
        while True:
            try:
                self.manager._change(action, decide, instance=self.name, in_worker=True)
                return
            except CommitConflict as conflict:
                logger.warning("%s; instance %s tries again", conflict, self.name)


def merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge mappings deeply; `over` wins."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged
