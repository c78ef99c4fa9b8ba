"""Hooks are called once, after the commit, with what they are promised, whatever else goes wrong."""

import logging
import threading
from collections.abc import Callable
from typing import Any, ClassVar
from unittest import mock

import pytest

from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.work import HOOKS
from triggers_nb.manager import TriggerManager
from triggers_nb.recovery import recover
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.testing import DevNullTask, FailingTask, PassThruTask, SelfRetryingTask, SelfSkippingTask

Register = Callable[[type[TriggerManager]], type[TriggerManager]]

CONFIGURATION: dict[str, Any] = {
    "t_pass": {"after": ["go"], "run": PassThruTask.name},
    "t_fail": {"after": ["go"], "run": FailingTask.name},
    "t_next": {"after": ["t_fail"], "run": PassThruTask.name},
    "t_unless": {"after": ["t_pass"], "unless": ["go"], "run": PassThruTask.name},
}


class Noting(TriggerManager):
    """Notes its calls, and the statuses that the hook saw."""

    calls: list[Any]

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        self.calls.append(("fire", trigger_name, [each.name for each in tasks_scheduled]))

    def _post_replay(self, task_instance: TaskInstance) -> None:
        parent = self.storage[task_instance.metadata["parent"]]
        self.calls.append(("replay", task_instance.name, parent.name, parent.status))

    def _post_skip(self, task_instance: TaskInstance, cascade: bool) -> None:
        seen = self.storage[task_instance.name].status
        self.calls.append(("skip", task_instance.name, task_instance.status, seen, cascade))


@pytest.fixture
def noting(storage: BaseTriggerStorage, register_manager: Register) -> Noting:
    cls: Any = register_manager(type("Noting", (Noting,), {"calls": []}))
    manager = cls(storage)
    manager.update_configuration(CONFIGURATION)
    return manager


def test_a_firing_calls_post_fire_with_what_it_scheduled(noting: Noting, join: Callable[[], None]) -> None:
    noting.fire("go", {"n": 1})
    join()
    # the second is the cascade of the one that finished, which may be faster; what is abandoned is not scheduled
    assert sorted(noting.calls) == [("fire", "go", ["t_fail#0", "t_pass#0"]), ("fire", "t_pass", [])]


def test_a_trigger_that_concerns_nobody_calls_post_fire(noting: Noting) -> None:
    noting.fire("unheard of")
    assert noting.calls == [("fire", "unheard of", [])]


def test_post_replay_receives_the_new_instance(noting: Noting, join: Callable[[], None]) -> None:
    noting.fire("go")
    join()
    noting.calls.clear()
    noting.replay_failed_instance("t_fail#0")
    join()
    assert noting.calls == [("replay", "t_fail#1", "t_fail#0", "replayed")]


def test_post_skip_comes_after_the_cascades_post_fire(noting: Noting, join: Callable[[], None]) -> None:
    noting.fire("go")
    join()
    noting.calls.clear()
    noting.skip_failed_instance("t_fail#0", cascade=True, result={"seats": 178})
    join()
    calls = [call for call in noting.calls if call != ("fire", "t_next", [])]  # what it ran may end at any time
    assert calls == [("fire", "t_fail", ["t_next#0"]), ("skip", "t_fail#0", "skipped", "skipped", True)]
    assert noting.storage["t_next#0"].metadata["result"] == {"kwargs": {"t_fail": {"seats": 178}}}


def test_skip_without_a_cascade_fires_nothing(noting: Noting, join: Callable[[], None]) -> None:
    noting.fire("go")
    join()
    noting.calls.clear()
    noting.skip_failed_instance("t_fail#0")
    assert noting.calls == [("skip", "t_fail#0", "skipped", "skipped", False)]


def test_a_change_by_hand_calls_only_its_cascades_hook(noting: Noting, join: Callable[[], None]) -> None:
    noting.fire("go")
    join()
    noting.calls.clear()
    noting.update_instance_status("t_fail#0", "skipped")
    noting.update_instance_metadata("t_fail#0", {"note": 1})
    noting.mark_instance_logs_resolved("t_fail#0")
    assert noting.calls == []


def test_retries_and_skips_of_tasks_call_hooks(noting: Noting, join: Callable[[], None]) -> None:
    noting.update_configuration({
        "t_retry": {"after": ["again"], "run": SelfRetryingTask.name, "withParams": {"retries": {"max": 1}}},
        "t_skip": {"after": ["never mind"], "run": SelfSkippingTask.name},
    })  # fmt: skip
    noting.fire("again")
    join()
    noting.fire("never mind")
    join()
    assert sorted(noting.calls) == [
        ("fire", "again", ["t_retry#0"]),
        ("fire", "never mind", ["t_skip#0"]),
        ("fire", "t_retry", []),
        ("replay", "t_retry#1", "t_retry#0", "replayed"),
    ]


class Broken(TriggerManager):
    """Every hook raises."""

    calls: list[str]

    def fail(self, hook: str) -> None:
        self.calls.append(hook)
        raise LookupError(f"{hook} is broken")

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        self.fail("_post_fire")

    def _post_replay(self, task_instance: TaskInstance) -> None:
        self.fail("_post_replay")

    def _post_skip(self, task_instance: TaskInstance, cascade: bool) -> None:
        self.fail("_post_skip")


