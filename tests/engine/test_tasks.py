"""What becomes of an instance is what its task does, and nothing that comes late."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest

from triggers_nb.core.codec import MAX_DEPTH
from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.work import HANDOVER, LEASE
from triggers_nb.errors import MaxRetriesExceeded, TaskNotFound, UnknownInstance, UnknownSession, with_context
from triggers_nb.manager import TriggerManager
from triggers_nb.patcher import AttrPatcher
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.store import Store
from triggers_nb.task import (
    MAX_LEVEL,
    Retry,
    StatusChange,
    TaskContext,
    TriggerTask,
    find_task,
    rebuild_manager,
    run_instance,
)

Body = Callable[[TriggerTask, TaskContext], Any]


@pytest.fixture
def run(manager: TriggerManager, define: Callable[..., str], join: Callable[[], None]) -> Callable[..., TaskInstance]:
    """Fire ``go`` on a task with that body; return its first instance when all has run."""

    def run(body: Body, kwargs: Any = None, with_params: Any = None, **attributes: Any) -> TaskInstance:
        name = define(body, **attributes)
        manager.update_configuration({"t_a": {"after": ["go"], "run": name, "withParams": with_params}})
        with AttrPatcher(ThreadingTaskRunner, respect_cooldown=False):
            manager.fire("go", kwargs)
            join()
        return manager.storage["t_a#0"]

    return run


def raising(error: BaseException) -> Body:
    def body(task: TriggerTask, context: TaskContext) -> Any:
        raise error

    return body


# What it is given


def test_a_task_gets_the_kwargs_of_its_triggers(run: Callable[..., TaskInstance]) -> None:
    given = []
    instance = run(lambda task, context: given.append(context.trigger_kwargs), {"n": 1})
    assert given == [{"go": {"n": 1}}]
    assert instance.metadata["actualKwargs"] == {"go": {"n": 1}}


def test_static_params_are_merged_under_them(run: Callable[..., TaskInstance]) -> None:
    params = {"go": {"deep": {"a": 1, "b": 1}, "n": 1, "list": [1]}, "extra": {"x": 1}}
    instance = run(lambda task, context: None, {"deep": {"b": 2}, "n": {"no": "dict below"}, "list": [2]}, params)
    assert instance.metadata["actualKwargs"] == {
        "go": {"deep": {"a": 1, "b": 2}, "n": {"no": "dict below"}, "list": [2]},
        "extra": {"x": 1},
    }
    assert instance.kwargs == {"go": {"deep": {"b": 2}, "n": {"no": "dict below"}, "list": [2]}}
    assert instance.config.with_params == params


def test_what_a_task_does_to_its_kwargs_stays_there(run: Callable[..., TaskInstance], manager: TriggerManager) -> None:
    def scribble(task: TriggerTask, context: TaskContext) -> None:
        context.trigger_kwargs["go"]["list"].append("scribbled")
        context.trigger_kwargs["more"] = object()

    instance = run(scribble, {"list": []}, {"params": {"list": []}})
    assert instance.kwargs == {"go": {"list": []}}
    assert instance.metadata["actualKwargs"] == {"go": {"list": []}, "params": {"list": []}}
    assert manager.storage.latest_kwargs["go"] == {"list": []}


def test_a_task_sees_its_own_instance_and_manager(run: Callable[..., TaskInstance]) -> None:
    seen: list[Any] = []

    def look(task: TriggerTask, context: TaskContext) -> None:
        seen.append((context.task_instance.status, context.instance_name, type(context.manager)))
        seen.append(sorted(context.task_instance.metadata["timestamps"]))

    run(look)
    assert seen == [
        ("running", "t_a#0", TriggerManager),
        ["created", "lastModified", "running", "scheduled", "unstarted"],
    ]


def test_kwargs_may_nest_as_deep_as_values_may(run: Callable[..., TaskInstance]) -> None:
    value: Any = {}
    for _ in range(MAX_DEPTH - 1):
        value = {"a": value}
    assert run(lambda task, context: context.trigger_kwargs["go"], value).metadata["result"] == value


# What it returns


@pytest.mark.parametrize("result", [None, {}, {"n": 1, "on": datetime(2013, 2, 8, tzinfo=UTC), "set": {1, 2}}])
def test_what_it_returns_is_the_result_and_the_kwargs_of_the_cascade(
    run: Callable[..., TaskInstance], manager: TriggerManager, result: Any
) -> None:
    instance = run(lambda task, context: result)
    assert instance.status == "finished"
    assert instance.metadata["result"] == (result or {})
    assert manager.storage.latest_kwargs["t_a"] == (result or {})


def test_any_mapping_is_a_result(run: Callable[..., TaskInstance]) -> None:
    assert run(lambda task, context: MappingProxyType({"n": 1})).metadata["result"] == {"n": 1}


@pytest.mark.parametrize("result", [5, "text", [("n", 1)], {1}, True, object()])
def test_a_result_that_is_no_mapping_fails_the_instance(
    run: Callable[..., TaskInstance], manager: TriggerManager, result: Any
) -> None:
    instance = run(lambda task, context: result)
    assert instance.status == "failed"
    assert instance.metadata["exceptionType"] == "builtins.ValueError"
    assert f"returned {type(result).__name__}; expected a mapping" in instance.metadata["exceptionMessage"]
    assert "t_a" not in manager.storage.latest_kwargs


@pytest.mark.parametrize("result", [{"a": object()}, {"a": [float("nan")]}, {5: 1}, {"a": (1,)}])
def test_a_result_that_cannot_be_stored_fails_the_instance_and_says_why(
    run: Callable[..., TaskInstance], manager: TriggerManager, result: Any
) -> None:
    instance = run(lambda task, context: result)
    assert instance.status == "failed"
    assert instance.metadata["exceptionType"].endswith("InvalidValue")
    assert instance.metadata["exceptionMessage"].startswith("result[")
    assert "t_a" not in manager.storage.latest_kwargs


# What it raises


def test_an_exception_fails_the_instance_with_all_that_is_known_of_it(run: Callable[..., TaskInstance]) -> None:
    instance = run(raising(with_context(LookupError("no seats"), {"tail": "N338AA", "bad": object})))
    metadata = instance.metadata
    assert instance.status == "failed"
    assert metadata["exceptionType"] == "builtins.LookupError"
    assert metadata["exceptionMessage"] == "no seats"
    assert metadata["exceptionInfo"].startswith("Traceback (most recent call last):")
    assert "in body" in metadata["exceptionInfo"]
    assert metadata["exceptionContext"]["tail"] == "N338AA"
    assert metadata["exceptionContext"]["bad"] == "<class 'object'>"
    assert metadata["actualKwargs"] == {"go": {}}
    assert "result" not in metadata


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_ends_a_thread_fails_the_instance(run: Callable[..., TaskInstance], error: BaseException) -> None:
    instance = run(raising(error))
    assert instance.status == "failed"
    assert instance.metadata["exceptionType"] == f"builtins.{type(error).__name__}"


def test_the_thread_runner_survives_it(
    run: Callable[..., TaskInstance], manager: TriggerManager, join: Callable[[], None], define: Callable[..., str]
) -> None:
    run(raising(SystemExit(3)))
    define(lambda task, context: None)
    manager.replay_failed_instance("t_a#0")
    join()
    assert manager.storage["t_a#1"].status == "finished"


def test_it_is_raised_on_by_run_instance(
    manager: TriggerManager, define: Callable[..., str], statuses: Callable[[], dict[str, str]]
) -> None:
    manager.storage.handover = "defer"
    manager.update_configuration({"t_a": {"after": ["go"], "run": "app.Task"}})
    manager.fire("go")
    task_class = type("Exiting", (TriggerTask,), {"_run": raising(SystemExit(3))})
    with pytest.raises(SystemExit):
        run_instance(rebuild_manager(manager, "test"), "t_a#0", task_class)
    assert statuses() == {"t_a#0": "failed"}


def test_a_task_without_a_body_fails(run: Callable[..., TaskInstance], manager: TriggerManager) -> None:
    manager.storage.handover = "defer"
    manager.update_configuration({"t_a": {"after": ["go"], "run": "app.Task"}})
    manager.fire("go")
    run_instance(rebuild_manager(manager, "test"), "t_a#0", type("Empty", (TriggerTask,), {}))
    assert manager.storage["t_a#0"].metadata["exceptionType"] == "builtins.NotImplementedError"


def test_an_error_while_scheduling_the_cascade_leaves_the_instance_finished(
    run: Callable[..., TaskInstance], manager: TriggerManager
) -> None:
    manager.update_configuration({"t_b": {"after": ["t_a"], "run": "app.Task", "using": "no such runner"}})
    assert run(lambda task, context: {"n": 1}).status == "finished"
    assert manager.storage["t_b#0"].status == "scheduled"
    assert manager.storage["t_b#0"].kwargs == {"t_a": {"n": 1}}


# Skipping itself


def test_a_task_may_skip_itself(run: Callable[..., TaskInstance], manager: TriggerManager) -> None:
    def skip(task: TriggerTask, context: TaskContext) -> None:
        raise task.skip({"why": "no seats"})

    instance = run(skip)
    assert instance.status == "skipped"
    assert instance.metadata["why"] == "no seats"
    assert "t_a" not in manager.storage.latest_kwargs


@pytest.mark.parametrize("is_retry", [True, False])
def test_metadata_of_a_skip_or_retry_may_say_what_the_engine_says(
    run: Callable[..., TaskInstance], manager: TriggerManager, is_retry: bool
) -> None:
    own = {"logLevel": 50, "exceptionMessage": "busy", "depth": 7, "why": "no seats"}
    instance = run(raising(Retry(own) if is_retry else StatusChange("skipped", own)), max_retries=1)
    assert instance.metadata.items() >= own.items()
    assert manager.storage.counts()["l:50"] == 1


def test_a_task_cannot_give_itself_another_status(run: Callable[..., TaskInstance]) -> None:
    instance = run(raising(StatusChange("abandoned")))
    assert instance.status == "failed"
    assert "can only become skipped" in instance.metadata["exceptionMessage"]


@pytest.mark.parametrize(
    "change",
    [
        StatusChange("skipped", {"bad": object()}),
        StatusChange("skipped", {"logLevel": "high"}),
        Retry({"bad": object()}),
        Retry(replacement_kwargs={"go": {"bad": object()}}),
        Retry(replacement_kwargs={"": {}}),
        Retry(replacement_kwargs={5: {}}),  # type: ignore[dict-item]
    ],
)
def test_a_skip_or_retry_with_what_cannot_be_stored_fails_the_instance(
    run: Callable[..., TaskInstance], statuses: Callable[[], dict[str, str]], change: Exception
) -> None:
    instance = run(raising(change))
    assert instance.metadata["exceptionType"].endswith("InvalidValue")
    assert statuses() == {"t_a#0": "failed"}


@pytest.mark.parametrize("metadata", [[1], 5, "text"])
def test_metadata_of_a_skip_or_retry_is_a_mapping(metadata: Any) -> None:
    for make in (TriggerTask.skip, Retry):
        with pytest.raises(TypeError, match=r"^metadata=.*expected a mapping with string keys"):
            make(metadata)


# Retrying itself


def retrying(**arguments: Any) -> Body:
    def body(task: TriggerTask, context: TaskContext) -> Any:
        raise task.retry(**arguments)

    return body


def test_a_task_may_retry_itself_up_to_its_limit(
    run: Callable[..., TaskInstance], manager: TriggerManager, statuses: Callable[[], dict[str, str]]
) -> None:
    run(retrying(), {"n": 1})
    assert statuses() == {"t_a#0": "replayed", "t_a#1": "replayed", "t_a#2": "replayed", "t_a#3": "failed"}
    last = manager.storage["t_a#3"]
    assert last.metadata["exceptionType"] == f"{MaxRetriesExceeded.__module__}.MaxRetriesExceeded"
    assert (last.metadata["parent"], last.depth, last.kwargs) == ("t_a#2", 3, {"go": {"n": 1}})


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_the_limit_is_the_tasks_own(
    run: Callable[..., TaskInstance], statuses: Callable[[], dict[str, str]], limit: int
) -> None:
    run(retrying(), max_retries=limit)
    assert list(statuses().values()) == ["replayed"] * limit + ["failed"]


def test_the_limit_holds_for_a_retry_that_is_made_otherwise(
    run: Callable[..., TaskInstance], statuses: Callable[[], dict[str, str]]
) -> None:
    run(raising(Retry()), max_retries=2)
    assert list(statuses().values()) == ["replayed", "replayed", "failed"]


def test_replays_by_hand_do_not_count(
    run: Callable[..., TaskInstance], manager: TriggerManager, join: Callable[[], None]
) -> None:
    run(retrying(), max_retries=2)
    with AttrPatcher(ThreadingTaskRunner, respect_cooldown=False):
        manager.replay_failed_instance("t_a#2")
        join()
    assert [each.status for each in manager.storage] == ["replayed"] * 5 + ["failed"]


def test_a_retry_records_why_and_what_with(run: Callable[..., TaskInstance], manager: TriggerManager) -> None:
    counted: list[int] = []

    def body(task: TriggerTask, context: TaskContext) -> Any:
        counted.append(task.request.retries)
        if task.request.retries:
            return {"given": context.trigger_kwargs}
        error = with_context(ConnectionError("gone"), {"host": "h"})
        raise task.retry(error, {"note": 1}, {"go": {"n": 2}}, 60)

    first, second = run(body, {"n": 1}), manager.storage["t_a#1"]
    assert counted == [0, 1]
    assert first.status == "replayed"
    assert first.metadata["exceptionType"] == "builtins.ConnectionError"
    assert first.metadata["exceptionContext"] == {"host": "h"}
    assert first.metadata["note"] == 1
    assert first.metadata["timestamps"].keys() >= {"running", "failed", "replayed"}
    assert second.metadata["result"] == {"given": {"go": {"n": 2}}}
    assert second.metadata["cooldown"] == second.cooldown == 60


def test_no_replacement_keeps_the_kwargs_and_an_empty_one_takes_them_away(
    run: Callable[..., TaskInstance], manager: TriggerManager
) -> None:
    run(retrying(replacement_kwargs={}), {"n": 1}, max_retries=1)
    assert manager.storage["t_a#1"].kwargs == {}


@pytest.mark.parametrize("cooldown", [-1, float("nan"), float("inf"), 1e9, "60"])
@pytest.mark.parametrize("is_direct", [True, False])
def test_a_wrong_cooldown_fails_the_instance(run: Callable[..., TaskInstance], cooldown: Any, is_direct: bool) -> None:
    def raise_directly(task: TriggerTask, context: TaskContext) -> None:
        raise Retry(cooldown=cooldown)

    instance = run(raise_directly if is_direct else retrying(cooldown=cooldown))
    assert instance.status == "failed"
    assert instance.metadata["exceptionType"] in ("builtins.ValueError", "builtins.TypeError")
    assert repr(cooldown) in instance.metadata["exceptionMessage"]
    assert "a number of seconds" in instance.metadata["exceptionMessage"]


class Timer(threading.Thread):
    """A timer whose time comes when the test says so, at the latest when it ends."""

    made: list[Any]
    is_set: threading.Event

    def __init__(self, delay_s: float, function: Callable[..., None], args: tuple[Any, ...]) -> None:
        super().__init__(target=function, args=args)
        self.delay_s = delay_s

    def start(self) -> None:
        self.made.append(self)
        self.is_set.set()

    def elapse(self) -> None:
        super().start()


@pytest.fixture
def timers(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Timer]]:
    cls = type("Timer", (Timer,), {"made": [], "is_set": threading.Event()})
    monkeypatch.setattr(threading, "Timer", cls)
    yield cls
    for timer in cls.made:
        if timer.ident is None:
            timer.elapse()


def test_a_cooldown_is_waited_for(
    manager: TriggerManager, define: Callable[..., str], timers: type[Timer], join: Callable[[], None]
) -> None:
    # given a task that retries itself after a minute
    name = define(lambda task, context: None if task.request.retries else retrying(cooldown=60)(task, context))
    manager.update_configuration({"t_a": {"after": ["go"], "run": name}})
    # when it does so
    manager.fire("go")
    timers.is_set.wait()
    # then the replay has not started, and recovery will not start it before that minute has passed either
    (timer,) = timers.made
    state = manager.storage.store.state(manager.storage.uid)
    assert state is not None
    assert 0 < timer.delay_s <= 60  # what is left of it
    assert manager.storage["t_a#1"].status == "scheduled"
    assert state.due[HANDOVER + "t_a#1"].due_us - state.modified_us > 60_000_000
    # and it starts when the minute is over
    timer.elapse()
    join()
    assert manager.storage["t_a#1"].status == "finished"


def test_a_replay_by_hand_does_not_wait(
    run: Callable[..., TaskInstance], manager: TriggerManager, define: Callable[..., str], join: Callable[[], None]
) -> None:
    run(retrying(cooldown=3600), max_retries=1)
    define(lambda task, context: None)
    manager.replay_failed_instance("t_a#1")
    join()
    assert manager.storage["t_a#2"].status == "finished"
    assert "cooldown" not in manager.storage["t_a#2"].metadata


# Replays by hand


def test_a_replay_keeps_the_history_and_starts_from_a_copy(
    run: Callable[..., TaskInstance], manager: TriggerManager, join: Callable[[], None], define: Callable[..., str]
) -> None:
    failed = run(raising(LookupError("no seats")), {"list": [1]})
    define(lambda task, context: context.trigger_kwargs)
    manager.replay_failed_instance(failed)
    join()
    first, second = manager.storage["t_a#0"], manager.storage["t_a#1"]
    assert first.status == "replayed"
    assert first.metadata["exceptionMessage"] == "no seats"
    assert second.metadata["result"] == {"go": {"list": [1]}}
    assert (second.metadata["parent"], second.metadata["depth"]) == ("t_a#0", 1)
    assert "exceptionType" not in second.metadata


@pytest.mark.parametrize(
    ("replacement", "kwargs"),
    [(None, {"go": {"n": 1}}), ({}, {}), ({"go": {"n": 2}}, {"go": {"n": 2}}), ({"x": {}}, {"x": {}})],
)
def test_replacement_kwargs_replace_all_of_them(
    run: Callable[..., TaskInstance], manager: TriggerManager, join: Callable[[], None], replacement: Any, kwargs: Any
) -> None:
    run(raising(LookupError()), {"n": 1})
    manager.replay_failed_instance("t_a#0", replacement)
    join()
    assert manager.storage["t_a#1"].kwargs == kwargs
    assert manager.storage["t_a#1"].metadata["actualKwargs"] == kwargs


# What comes late


@pytest.mark.parametrize("status", ["finished", "failed", "skipped", "abandoned"])
@pytest.mark.parametrize("outcome", ["returns", "raises", "skips", "retries"])
def test_a_result_that_comes_late_is_refused(
    run: Callable[..., TaskInstance],
    statuses: Callable[[], dict[str, str]],
    status: str,
    outcome: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def overtaken(task: TriggerTask, context: TaskContext) -> Any:
        context.manager.update_instance_status(context.instance_name, status, {"note": "by hand"})
        if outcome == "raises":
            raise LookupError("late")
        if outcome == "skips":
            raise task.skip()
        if outcome == "retries":
            raise task.retry()
        return {"n": "late"}

    with caplog.at_level(logging.WARNING, logger="triggers_nb"):
        instance = run(overtaken)
    assert statuses() == {"t_a#0": status}
    assert instance.metadata["note"] == "by hand"
    assert "result" not in instance.metadata
    assert "exceptionType" not in instance.metadata
    assert "too late" in caplog.text


def test_a_late_result_is_refused_although_a_replay_runs(
    manager: TriggerManager, define: Callable[..., str], release: threading.Event, join: Callable[[], None]
) -> None:
    started = threading.Event()

    def wait(task: TriggerTask, context: TaskContext) -> Any:
        if context.instance_name == "t_a#0":
            started.set()
            release.wait()
        return {"by": context.instance_name}

    manager.update_configuration({"t_a": {"after": ["go"], "run": define(wait)}})
    manager.fire("go")
    started.wait()
    manager.update_instance_status("t_a#0", "failed")
    manager.replay_failed_instance("t_a#0")
    release.set()
    join()
    assert {each.name: each.status for each in manager.storage} == {"t_a#0": "replayed", "t_a#1": "finished"}
    assert manager.storage.latest_kwargs["t_a"] == {"by": "t_a#1"}


def test_a_worker_of_a_deleted_session_ends_nothing_of_the_one_made_again(
    manager: TriggerManager, define: Callable[..., str], release: threading.Event, join: Callable[[], None]
) -> None:
    # given an instance that runs while its session is deleted, made again, and runs one of the same name
    started = threading.Event()
    storage = manager.storage

    def make_again(task: TriggerTask, context: TaskContext) -> Any:
        storage.store.delete(storage.uid)
        again = TriggerManager(BaseTriggerStorage(storage.uid, storage.store))
        again.update_configuration({"t_a": {"after": ["go"], "run": define(wait)}})
        again.fire("go")
        started.wait()
        return {"by": "the old one"}

    def wait(task: TriggerTask, context: TaskContext) -> Any:
        started.set()
        release.wait()
        return {"by": "the new one"}

    manager.update_configuration({"t_a": {"after": ["go"], "run": "app.Task"}})
    TriggerManager(storage.derive(handover="defer")).fire("go")
    # when it ends
    run_instance(rebuild_manager(manager, "test"), "t_a#0", type("Old", (TriggerTask,), {"_run": make_again}))
    # then the other one is left alone
    assert storage["t_a#0"].status == "running"
    release.set()
    join()
    assert storage["t_a#0"].metadata["result"] == {"by": "the new one"}


def test_a_result_is_not_lost_to_a_lock_that_is_held_for_long(
    run: Callable[..., TaskInstance], storage: BaseTriggerStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given changes that give up soon, and somebody who locks the session while an instance runs
    monkeypatch.setattr("triggers_nb.storages.transactions.COMMIT_TIMEOUT_S", 0.01)
    warnings: list[str] = []

    class Releasing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            warnings.append(record.getMessage())
            storage.store.release_lock(storage.uid, b"somebody's")

    handler = Releasing(logging.WARNING)
    logging.getLogger("triggers_nb.task").addHandler(handler)
    # when the instance ends, and the lock is released only after it gave up once
    instance = run(lambda task, context: {"locked": storage.store.acquire_lock(storage.uid, b"somebody's", 600)})
    logging.getLogger("triggers_nb.task").removeHandler(handler)
    # then its result is there
    assert instance.status == "finished"
    assert "locked" in instance.metadata["result"]
    assert ["tries again" in warning for warning in warnings] == [True]


def test_there_must_be_something_to_run(manager: TriggerManager) -> None:
    with pytest.raises(UnknownSession):
        run_instance(manager, "t_a#0", TriggerTask)
    manager.fire("go")
    with pytest.raises(UnknownInstance):
        run_instance(manager, "t_a#0", TriggerTask)


def test_a_lease_stands_while_it_runs(
    run: Callable[..., TaskInstance], manager: TriggerManager, storage: BaseTriggerStorage
) -> None:
    seen: list[set[str]] = []

    def look(task: TriggerTask, context: TaskContext) -> None:
        state = storage.store.state(storage.uid)
        assert state is not None
        seen.append(set(state.due))

    run(look)
    assert seen == [{LEASE + "t_a#0"}]
    state = storage.store.state(storage.uid)
    assert state is not None
    assert not state.due


# Logs


@pytest.fixture
def logging_task(run: Callable[..., TaskInstance]) -> Callable[..., TaskInstance]:
    return lambda *levels, end=None: run(lambda task, context: log(context, levels, end))


def log(context: TaskContext, levels: tuple[int, ...], end: BaseException | None) -> None:
    with context.get_logger_context(logging.getLogger("test_tasks")) as logger:
        for level in levels:
            logger.log(level, "a message at %d", level)
        if end is not None:
            raise end


def test_the_highest_level_is_recorded(logging_task: Callable[..., TaskInstance]) -> None:
    instance = logging_task(logging.INFO, logging.WARNING, logging.DEBUG)
    assert instance.log_level == instance.metadata["logLevel"] == logging.WARNING
    assert instance.log_level_name == "WARNING"
    assert instance.logs_resolved


@pytest.mark.parametrize("level", [2**31, 2**63, 2**70])
def test_a_level_beyond_all_others_is_recorded_as_the_highest(
    logging_task: Callable[..., TaskInstance], level: int
) -> None:
    instance = logging_task(level)
    assert (instance.status, instance.log_level) == ("finished", MAX_LEVEL)


def test_a_level_is_a_number(logging_task: Callable[..., TaskInstance]) -> None:
    instance = logging_task("ERROR")
    assert instance.status == "failed"
    assert instance.metadata["exceptionMessage"] == "level='ERROR': expected a number such as logging.ERROR"


def test_without_messages_there_is_no_level(run: Callable[..., TaskInstance]) -> None:
    instance = run(lambda task, context: None)
    assert instance.log_level == logging.NOTSET
    assert "logLevel" not in instance.metadata


def test_errors_are_unresolved_until_somebody_marks_them(
    logging_task: Callable[..., TaskInstance], manager: TriggerManager
) -> None:
    instance = logging_task(logging.ERROR)
    assert instance.status == "finished"
    assert not instance.logs_resolved
    assert [each.name for each in manager.storage.get_instances_with_unresolved_logs()] == ["t_a#0"]
    assert manager.mark_instance_logs_resolved("t_a#0").logs_resolved
    assert manager.storage.get_instances_with_unresolved_logs() == []


def test_an_exception_that_leaves_the_block_is_logged(
    logging_task: Callable[..., TaskInstance], caplog: pytest.LogCaptureFixture
) -> None:
    instance = logging_task(end=LookupError("no seats"))
    assert (instance.status, instance.log_level) == ("failed", logging.ERROR)
    assert any(record.name == "test_tasks" and record.exc_info for record in caplog.records)


@pytest.mark.parametrize("end", [StatusChange("skipped"), Retry()])
def test_skips_and_retries_that_leave_the_block_are_not(
    logging_task: Callable[..., TaskInstance], end: Exception
) -> None:
    assert logging_task(logging.INFO, end=end).log_level == logging.INFO


def test_the_level_survives_whatever_ends_the_instance(
    run: Callable[..., TaskInstance], manager: TriggerManager
) -> None:
    def retry(task: TriggerTask, context: TaskContext) -> None:
        log(context, (logging.CRITICAL,), None)
        raise task.retry(LookupError("no seats"))

    run(retry, max_retries=1)
    assert [each.log_level for each in manager.storage] == [logging.CRITICAL, logging.CRITICAL]
    # the first was replayed: its messages do not matter any more
    assert [each.name for each in manager.storage.get_instances_with_unresolved_logs()] == ["t_a#1"]


def test_messages_carry_the_context_and_their_own_place(
    run: Callable[..., TaskInstance], caplog: pytest.LogCaptureFixture
) -> None:
    def body(task: TriggerTask, context: TaskContext) -> None:
        with context.get_logger_context(context={"tail": "N338AA"}) as logger:
            logger.warning("no seats for %s", "N338AA")

    run(body)
    record = next(record for record in caplog.records if record.name == "triggers.task")
    assert record.getMessage() == "no seats for N338AA"
    assert record.context == {"tail": "N338AA"}  # type: ignore[attr-defined]
    assert record.funcName == "body"


# Kwargs through filters


def test_kwargs_are_checked_and_converted(run: Callable[..., TaskInstance]) -> None:
    import filters as f

    def body(task: TriggerTask, context: TaskContext) -> Any:
        return context.filter_kwargs({"go": {"n": f.Required | f.Int}, "other": {"x": f.Optional(default="none")}})

    assert run(body, {"n": "17", "more": 1}).metadata["result"] == {
        "go": {"n": 17, "more": 1},
        "other": {"x": "none"},
    }


def test_kwargs_that_do_not_pass_fail_the_instance(run: Callable[..., TaskInstance]) -> None:
    import filters as f

    instance = run(lambda task, context: context.filter_kwargs({"go": {"n": f.Required | f.Int}}), {"n": "many"})
    assert instance.metadata["exceptionType"] == "builtins.ValueError"
    assert "go.n" in instance.metadata["exceptionMessage"]
    assert "filter_errors" in instance.metadata["exceptionContext"]


# Names of tasks


def test_a_task_is_known_under_its_module_and_class_unless_it_says_otherwise() -> None:
    class Plain(TriggerTask):
        def _run(self, context: TaskContext) -> None: ...

    class Named(Plain):
        name = "app.Named"

    class Child(Named):
        pass

    assert Plain.name == f"{__name__}.Plain"
    assert Named.name == "app.Named"
    assert Child.name == f"{__name__}.Child"


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"name": 5}, "name=5, expected a non-empty string"),
        ({"name": ""}, "name='', expected a non-empty string"),
        ({"max_retries": -1}, "max_retries=-1, expected a number from 0 on"),
        ({"max_retries": True}, "max_retries=True, expected a number from 0 on"),
    ],
)
def test_a_task_class_that_makes_no_sense_is_refused_when_it_is_defined(attributes, said):
    with pytest.raises(ValueError, match=f"task class Wrong: {said}"):
        type("Wrong", (TriggerTask,), {**attributes, "_run": lambda self, context: None})


def test_a_class_without_a_body_is_named():
    type("Unfinished", (TriggerTask,), {"name": "tests.Unfinished"})

    with pytest.raises(TaskNotFound, match=r"'tests\.Unfinished' defines no _run"):
        find_task("tests.Unfinished")


def test_what_is_no_exception_is_not_retried():
    with pytest.raises(TypeError, match="exc='boom': expected an exception"):
        type("Retried", (TriggerTask,), {"is_registered": False})().retry(exc="boom")
