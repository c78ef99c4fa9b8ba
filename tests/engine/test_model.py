"""The engine against a naive model: whatever is done to a session, both say the same of it, and its past is exact."""

import copy
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from triggers_nb import runners
from triggers_nb.core import records as rec
from triggers_nb.core.events import decode_event
from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.status import STATUSES
from triggers_nb.core.work import CREATED_COUNT, HANDOVER, LEVEL_COUNT, STATUS_COUNT, TASK_COUNT
from triggers_nb.errors import InvalidStatus, MaxRetriesExceeded, UnknownInstance, UnknownSession
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.patcher import AttrPatcher
from triggers_nb.runners.base import BaseTaskRunner
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.sqlite import SqliteStore
from triggers_nb.storages.store import Cell, Commit, Committed, Conflict, SessionState, Store
from triggers_nb.task import TaskContext, TriggerTask, rebuild_manager, run_instance

TASKS = ["t_a", "t_b", "t_c", "t_d"]
TRIGGERS = ["go", "tick", "stop", "t_a", "t_b", "t_c"]
UNRESOLVED = {"unstarted", "scheduled", "running", "failed"}
BY_HAND = {"finished", "failed", "skipped", "abandoned"}
Kwargs = dict[str, Any]


# The model ------------------------------------------------------------------------------------------------------------


class Model:
    """A session as the rules describe it, in plain dicts and loops."""

    def __init__(self) -> None:
        self.tasks: dict[str, Kwargs] = {}
        self.instances: dict[str, Kwargs] = {}
        self.latest: dict[str, Kwargs] = {}
        self.hooks: list[tuple[Any, ...]] = []
        self.exists = False

    def configure(self, configuration: dict[str, Kwargs]) -> None:
        self.exists = True
        for name, directives in configuration.items():
            every = directives.get("andEvery")
            self.tasks[name] = {
                "after": set(directives["after"]) | ({every} if every else set()),
                "every": every,
                "unless": set(directives.get("unless") or ()),
                "params": directives.get("withParams") or {},
            }

    def of_task(self, task: str) -> list[Kwargs]:
        return [each for each in self.instances.values() if each["task"] == task]

    def create(self, task: str, kwargs: Kwargs, seen: set[str], status: str = "unstarted", **more: Any) -> Kwargs:
        name = f"{task}#{len(self.of_task(task))}"
        made = {"name": name, "task": task, "status": status, "kwargs": copy.deepcopy(kwargs), "seen": set(seen)}
        made |= {"metadata": {}, "entered": {"unstarted", status}, "retries": 0} | more
        self.instances[name] = made
        return made

    def enter(self, instance: Kwargs, status: str) -> None:
        instance["status"] = status
        instance["entered"].add(status)

    def fire(self, trigger: str, kwargs: Kwargs | None, once: bool = False) -> None:
        if once and trigger in self.latest:
            return
        self.exists = True
        kwargs = kwargs or {}
        scheduled = []
        for task, config in sorted(self.tasks.items()):
            if trigger in config["after"] | config["unless"]:
                scheduled += self.fire_at(task, config, trigger, kwargs)
        self.latest[trigger] = copy.deepcopy(kwargs)
        self.hooks.append(("_post_fire", trigger, sorted(scheduled)))

    def fire_at(self, task: str, config: Kwargs, trigger: str, kwargs: Kwargs) -> list[str]:
        is_applied = False
        for each in self.of_task(task):
            if each["status"] == "unstarted":
                if trigger in config["after"] and trigger not in each["kwargs"]:
                    each["kwargs"][trigger] = copy.deepcopy(kwargs)
                    is_applied = True
                if trigger in config["unless"] and trigger not in each["seen"]:
                    each["seen"].add(trigger)
                    is_applied = True
        if not self.of_task(task) or (trigger == config["every"] and not is_applied):
            fired = {**self.latest, trigger: kwargs}
            held = {each: fired[each] for each in config["after"] if each in fired}
            self.create(task, held, config["unless"] & fired.keys())
        scheduled = []
        for each in self.of_task(task):
            if each["status"] == "unstarted":
                if config["unless"] and config["unless"] <= each["seen"]:
                    self.enter(each, "abandoned")
                elif config["after"] <= each["kwargs"].keys():
                    self.enter(each, "scheduled")
                    scheduled.append(each["name"])
        return scheduled

    def replay(self, name: str, kwargs: Kwargs | None, retries: int = 0, **metadata: Any) -> None:
        failed = self.instances[name]
        if failed["status"] != "failed":
            raise InvalidStatus
        self.enter(failed, "replayed")
        clone = self.create(failed["task"], failed["kwargs"] if kwargs is None else kwargs, failed["seen"])
        clone["metadata"] = {"parent": name, "depth": failed["metadata"].get("depth", 0) + 1, **metadata}
        clone["retries"] = retries
        self.enter(clone, "scheduled")
        self.hooks.append(("_post_replay", clone["name"], name))

    def skip(self, name: str, cascade: bool, result: Kwargs | None) -> None:
        failed = self.instances[name]
        if failed["status"] != "failed":
            raise InvalidStatus
        self.enter(failed, "skipped")
        failed["metadata"] |= {"cascade": cascade, "result": result or {}}
        if cascade:
            self.fire(failed["task"], result)
        self.hooks.append(("_post_skip", name, cascade))

    def update_status(self, name: str, status: str, metadata: Kwargs, cascade: bool, kwargs: Kwargs | None) -> None:
        instance = self.instances[name]
        if status != instance["status"]:
            if instance["status"] not in UNRESOLVED or status not in BY_HAND:
                raise InvalidStatus
            self.enter(instance, status)
            instance["metadata"] |= copy.deepcopy(metadata)
            if cascade:
                self.fire(instance["task"], kwargs)
        else:
            instance["metadata"] |= copy.deepcopy(metadata)

    def start(self, name: str) -> Kwargs:
        instance = self.instances[name]
        self.enter(instance, "running")
        params = self.tasks[instance["task"]]["params"]
        actual = instance["metadata"]["actualKwargs"] = merged(params, instance["kwargs"])
        return actual

    def note_level(self, name: str, level: int) -> None:
        metadata = self.instances[name]["metadata"]
        if level:
            metadata["logLevel"] = max(level, metadata.get("logLevel", 0))

    def finish(self, name: str, result: Kwargs | None) -> None:
        instance = self.instances[name]
        self.enter(instance, "finished")
        instance["metadata"]["result"] = result or {}
        self.fire(instance["task"], result)

    def fail(self, name: str, error: Exception) -> None:
        instance = self.instances[name]
        self.enter(instance, "failed")
        kind = type(error)
        instance["metadata"] |= {
            "exceptionType": f"{kind.__module__}.{kind.__name__}",
            "exceptionMessage": str(error),
        }

    def is_log_unresolved(self, instance: Kwargs) -> bool:
        metadata = instance["metadata"]
        is_relevant = instance["status"] not in ("abandoned", "replayed", "skipped")
        return is_relevant and metadata.get("logLevel", 0) >= logging.ERROR and not metadata.get("logsResolved")


