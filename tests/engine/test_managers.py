"""A session remembers its manager; methods act on what is stored; of several at once, one wins."""

import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import (
    ConfigurationError,
    InvalidStatus,
    InvalidValue,
    ManagerMismatch,
    UnknownInstance,
    UnknownSession,
)
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.testing import DevNullTask, FailingTask, PassThruTask

Register = Callable[[type[TriggerManager]], type[TriggerManager]]
CONFIGURATION: dict[str, Any] = {"t_fail": {"after": ["go"], "run": FailingTask.name}}


class Custom(TriggerManager):
    pass


class Unregistered(TriggerManager):
    pass


@pytest.fixture
def custom(storage: BaseTriggerStorage, register_manager: Register) -> TriggerManager:
    register_manager(Custom)
    manager = Custom(storage)
    manager.update_configuration(CONFIGURATION)
    return manager


# The session's manager


def test_a_session_remembers_the_manager_that_first_configured_it(custom: TriggerManager) -> None:
    assert custom.storage.manager_key == "custom"


def test_a_session_that_is_fired_first_remembers_the_manager_too(
    storage: BaseTriggerStorage, register_manager: Register
) -> None:
    register_manager(Custom)
    Custom(storage).fire("go")
    assert storage.manager_key == "custom"
    with pytest.raises(ManagerMismatch):
        TriggerManager(storage).update_configuration(CONFIGURATION)


def test_a_firing_of_the_base_manager_leaves_it_to_the_first_configuration(
    storage: BaseTriggerStorage, register_manager: Register
) -> None:
    TriggerManager(storage).fire("go")
    assert storage.manager_key is None
    register_manager(Custom)(storage).update_configuration(CONFIGURATION)
    assert storage.manager_key == "custom"
    with pytest.raises(ManagerMismatch):
        TriggerManager(storage).fire("go")


@pytest.mark.parametrize("storage", [None, "order-17"])
def test_a_manager_without_a_session_is_refused_at_once(storage: Any) -> None:
    with pytest.raises(TypeError, match=f"storage={storage!r}: expected a handle on a session"):
        TriggerManager(storage)


def test_an_instance_of_another_session_is_refused(manager: TriggerManager, join: Callable[[], None]) -> None:
    # given two sessions with a failed instance of the same name
    other = TriggerManager(BaseTriggerStorage("order-18", manager.storage.store))
    for each in (manager, other):
        each.update_configuration(CONFIGURATION)
        each.fire("go")
    join()
    before = other.storage.debug_repr()
    for one in (manager.storage["t_fail#0"], *manager.storage, *manager.storage.instances_of_task("t_fail").values()):
        for change in (
            other.replay_failed_instance,
            other.skip_failed_instance,
            lambda it: other.update_instance_status(it, "finished"),
            lambda it: other.update_instance_metadata(it, {"note": 1}),
            other.mark_instance_logs_resolved,
        ):
            with pytest.raises(ValueError, match=r"'t_fail#0' is one of session 'order-17'.*session 'order-18'"):
                change(one)
    assert other.storage.debug_repr() == before
    # what a manager returns is of its session, too
    returned = manager.update_instance_metadata("t_fail#0", {"note": 1})
    with pytest.raises(ValueError, match="order-17"):
        other.skip_failed_instance(returned)
    manager.skip_failed_instance(returned)