@pytest.fixture
def broken(storage: BaseTriggerStorage, register_manager: Register) -> TriggerManager:
    cls = register_manager(type("Broken", (Broken,), {"calls": []}))
    manager = cls(storage)
    manager.update_configuration(CONFIGURATION)
    return manager


def pending_hooks(storage: BaseTriggerStorage) -> list[str]:
    state = storage.store.state(storage.uid)
    assert state is not None
    return [item for item in state.due if item.startswith(HOOKS)]


def test_the_transition_stands_when_a_hook_raises(
    broken: Any, events: Callable[[], list[Any]], statuses: Callable[[], dict[str, str]], join: Callable[[], None]
) -> None:
    # when the hook of a firing raises
    with pytest.raises(LookupError, match="_post_fire is broken"):
        broken.fire("go")
    # then the firing stands, an event tells of it, and nobody will call the hook again
    join()
    assert statuses()["t_pass#0"] == "finished"
    errors = [event.error for event in events() if event.error]
    assert errors[0] == "builtins.LookupError: _post_fire is broken"
    assert next(change.target for event in events() if event.error for change in event.changes) == "_post_fire"
    assert pending_hooks(broken.storage) == []
    assert broken.recover() == {}


def test_the_error_of_a_hook_reaches_the_caller_of_replay_and_skip(
    broken: Any, statuses: Callable[[], dict[str, str]], join: Callable[[], None]
) -> None:
    with pytest.raises(LookupError):
        broken.fire("go")
    join()
    with pytest.raises(LookupError, match="_post_replay is broken"):
        broken.replay_failed_instance("t_fail#0")
    join()
    with pytest.raises(LookupError, match="_post_skip is broken"):
        broken.skip_failed_instance("t_fail#1")
    assert statuses()["t_fail#0"] == "replayed"
    assert statuses()["t_fail#1"] == "skipped"