def merged(under: Kwargs, over: Kwargs) -> Kwargs:
    result = copy.deepcopy(under)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


# What runs the engine -------------------------------------------------------------------------------------------------


class Recording(Store):
    """Keeps all of a session as each commit left it."""

    history: dict[str, dict[int, SessionState]]

    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        answer = super().commit(uid, commit)  # type: ignore[safe-super]
        if isinstance(answer, Committed):
            state = self.state(uid)
            assert state is not None
            self.history.setdefault(uid, {})[answer.seq] = state
        return answer


class RecordingMemory(Recording, MemoryStore):
    pass


class RecordingSqlite(Recording, SqliteStore):
    pass


class ModelManager(TriggerManager):
    """Notes what its hooks were called with, and what they saw of the session."""

    calls: list[tuple[Any, ...]] = []  # noqa: RUF012

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        assert all(self.storage[each.name].status == each.status == "scheduled" for each in tasks_scheduled)
        self.calls.append(("_post_fire", trigger_name, sorted(each.name for each in tasks_scheduled)))

    def _post_replay(self, task_instance: TaskInstance) -> None:
        parent = task_instance.metadata["parent"]
        assert self.storage[parent].status == "replayed"
        self.calls.append(("_post_replay", task_instance.name, parent))

    def _post_skip(self, task_instance: TaskInstance, cascade: bool) -> None:
        assert task_instance.status == self.storage[task_instance.name].status == "skipped"
        self.calls.append(("_post_skip", task_instance.name, cascade))