CHANGES: list[Callable[[TriggerManager], object]] = [
    lambda manager: manager.fire("go"),
    lambda manager: manager.update_configuration(CONFIGURATION),
    lambda manager: manager.replay_failed_instance("t_fail#0"),
    lambda manager: manager.skip_failed_instance("t_fail#0"),
    lambda manager: manager.update_instance_status("t_fail#0", "finished"),
    lambda manager: manager.update_instance_metadata("t_fail#0", {"note": 1}),
    lambda manager: manager.mark_instance_logs_resolved("t_fail#0"),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("cls", [TriggerManager, Unregistered])
def test_a_change_through_another_manager_is_refused(
    custom: TriggerManager, join: Callable[[], None], change: Callable[[TriggerManager], object], cls: Any
) -> None:
    custom.fire("go")
    join()
    before = custom.storage.store.state(custom.storage.uid)
    with pytest.raises(ManagerMismatch, match=r"'custom'.*allow_manager_change=True") as caught:
        change(cls(custom.storage))
    assert caught.value.recorded == "custom"
    assert caught.value.used == trigger_managers.key_of(cls)
    assert str(caught.value.used or cls.__name__) in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert custom.storage.store.state(custom.storage.uid) == before


def test_who_insists_hands_the_session_over(custom: TriggerManager, events: Callable[[], list[Any]]) -> None:
    TriggerManager(custom.storage, allow_manager_change=True).fire("other")
    assert custom.storage.manager_key == "default"
    first = events()[-1].changes[0]
    assert (first.action, first.target) == ("session", "default")
    with pytest.raises(ManagerMismatch):
        custom.fire("go")


def test_a_class_without_a_key_records_none(custom: TriggerManager) -> None:
    Unregistered(custom.storage, allow_manager_change=True).fire("other")
    assert custom.storage.manager_key is None
    TriggerManager(custom.storage).fire("go")
    assert custom.storage.manager_key is None


def test_the_registry_passes_the_insistence_on(custom: TriggerManager) -> None:
    trigger_managers.get("default", custom.storage, allow_manager_change=True).fire("other")
    assert custom.storage.manager_key == "default"


def test_a_key_is_looked_up_by_class_and_never_inherited(storage: BaseTriggerStorage) -> None:
    Unregistered(storage).update_configuration(CONFIGURATION)
    assert storage.manager_key is None


def test_cascades_go_through_the_same_manager(
    storage: BaseTriggerStorage, register_manager: Register, join: Callable[[], None]
) -> None:
    fired: list[tuple[str, type]] = []

    class Seeing(TriggerManager):
        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            fired.append((trigger_name, type(self)))

    register_manager(Seeing)
    manager = Seeing(storage)
    manager.update_configuration({"t_a": {"after": ["go"], "run": DevNullTask.name}})
    manager.fire("go")
    join()
    assert sorted(fired, key=str) == [("go", Seeing), ("t_a", Seeing)]


def test_a_class_registered_again_runs_the_cascades(
    storage: BaseTriggerStorage, register_manager: Register, define: Callable[..., str], join: Callable[[], None]
) -> None:
    # given a manager in use
    class Renewed(TriggerManager):
        pass

    register_manager(Renewed)
    manager = Renewed(storage)
    manager.update_configuration({"t_a": {"after": ["go"], "run": define(lambda task, context: None)}})
    # when the cell that defines it runs again, and the old object fires
    fired = []

    class Again(TriggerManager):
        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            fired.append(trigger_name)

    trigger_managers.register("renewed")(Again)
    # then the old class has no key any more
    with pytest.raises(ManagerMismatch):
        manager.fire("go")
    Again(storage).fire("go")
    join()
    assert sorted(fired) == ["go", "t_a"]


def test_an_override_of_a_public_method_is_warned_about_once(storage: BaseTriggerStorage) -> None:
    class Overriding(TriggerManager):
        def fire(self, *args: Any, **kwargs: Any) -> None:
            super().fire(*args, **kwargs)

    with pytest.warns(UserWarning, match=r"Overriding overrides fire.*not for cascades.*_post_fire"):
        Overriding(storage)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Overriding(storage)


def test_an_override_of_a_hook_or_a_method_of_its_own_is_not(storage: BaseTriggerStorage) -> None:
    class Proper(TriggerManager):
        default_task_runner_name = "threading"

        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            pass

        def finalise(self) -> None:
            pass

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Proper(storage)


# Sessions that do not exist


@pytest.mark.parametrize("change", CHANGES[2:])
def test_a_session_that_does_not_exist_is_an_error(
    manager: TriggerManager, change: Callable[[TriggerManager], object]
) -> None:
    with pytest.raises(UnknownSession, match="order-17"):
        change(manager)
    assert not manager.storage.exists()


@pytest.mark.parametrize("change", CHANGES[:2])
def test_the_first_configuration_or_firing_makes_a_session(
    manager: TriggerManager, change: Callable[[TriggerManager], object]
) -> None:
    change(manager)
    assert manager.storage.exists()


def test_a_session_deleted_meanwhile_is_an_error_and_not_made_again(manager: TriggerManager) -> None:
    manager.update_configuration({"t_a": {"after": ["x", "y"], "run": "app.Task"}})
    manager.fire("x")
    manager.storage.store.delete(manager.storage.uid)
    with pytest.raises(UnknownSession):
        manager.update_instance_metadata("t_a#0", {"note": 1})
    assert not manager.storage.exists()


def test_a_session_made_again_meanwhile_is_another_one(manager: TriggerManager) -> None:
    # given a manager that knows a session
    manager.update_configuration({"t_a": {"after": ["x", "y"], "run": "app.Task"}})
    manager.fire("x")
    # when it is deleted and made again by another
    manager.storage.store.delete(manager.storage.uid)
    other = TriggerManager(BaseTriggerStorage(manager.storage.uid, manager.storage.store))
    other.update_configuration({"t_b": {"after": ["x", "y"], "run": "app.Task"}})
    # then the first one works on what is there now
    manager.fire("x")
    assert [each.name for each in manager.storage] == ["t_b#0"]


# What is refused changes nothing


@pytest.mark.parametrize("bad", [{"t_x": {"after": [], "run": "app.Task"}}, {"t_x": {"after": ["a"]}}, 5, {"t#1": {}}])
def test_a_bad_configuration_is_refused_whole(manager: TriggerManager, bad: Any) -> None:
    manager.update_configuration(CONFIGURATION)
    before = manager.storage.store.state(manager.storage.uid)
    with pytest.raises(ConfigurationError):
        manager.update_configuration({"t_good": CONFIGURATION["t_fail"], **bad} if isinstance(bad, dict) else bad)
    assert manager.storage.store.state(manager.storage.uid) == before


@pytest.mark.parametrize("name", ["", None, 5, b"go", "a\nb", "\ud800", "x" * 501, ["go"]])
def test_a_wrong_trigger_name_is_refused(manager: TriggerManager, name: Any) -> None:
    with pytest.raises(InvalidValue, match="trigger_name"):
        manager.fire(name)
    assert not manager.storage.exists()


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda manager: manager.fire("go", {"a": object()}), "trigger_kwargs['a']"),
        (lambda manager: manager.fire("go", {5: 1}), "trigger_kwargs[5]"),
        (lambda manager: manager.fire("go", [("a", 1)]), "trigger_kwargs"),
        (lambda manager: manager.replay_failed_instance("t_fail#0", {"go": {"a": (1,)}}), "replacement_kwargs['go']"),
        (lambda manager: manager.replay_failed_instance("t_fail#0", {5: {}}), "replacement_kwargs[5]"),
        (lambda manager: manager.replay_failed_instance("t_fail#0", {"": {}}), "replacement_kwargs['']"),
        (lambda manager: manager.replay_failed_instance("t_fail#0", {"go": 5}), "replacement_kwargs['go']"),
        (lambda manager: manager.replay_failed_instance("t_fail#0", 5), "replacement_kwargs"),
        (lambda manager: manager.skip_failed_instance("t_fail#0", True, {"a": {1, (2,)}}), "result['a']"),
        (lambda manager: manager.skip_failed_instance("t_fail#0", True, 5), "result"),
        (lambda manager: manager.update_instance_status("t_fail#0", "skipped", {"a": object()}), "metadata['a']"),
        (
            lambda manager: manager.update_instance_status("t_fail#0", "skipped", None, True, {"a": object()}),
            "cascade_kwargs['a']",
        ),
        (lambda manager: manager.update_instance_metadata("t_fail#0", {"a": float("inf")}), "metadata['a']"),
        (lambda manager: manager.update_instance_metadata("t_fail#0", 5), "metadata"),
    ],
)
def test_a_value_that_cannot_be_stored_is_refused_with_its_path_and_changes_nothing(
    manager: TriggerManager, join: Callable[[], None], change: Callable[[TriggerManager], object], path: str
) -> None:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go")
    join()
    before = manager.storage.store.state(manager.storage.uid)
    with pytest.raises(InvalidValue) as caught:
        change(manager)
    assert caught.value.path.startswith(path)
    assert manager.storage.store.state(manager.storage.uid) == before