def test_a_hook_that_exits_has_failed_and_does_not_end_recovery(
    storage: BaseTriggerStorage, register_manager: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given two firings whose hooks were left out, as a crash does it
    class Exiting(TriggerManager):
        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            raise SystemExit(f"{trigger_name} exits")

    monkeypatch.setattr("triggers_nb.settings.grace_s", lambda: 0.0)
    manager = register_manager(Exiting)(storage)
    with monkeypatch.context() as crash:
        crash.setattr(storage, "call_hooks", False)
        manager.fire("one")
        manager.fire("two")
    assert len(pending_hooks(storage)) == 2
    # when they are called by recovery
    done = manager.recover()
    # then both have failed, and are not called again
    assert sorted(done.values()) == ["failed: SystemExit: one exits", "failed: SystemExit: two exits"]
    assert pending_hooks(storage) == []
    # and the caller of a change gets the error, as of any hook
    with pytest.raises(SystemExit, match="three exits"):
        manager.fire("three")
    assert manager.recover() == {}


def test_each_hook_of_a_change_is_called_although_one_raises(broken: Any, join: Callable[[], None]) -> None:
    with pytest.raises(LookupError):
        broken.fire("go")
    join()
    broken.calls.clear()
    with pytest.raises(LookupError, match="_post_fire is broken"):
        broken.skip_failed_instance("t_fail#0", cascade=True)
    join()
    assert sorted(broken.calls) == ["_post_fire", "_post_fire", "_post_skip"]  # one of them for what the cascade ran


def test_the_error_of_a_cascades_hook_goes_to_the_log(
    broken: Any, statuses: Callable[[], dict[str, str]], join: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="triggers_nb"), pytest.raises(LookupError):
        broken.fire("go")
    join()
    assert statuses()["t_pass#0"] == "finished"
    messages = [record.getMessage() for record in caplog.records]
    assert any("_post_fire" in message and "'t_pass'" in message for message in messages)
    assert not any("could not be run" in message for message in messages)


class Finaliser(TriggerManager):
    """Fires once more when everything is resolved."""

    def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        unresolved = {task.name for task in self.get_unresolved_tasks()}
        if unresolved == {"t_report"}:
            self.fire("sessionFinalized", once=True)


def test_a_hook_may_fire(storage: BaseTriggerStorage, register_manager: Register, join: Callable[[], None]) -> None:
    manager = register_manager(Finaliser)(storage)
    manager.update_configuration({
        "t_a": {"after": ["go"], "run": DevNullTask.name},
        "t_b": {"after": ["go"], "run": DevNullTask.name},
        "t_report": {"after": ["sessionFinalized"], "run": DevNullTask.name},
    })  # fmt: skip
    manager.fire("go")
    join()
    assert [each.status for each in storage] == ["finished"] * 3
    assert manager.get_unresolved_tasks() == []


def test_calls_are_recorded_as_pending_only_for_managers_that_override_a_hook(
    storage: BaseTriggerStorage, register_manager: Register
) -> None:
    # given a manager that looks, inside its hook, at what recovery would find after a crash now
    seen: list[list[str]] = []

    class OnlyFire(TriggerManager):
        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            seen.append(pending_hooks(self.storage))

    manager = register_manager(OnlyFire)(storage)
    manager.update_configuration({"t_fail": {"after": ["go"], "run": "app.Missing"}})
    # when it fires, and when it skips, whose hook it does not override
    manager.fire("go")
    manager.skip_failed_instance("t_fail#0")
    # then only the firing is found
    assert [len(items) for items in seen] == [1]
    assert pending_hooks(storage) == []


def test_a_manager_without_hooks_leaves_nothing_pending(store: Any) -> None:
    items: list[Any] = []
    commit = store.commit

    def watched(uid: str, change: Any) -> Any:
        items.extend(change.due)
        return commit(uid, change)

    store.commit = watched
    manager = TriggerManager(BaseTriggerStorage("plain", store))
    manager.update_configuration({"t_fail": {"after": ["go"], "run": "app.Missing"}})
    manager.fire("go")
    manager.replay_failed_instance("t_fail#0")
    manager.skip_failed_instance("t_fail#1")
    assert items
    assert not [item for item in items if item.startswith(HOOKS)]


def test_what_a_hook_receives_is_its_own(noting: Noting, join: Callable[[], None]) -> None:
    def scribble(trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
        for each in tasks_scheduled:
            each.kwargs["go"]["n"] = "scribbled"
            each.metadata.clear()
            each.status = "scribbled"

    noting._post_fire = scribble  # type: ignore[method-assign]
    noting.fire("go", {"n": 1})
    join()
    assert noting.storage["t_pass#0"].kwargs == {"go": {"n": 1}}
    assert noting.storage["t_pass#0"].status == "finished"
    assert noting.storage.latest_kwargs["go"] == {"n": 1}


def test_a_hook_that_is_set_on_the_object_is_called_also_for_cascades(
    manager: TriggerManager, join: Callable[[], None]
) -> None:
    calls: list[str] = []
    manager.update_configuration(CONFIGURATION)
    manager._post_fire = lambda trigger_name, tasks_scheduled: calls.append(trigger_name)  # type: ignore[method-assign]
    manager.fire("go")
    join()
    assert sorted(calls) == ["go", "t_pass"]
    assert pending_hooks(manager.storage) == []


def test_a_hook_that_is_patched_on_the_base_class_is_called(noting: Noting, storage: BaseTriggerStorage) -> None:
    plain = TriggerManager(BaseTriggerStorage("plain", storage.store))
    with mock.patch.object(TriggerManager, "_post_fire") as patched:
        plain.fire("here")
        noting.fire("there")
    plain.fire("afterwards")
    patched.assert_called_once_with("here", [])
    assert noting.calls == [("fire", "there", [])]


def test_an_async_hook_is_refused_when_its_class_is_defined() -> None:
    with pytest.raises(TypeError, match=r"Waiting\._post_fire is async.*Write it with def"):

        class Waiting(TriggerManager):
            async def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:  # type: ignore[override]
                pass


def test_an_async_hook_that_is_set_later_is_an_error_of_the_change(manager: TriggerManager) -> None:
    async def wait(*_: object) -> None: ...

    manager._post_fire = wait  # type: ignore[assignment, method-assign]
    with pytest.raises(TypeError, match="_post_fire of this TriggerManager is async, and did not run"):
        manager.fire("go")


def test_hooks_of_a_class_without_a_key_wait_for_it_after_a_crash(
    storage: BaseTriggerStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given an unregistered manager that dies between the commit and its hook
    class Unknown(TriggerManager):
        calls: ClassVar[list[str]] = []

        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            self.calls.append(trigger_name)

    monkeypatch.setenv("TRIGGERS_GRACE_S", "0.001")
    with monkeypatch.context() as dying:
        dying.setattr(TriggerManager, "_effects", lambda *_: [])
        Unknown(storage).fire("go")
    # when others recover, then they leave it, and say so
    done = wait_until(lambda: recover(storage.store))
    assert done == {"out of reach": 1}
    assert list(TriggerManager(storage).recover().values()) == ["out of reach"]
    assert Unknown.calls == []
    # when one of its class does, then it is called
    assert list(Unknown(storage).recover().values()) == ["hooks called"]
    assert Unknown.calls == ["go"]
    assert pending_hooks(storage) == []


def test_hooks_after_a_crash_are_those_of_the_manager_that_made_the_session_by_firing(
    storage: BaseTriggerStorage, register_manager: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    cls: Any = register_manager(type("Noting", (Noting,), {"calls": []}))
    monkeypatch.setenv("TRIGGERS_GRACE_S", "0.001")
    with monkeypatch.context() as dying:
        dying.setattr(TriggerManager, "_effects", lambda *_: [])
        cls(storage).fire("go")
    done = wait_until(lambda: recover(storage.store))
    assert done == {"hooks called": 1}
    assert cls.calls == [("fire", "go", [])]


def wait_until(look: Callable[[], Any]) -> Any:
    while not (found := look()):
        threading.Event().wait(0.001)
    return found