class QueueRunner(BaseTaskRunner):
    """Only notes what is handed over."""

    name = "queue"
    handed_over: list[str] = []  # noqa: RUF012

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        self.handed_over.append(task_instance.name)


class Scripted(TriggerTask):
    """Does what the machine wants."""

    name = "test_model.Scripted"
    script: Callable[[TriggerTask, TaskContext], Any]

    def _run(self, context: TaskContext) -> Any:
        return type(self).script(self, context)


# The machine ----------------------------------------------------------------------------------------------------------

kwargs_ = st.none() | st.dictionaries(st.sampled_from("xy"), st.integers(0, 3), max_size=2)
trigger_kwargs = st.dictionaries(st.sampled_from(TRIGGERS), kwargs_.map(lambda value: value or {}), max_size=3)
metadata_ = st.fixed_dictionaries(
    {},
    optional={
        "note": st.integers(0, 3),
        "logLevel": st.sampled_from([logging.INFO, logging.ERROR]),
        "exceptionMessage": st.sampled_from(["", "by hand"]),
        "result": st.fixed_dictionaries({"n": st.integers(0, 3)}),
    },
)
directives = st.fixed_dictionaries(
    {"after": st.sets(st.sampled_from(TRIGGERS), min_size=1, max_size=2), "run": st.just(Scripted.name)},
    optional={
        "andEvery": st.none() | st.sampled_from(TRIGGERS),
        "unless": st.sets(st.sampled_from(TRIGGERS), max_size=2),
        "withParams": st.dictionaries(
            st.sampled_from(TRIGGERS), st.dictionaries(st.sampled_from("xz"), st.integers(0, 3), max_size=2), max_size=2
        ),
    },
)
configurations = st.dictionaries(st.sampled_from(TASKS), directives, min_size=1, max_size=3)
firings = st.lists(st.tuples(st.sampled_from(TRIGGERS), kwargs_), min_size=1, max_size=5)
full_configurations = st.fixed_dictionaries(dict.fromkeys(TASKS, directives))
uids = itertools.count()