@pytest.mark.parametrize("target", [None, 5, b"t_fail#0", ["t_fail#0"]])
def test_an_instance_is_named_or_given(manager: TriggerManager, target: Any) -> None:
    with pytest.raises(TypeError, match="instance's name"):
        manager.skip_failed_instance(target)


@pytest.mark.parametrize("method", ["replay_failed_instance", "skip_failed_instance", "mark_instance_logs_resolved"])
def test_an_unknown_name_suggests_near_ones(manager: TriggerManager, join: Callable[[], None], method: str) -> None:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go")
    join()
    with pytest.raises(UnknownInstance, match=r"no instance 't_fial#0'\. Did you mean 't_fail#0'"):
        getattr(manager, method)("t_fial#0")
    with pytest.raises(KeyError):
        manager.storage["t_fial#0"]


# Objects read earlier


def test_a_stale_object_is_never_trusted(
    manager: TriggerManager, statuses: Callable[[], dict[str, str]], join: Callable[[], None]
) -> None:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go")
    join()
    stale = manager.storage["t_fail#0"]
    manager.replay_failed_instance(stale)
    join()
    # the object still says "failed", and has been replayed nevertheless
    assert stale.status == "failed"
    with pytest.raises(InvalidStatus, match="'t_fail#0' is replayed"):
        manager.replay_failed_instance(stale)
    with pytest.raises(InvalidStatus, match="'t_fail#0' is replayed"):
        manager.skip_failed_instance(stale)
    with pytest.raises(InvalidStatus):
        manager.update_instance_status(stale, "finished")
    assert statuses() == {"t_fail#0": "replayed", "t_fail#1": "failed"}