class Machine(RuleBasedStateMachine):
    store: Store

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.uid = f"session-{next(uids)}"
        self.kept = [self.fresh_manager() for _ in range(2)]
        self.objects: dict[str, TaskInstance] = {}
        ModelManager.calls = []
        QueueRunner.handed_over = []
        self.patch = AttrPatcher(runners, DEFAULT_TASK_RUNNER=QueueRunner)
        self.patch.__enter__()

    def fresh_manager(self) -> TriggerManager:
        return ModelManager(BaseTriggerStorage(self.uid, self.store))

    def manager(self, which: int) -> TriggerManager:
        """One of two that are kept, with what they remember, or a new one."""
        return self.kept[which] if which < 2 else self.fresh_manager()

    def pick(self, number: int, statuses: set[str] | None = None) -> str:
        names = [
            name
            for name, each in sorted(self.model.instances.items())
            if statuses is None or each["status"] in statuses
        ]
        return names[number % len(names)]

    def as_target(self, name: str, as_object: bool) -> str | TaskInstance:
        """A name, or an object that may have been read long ago."""
        return self.objects.get(name, name) if as_object else name

    def both(self, engine: Callable[[], object], model: Callable[[], object]) -> None:
        """Do the same to both; either both refuse, or neither does."""
        before = copy.deepcopy(self.model)
        try:
            model()
        except (InvalidStatus, UnknownInstance) as error:
            self.model = before
            with pytest.raises(type(error)):
                engine()
        else:
            engine()

    @initialize(configuration=full_configurations, firings=firings)
    def begin(self, configuration: dict[str, Kwargs], firings: list[tuple[str, Kwargs | None]]) -> None:
        with pytest.raises(UnknownSession):
            self.kept[0].skip_failed_instance("t_a#0")
        self.configure(configuration, 0)
        self.fire_some(firings, 0)

    def configure(self, configuration: dict[str, Kwargs], which: int) -> None:
        self.manager(which).update_configuration(configuration)
        self.model.configure(configuration)

    @rule(configuration=configurations, firings=firings, which=st.integers(0, 2))
    def configure_and_fire(
        self, configuration: dict[str, Kwargs], firings: list[tuple[str, Kwargs | None]], which: int
    ) -> None:
        self.configure(configuration, which)
        self.all_holds()
        self.fire_some(firings, which)

    @rule(firings=firings, which=st.integers(0, 2))
    def fire_some(self, firings: list[tuple[str, Kwargs | None]], which: int) -> None:
        for trigger, kwargs in firings:
            self.fire(trigger, kwargs, False, which)

    @rule(trigger=st.sampled_from(TRIGGERS), kwargs=kwargs_, once=st.booleans(), which=st.integers(0, 2))
    def fire(self, trigger: str, kwargs: Kwargs | None, once: bool, which: int) -> None:
        self.manager(which).fire(trigger, kwargs, once=once)
        self.model.fire(trigger, kwargs, once)

    @precondition(lambda self: self.model.instances)
    @rule(
        number=st.integers(0, 99), status=st.sampled_from(STATUSES), metadata=metadata_, cascade=st.booleans(),
        kwargs=kwargs_, as_object=st.booleans(), which=st.integers(0, 2),
    )  # fmt: skip
    def update_status(
        self,
        number: int,
        status: str,
        metadata: Kwargs,
        cascade: bool,
        kwargs: Kwargs | None,
        as_object: bool,
        which: int,
    ) -> None:
        name = self.pick(number)
        target = self.as_target(name, as_object)
        self.both(
            lambda: self.manager(which).update_instance_status(target, status, metadata, cascade, kwargs),
            lambda: self.model.update_status(name, status, metadata, cascade, kwargs),
        )

    @precondition(lambda self: self.model.instances)
    @rule(
        number=st.integers(0, 99), kwargs=st.none() | trigger_kwargs, only_failed=st.booleans(),
        as_object=st.booleans(), which=st.integers(0, 2),
    )  # fmt: skip
    def replay(self, number: int, kwargs: Kwargs | None, only_failed: bool, as_object: bool, which: int) -> None:
        name = self.pick_failed(number, only_failed)
        target = self.as_target(name, as_object)
        self.both(
            lambda: self.manager(which).replay_failed_instance(target, kwargs), lambda: self.model.replay(name, kwargs)
        )

    @precondition(lambda self: self.model.instances)
    @rule(
        number=st.integers(0, 99), cascade=st.booleans(), result=kwargs_, only_failed=st.booleans(),
        as_object=st.booleans(), which=st.integers(0, 2),
    )  # fmt: skip
    def skip(
        self, number: int, cascade: bool, result: Kwargs | None, only_failed: bool, as_object: bool, which: int
    ) -> None:
        name = self.pick_failed(number, only_failed)
        target = self.as_target(name, as_object)
        self.both(
            lambda: self.manager(which).skip_failed_instance(target, cascade, result),
            lambda: self.model.skip(name, cascade, result),
        )

    def pick_failed(self, number: int, only_failed: bool) -> str:
        has_failed = any(each["status"] == "failed" for each in self.model.instances.values())
        return self.pick(number, {"failed"} if only_failed and has_failed else None)

    @precondition(lambda self: self.model.instances)
    @rule(
        number=st.integers(0, 99), metadata=metadata_, resolve=st.booleans(), as_object=st.booleans(),
        which=st.integers(0, 2),
    )  # fmt: skip
    def update_metadata(self, number: int, metadata: Kwargs, resolve: bool, as_object: bool, which: int) -> None:
        name = self.pick(number)
        if resolve:
            assert self.manager(which).mark_instance_logs_resolved(name).logs_resolved
            self.model.instances[name]["metadata"]["logsResolved"] = True
        after = self.manager(which).update_instance_metadata(self.as_target(name, as_object), metadata)
        self.model.instances[name]["metadata"] |= copy.deepcopy(metadata)
        assert after.status == self.model.instances[name]["status"]

    @rule(name=st.sampled_from(["t_a#99", "t_x#0", "t_a", "", "#", "t_a#-1", "t_a#00"]))
    def name_what_is_not_there(self, name: str) -> None:
        for method in ("replay_failed_instance", "skip_failed_instance", "mark_instance_logs_resolved"):
            with pytest.raises(UnknownInstance):
                getattr(self.kept[0], method)(name)

    @rule(
        task=st.sampled_from(TASKS), status=st.sampled_from(STATUSES), kwargs=trigger_kwargs, number=st.integers(0, 99)
    )
    def edit_by_hand(self, task: str, status: str, kwargs: Kwargs, number: int) -> None:
        """Create an instance, change another one, and clone that, as one."""
        if task not in self.model.tasks:
            return
        before = copy.deepcopy(self.model)
        other = self.pick(number) if self.model.instances else None
        is_legal = status not in ("scheduled", "running")
        with self.kept[0].storage.acquire_lock() as storage:
            storage.create_instance(task, status=status, kwargs=kwargs, abandonState=["stop"], metadata={"note": 9})
            self.model.create(task, kwargs, {"stop"}, status, metadata={"note": 9})
            if other is not None:
                self.change_and_clone(storage, other)
            if is_legal:
                storage.save()
            else:
                with pytest.raises(InvalidStatus):
                    storage.save()
                self.model = before

    def change_and_clone(self, storage: Any, name: str) -> None:
        instance = self.model.instances[name]
        if name in self.objects or instance["status"] in UNRESOLVED:
            storage[name].metadata["note"] = 7
            instance["metadata"]["note"] = 7
        if instance["status"] in UNRESOLVED:
            storage[name].status = "failed"
            self.model.enter(instance, "failed")
        if instance["status"] == "failed":
            storage.clone_instance(name)
            clone = self.model.create(instance["task"], instance["kwargs"], instance["seen"])
            clone["metadata"] = {"parent": name, "depth": instance["metadata"].get("depth", 0) + 1}

    # Running

    def scheduled(self) -> list[str]:
        return [name for name, each in self.model.instances.items() if each["status"] == "scheduled"]

    def run(self, name: str, script: Callable[[TriggerTask, TaskContext], Any]) -> Kwargs:
        """Run an instance; return what it was given."""
        given: list[Kwargs] = []

        def body(task: TriggerTask, context: TaskContext) -> Any:
            assert context.task_instance.status == "running"
            given.append(copy.deepcopy(context.trigger_kwargs))
            context.trigger_kwargs["scribbled"] = True
            return script(task, context)

        Scripted.script = body
        run_instance(rebuild_manager(self.fresh_manager(), "test"), name, Scripted)
        assert len(given) == 1
        return given[0]

    @precondition(scheduled)
    @rule(
        outcomes=st.lists(
            st.tuples(st.integers(0, 99), st.sampled_from(["finish", "fail", "fail", "skip", "overtaken"]), kwargs_),
            min_size=1,
            max_size=6,
        ),
        level=st.sampled_from([0, logging.INFO, logging.CRITICAL]),
    )
    def run_some(self, outcomes: list[tuple[int, str, Kwargs | None]], level: int) -> None:
        for number, outcome, result in outcomes:
            if self.scheduled():
                self.run_once(number, outcome, result, level)

    def run_once(self, number: int, outcome: str, result: Kwargs | None, level: int) -> None:
        name = self.pick(number, {"scheduled"})
        error = ValueError(f"failed as {name}")

        def script(task: TriggerTask, context: TaskContext) -> Any:
            emit(context, level)
            if outcome == "overtaken":
                self.fresh_manager().update_instance_status(name, "abandoned")
            if outcome == "fail":
                raise error
            if outcome == "skip":
                raise task.skip({"note": 5})
            return result

        expected = copy.deepcopy(self.model.start(name))
        assert self.run(name, script) == expected
        if outcome == "overtaken":
            self.model.update_status(name, "abandoned", {}, False, None)
            return
        self.model.note_level(name, level)
        if outcome == "finish":
            self.model.finish(name, result)
        elif outcome == "fail":
            self.model.fail(name, error)
        else:
            self.model.enter(self.model.instances[name], "skipped")
            self.model.instances[name]["metadata"]["note"] = 5

    @precondition(scheduled)
    @rule(
        number=st.integers(0, 99), kwargs=st.none() | trigger_kwargs, cooldown=st.sampled_from([None, 0, 60]),
        with_error=st.booleans(), level=st.sampled_from([0, logging.INFO, logging.CRITICAL]),
    )  # fmt: skip
    def run_and_retry(
        self, number: int, kwargs: Kwargs | None, cooldown: float | None, with_error: bool, level: int
    ) -> None:
        name = self.pick(number, {"scheduled"})
        error = LookupError("try again") if with_error else None

        def script(task: TriggerTask, context: TaskContext) -> Any:
            emit(context, level)
            raise task.retry(error, metadata={"note": 6}, replacement_kwargs=kwargs, cooldown=cooldown)

        self.model.start(name)
        self.run(name, script)
        self.model.note_level(name, level)
        instance = self.model.instances[name]
        if instance["retries"] >= Scripted.max_retries:
            self.model.fail(name, MaxRetriesExceeded(f"retry 4 of {Scripted.name}, which allows 3"))
            return
        instance["metadata"]["note"] = 6
        if error is not None:
            self.model.fail(name, error)
        else:
            self.model.enter(instance, "failed")
        more = {} if cooldown is None else {"cooldown": cooldown}
        self.model.replay(name, kwargs, instance["retries"] + 1, **more)

    @precondition(lambda self: len(self.scheduled()) < len(self.model.instances))
    @rule(number=st.integers(0, 99))
    def deliver_again(self, number: int) -> None:
        """A message that comes twice, or for what was resolved meanwhile, does nothing."""
        name = self.pick(number, set(STATUSES) - {"scheduled"})

        def script(task: TriggerTask, context: TaskContext) -> Any:
            raise AssertionError("it must not run")

        Scripted.script = script
        run_instance(rebuild_manager(self.fresh_manager(), "test"), name, Scripted)

    # What must hold

    @invariant()
    def all_holds(self) -> None:
        self.the_model_agrees()
        self.everything_scheduled_was_handed_over_once()
        self.the_session_is_sound()
        self.events_tell_all()

    def the_model_agrees(self) -> None:
        if not self.model.exists:
            return
        storage = self.fresh_manager().storage
        found = {instance.name: instance for instance in storage}
        assert found.keys() == self.model.instances.keys()
        for name, instance in found.items():
            assert described(instance) == expected(self.model.instances[name])
        assert storage.latest_kwargs == self.model.latest
        assert {task.name for task in storage.get_unresolved_tasks()} == {
            task
            for task in self.model.tasks
            if not self.model.of_task(task) or any(each["status"] in UNRESOLVED for each in self.model.of_task(task))
        }
        assert {each.name for each in storage.get_unresolved_instances()} == {
            name for name, each in self.model.instances.items() if each["status"] in UNRESOLVED
        }
        assert {each.name for each in storage.get_instances_with_unresolved_logs()} == {
            name for name, each in self.model.instances.items() if self.model.is_log_unresolved(each)
        }
        assert storage.tasks.keys() == self.model.tasks.keys()
        assert ModelManager.calls == self.model.hooks
        for name, instance in found.items():
            self.objects.setdefault(name, instance)

    def everything_scheduled_was_handed_over_once(self) -> None:
        names = {name for name, each in self.model.instances.items() if "scheduled" in each["entered"]}
        assert Counter(QueueRunner.handed_over) == Counter(names)

    def the_session_is_sound(self) -> None:
        state = self.store.state(self.uid)
        if state is None:
            assert not self.model.exists
            return
        instances = {name[2:]: rec.decode_record(name, cell.data) for name, cell in cells_of(state, "i:")}
        assert state.counts | {} == counted(state, instances) | {
            name: 0 for name, count in state.counts.items() if count == 0
        }
        assert {item for item in state.due if item.startswith(HANDOVER)} == {
            HANDOVER + name for name, each in instances.items() if STATUSES[each.status] == "scheduled"
        }
        assert not [item for item in state.due if not item.startswith(HANDOVER)]
        assert open_in_tasks(state) == {
            name: (tuple(sorted(each.kwargs)), each.seen)
            for name, each in instances.items()
            if STATUSES[each.status] == "unstarted"
        }
        assert all(0 < cell.revision <= state.seq for cell in state.cells.values())

    def events_tell_all(self) -> None:
        events = self.store.events(self.uid)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [event.at_us for event in events] == sorted(event.at_us for event in events)
        statuses: dict[str, int] = {}
        for event in events:
            for change in decode_event(event.data).changes:
                if change.to_status is not None:
                    assert statuses.get(change.target) == change.from_status
                    statuses[change.target] = change.to_status
        assert {name: STATUSES[code] for name, code in statuses.items()} == {
            name: each["status"] for name, each in self.model.instances.items()
        }

    def teardown(self) -> None:
        self.patch.__exit__(None, None, None)
        state = self.store.state(self.uid)
        if state is not None:
            check_the_past(state, self.store.events(self.uid), self.store.history[self.uid])  # type: ignore[attr-defined]


def emit(context: TaskContext, level: int) -> None:
    if level:
        with context.get_logger_context(logging.getLogger("test_model")) as logger:
            logger.log(level, "a message")


#: What the model says nothing of: texts of tracebacks.
UNSAID = {"exceptionInfo", "exceptionContext", "timestamps"}


def described(instance: TaskInstance) -> Kwargs:
    """What there is to see of an instance."""
    metadata = {key: value for key, value in instance.metadata.items() if key not in UNSAID}
    return {
        "task": instance.config.name,
        "status": instance.status,
        "kwargs": instance.kwargs,
        "seen": instance.abandon_state,
        "metadata": {key: value for key, value in metadata.items() if (key, value) != ("cooldown", None)},
        "entered": instance.metadata["timestamps"].keys() - {"created", "lastModified"},
        "retries": instance.retries,
    }


def expected(instance: Kwargs) -> Kwargs:
    return {key: value for key, value in instance.items() if key != "name"}


def cells_of(state: SessionState, prefix: str) -> Iterator[tuple[str, Cell]]:
    return ((name, cell) for name, cell in state.cells.items() if name.startswith(prefix))


def counted(state: SessionState, instances: dict[str, Any]) -> dict[str, int]:
    """The counts, by looking at every instance."""
    counts: Counter[str] = Counter({"tasks": len(list(cells_of(state, "c:")))})
    for each in instances.values():
        is_open = STATUSES[each.status] in UNRESOLVED
        counts[STATUS_COUNT + STATUSES[each.status]] += 1
        counts[CREATED_COUNT + each.task] += 1
        counts[TASK_COUNT + each.task] += is_open
        counts["unresolved"] += is_open
        if each.log_level:
            counts[LEVEL_COUNT + str(each.log_level)] += 1
    return {name: count for name, count in counts.items() if count}