def test_changing_an_object_changes_nothing_stored(manager: TriggerManager, join: Callable[[], None]) -> None:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go", {"a": [1]})
    join()
    instance = manager.storage["t_fail#0"]
    instance.kwargs["go"]["a"].append(2)
    instance.metadata["exceptionMessage"] = "scribbled"
    instance.status = "finished"
    instance.config.after.add("scribbled")
    manager.storage.latest_kwargs["go"]["a"].append(3)
    manager.storage.metadata["latest_kwargs"]["go"]["a"].append(4)
    manager.update_instance_metadata(instance, {"note": 1})
    stored = manager.storage["t_fail#0"]
    assert stored.kwargs == {"go": {"a": [1]}}
    assert stored.metadata["exceptionMessage"] == "this task always fails"
    assert stored.status == "failed"
    assert stored.config.after == {"go"}
    assert manager.storage.latest_kwargs == {"go": {"a": [1]}}


def test_changing_what_was_passed_in_changes_nothing_stored(manager: TriggerManager, join: Callable[[], None]) -> None:
    manager.update_configuration(CONFIGURATION)
    kwargs = {"a": [1]}
    manager.fire("go", kwargs)
    join()
    replacement = {"go": {"b": [1]}}
    manager.replay_failed_instance("t_fail#0", replacement)
    join()
    metadata = {"note": [1]}
    manager.update_instance_metadata("t_fail#1", metadata)
    for value in (kwargs["a"], replacement["go"]["b"], metadata["note"]):
        value.append(2)
    assert manager.storage["t_fail#0"].kwargs == {"go": {"a": [1]}}
    assert manager.storage["t_fail#1"].kwargs == {"go": {"b": [1]}}
    assert manager.storage["t_fail#1"].metadata["note"] == [1]
    assert manager.storage.latest_kwargs == {"go": {"a": [1]}}


def test_update_status_returns_the_instance_as_it_is_then(manager: TriggerManager, join: Callable[[], None]) -> None:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go")
    join()
    after = manager.update_instance_status("t_fail#0", "finished", {"note": 1})
    assert (after.status, after.metadata["note"]) == ("finished", 1)
    assert after.revision == manager.storage["t_fail#0"].revision
    again = manager.update_instance_status(after, "finished", {"note": 2}, cascade=True)
    assert again.metadata["note"] == 2
    assert "t_fail" not in manager.storage.latest_kwargs


# Several at once


def all_at_once(n: int, call: Callable[[int], object]) -> list[BaseException | None]:
    """Call from `n` threads at the same time; the error of each, or None."""
    barrier = threading.Barrier(n)

    def run(number: int) -> BaseException | None:
        barrier.wait()
        try:
            call(number)
        except Exception as error:
            return error
        return None

    with ThreadPoolExecutor(n) as pool:
        return list(pool.map(run, range(n)))