def open_in_tasks(state: SessionState) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    found = {}
    for name, cell in cells_of(state, "t:"):
        record: Any = rec.decode_record(name, cell.data)
        assert record.next_index == sum(cell.startswith(f"i:{name[2:]}#") for cell in state.cells)
        for group in record.groups:
            for start, stop in zip(group.ranges[::2], group.ranges[1::2], strict=True):
                for index in range(start, stop):
                    found[f"{name[2:]}#{index}"] = (group.held, group.seen)
    return found


def check_the_past(state: SessionState, events: list[Any], history: dict[int, SessionState]) -> None:
    """Step back from now, event by event: every moment is exactly what it was."""
    cells, counts = dict(state.cells), Counter(state.counts)
    for stored in reversed(events):
        then = history[stored.seq]
        assert cells == then.cells
        assert {name: n for name, n in counts.items() if n} == {name: n for name, n in then.counts.items() if n}
        event = decode_event(stored.data)
        for undo in event.undo:
            assert cells[undo.cell].revision == stored.seq
            if undo.data is None:
                del cells[undo.cell]
            else:
                cells[undo.cell] = Cell(undo.revision, undo.data)
        counts.subtract(event.counts)
    assert not cells
    assert not any(counts.values())


# The tests ------------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def registered_manager() -> Iterator[None]:
    trigger_managers.register("test_model")(ModelManager)
    yield
    trigger_managers.unregister("test_model")


def explore(store: Store, max_examples: int, steps: int) -> None:
    store.history = {}  # type: ignore[attr-defined]
    machine = type("Machine", (Machine,), {"store": store})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max_examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # Without shrinking, which takes minutes: a failing run is shown as it was.
            phases=[Phase.reuse, Phase.generate],
        ),
    )


def test_the_engine_in_memory_does_what_the_model_does() -> None:
    explore(RecordingMemory(), max_examples=80, steps=40)


def test_the_engine_on_sqlite_does_what_the_model_does(tmp_path: Path) -> None:
    explore(RecordingSqlite(tmp_path / "sessions.db"), max_examples=12, steps=40)


@pytest.mark.long
def test_the_engine_in_memory_does_what_the_model_does_for_long() -> None:
    explore(RecordingMemory(), max_examples=300, steps=50)


@pytest.mark.long
def test_the_engine_on_sqlite_does_what_the_model_does_for_long(tmp_path: Path) -> None:
    explore(RecordingSqlite(tmp_path / "sessions.db"), max_examples=50, steps=40)