@pytest.mark.parametrize("is_shared", [True, False])
def test_of_several_that_fire_once_one_does(
    manager: TriggerManager, is_shared: bool, events: Callable[[], list[Any]], join: Callable[[], None]
) -> None:
    store, uid = manager.storage.store, manager.storage.uid
    manager.update_configuration({"t_every": {"after": [], "andEvery": "done", "run": PassThruTask.name}})

    def fire(number: int) -> None:
        target = manager if is_shared else TriggerManager(BaseTriggerStorage(uid, store))
        target.fire("done", {"n": number}, once=True)

    assert all_at_once(8, fire) == [None] * 8
    join()
    assert [event.action for event in events()].count("fire") == 1
    assert [each.name for each in manager.storage] == ["t_every#0"]


def test_of_several_that_make_a_session_by_firing_once_one_does(manager: TriggerManager) -> None:
    store, uid = manager.storage.store, manager.storage.uid
    all_at_once(8, lambda n: TriggerManager(BaseTriggerStorage(uid, store)).fire("go", {"n": n}, once=True))
    assert len(store.events(uid)) == 1


@pytest.mark.parametrize("method", ["skip_failed_instance", "replay_failed_instance"])
def test_of_several_that_skip_or_replay_one_does_and_the_others_get_the_error(
    manager: TriggerManager, method: str, events: Callable[[], list[Any]], join: Callable[[], None]
) -> None:
    store, uid = manager.storage.store, manager.storage.uid
    manager.update_configuration({**CONFIGURATION, "t_next": {"after": ["t_fail"], "run": DevNullTask.name}})
    manager.fire("go")
    join()
    arguments = (True,) if method == "skip_failed_instance" else ()
    errors = all_at_once(
        6, lambda n: getattr(TriggerManager(BaseTriggerStorage(uid, store)), method)("t_fail#0", *arguments)
    )
    join()
    assert sorted(type(error).__name__ for error in errors) == ["InvalidStatus"] * 5 + ["NoneType"]
    assert [event.action for event in events()].count(method.partition("_")[0]) == 1
    if method == "skip_failed_instance":
        assert [event.action for event in events()].count("finish") == 1
        assert manager.storage["t_next#0"].status == "finished"


def test_many_threads_on_one_manager_lose_and_double_nothing(
    manager: TriggerManager, join: Callable[[], None], define: Callable[..., str]
) -> None:
    ran: list[int] = []
    run = define(lambda task, context: ran.append(context.trigger_kwargs["tick"]["n"]), name="app.Noting")
    manager.update_configuration({
        "t_every": {"after": [], "andEvery": "tick", "run": run},
        "t_after": {"after": [], "andEvery": "t_every", "run": DevNullTask.name},
    })  # fmt: skip

    def fire(thread: int) -> None:
        for number in range(20):
            manager.fire("tick", {"n": thread * 1000 + number})

    assert all_at_once(8, fire) == [None] * 8
    join()
    assert sorted(ran) == [thread * 1000 + number for thread in range(8) for number in range(20)]
    instances = manager.storage.instances_of_task("t_every")
    assert sorted(each.kwargs["tick"]["n"] for each in instances.values()) == sorted(ran)
    assert {each.status for each in manager.storage} == {"finished"}
    assert len(manager.storage.instances_of_task("t_after")) == 160
    assert manager.storage.counts()["s:finished"] == 320
    assert manager.get_unresolved_tasks() == []


def test_a_decision_rests_on_one_moment_although_others_use_the_same_handle(manager: TriggerManager) -> None:
    # given a session that this handle knows
    manager.fire("tick", {"n": 0})
    seen = []

    def decide(work: Any) -> None:
        before = work.latest("tick")
        if not seen:  # when another thread fires through it in the middle of a decision
            thread = threading.Thread(target=manager.fire, args=("tick", {"n": 1}))
            thread.start()
            thread.join()
        seen.append((before.n_fired, work.latest("tick").n_fired))
        work.change("test", "")

    manager.storage.transact("test", decide)
    # then each attempt saw one moment, and the last one the current
    assert seen == [(1, 1), (2, 2)]
