"""A handle carries its mode and its provenance, in every thread, for whoever holds it."""

import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest

from triggers_nb.core.events import Provenance
from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import ReadOnlyError, StaleTarget
from triggers_nb.manager import TriggerManager
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.testing import DevNullTask, FailingTask

CONFIGURATION = {
    "t_ok": {"after": ["go"], "run": DevNullTask.name},
    "t_fail": {"after": ["go"], "run": FailingTask.name},
}

WHO = Provenance(actor="ada", reason="seats were wrong", action_id="a1", plan_id="p1")


@pytest.fixture
def ran(manager: TriggerManager, join: Callable[[], None]) -> TriggerManager:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go")
    join()
    return manager


@pytest.mark.parametrize(
    "change",
    [
        lambda manager: manager.fire("go"),
        lambda manager: manager.fire("go", once=True),
        lambda manager: manager.update_configuration(CONFIGURATION),
        lambda manager: manager.update_configuration({}),
        lambda manager: manager.replay_failed_instance("t_fail#0"),
        lambda manager: manager.skip_failed_instance("t_fail#0"),
        lambda manager: manager.update_instance_status("t_fail#0", "failed"),
        lambda manager: manager.update_instance_metadata("t_fail#0", {}),
        lambda manager: manager.mark_instance_logs_resolved("t_fail#0"),
        lambda manager: manager.recover(),
        lambda manager: manager.storage.acquire_lock().__enter__(),
    ],
)
def test_a_read_only_handle_refuses_every_change(ran: TriggerManager, change: Callable[[Any], object]) -> None:
    before = ran.storage.store.state(ran.storage.uid)
    reader = TriggerManager(ran.storage.derive(mode="read-only"))
    with pytest.raises(ReadOnlyError, match="read-only: nothing was changed"):
        change(reader)
    assert ran.storage.store.state(ran.storage.uid) == before


def test_a_read_only_handle_reads_everything(ran: TriggerManager) -> None:
    reader = ran.storage.derive(mode="read-only")
    assert {each.name for each in reader} == {"t_ok#0", "t_fail#0"}
    assert reader["t_ok#0"].status == "finished"
    assert reader.tasks.keys() == CONFIGURATION.keys()
    assert reader.debug_repr() == ran.storage.debug_repr()
    # and the handle that it was derived from still writes
    ran.fire("go")


def test_it_refuses_in_every_thread(ran: TriggerManager) -> None:
    reader = TriggerManager(ran.storage.derive(mode="read-only"))
    refused = []

    def change() -> None:
        with pytest.raises(ReadOnlyError):
            reader.fire("go")
        refused.append(True)

    thread = threading.Thread(target=change)
    thread.start()
    thread.join()
    assert refused == [True]


def test_it_refuses_inside_a_hook(storage: BaseTriggerStorage, register_manager: Any) -> None:
    class Refusing(TriggerManager):
        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            TriggerManager(self.storage.derive(mode="read-only"), allow_manager_change=True).fire("again")

    manager = register_manager(Refusing)(storage)
    with pytest.raises(ReadOnlyError):
        manager.fire("go")
    assert storage.latest_kwargs.keys() == {"go"}


def test_the_handles_provenance_is_recorded_with_each_commit(
    ran: TriggerManager, events: Callable[[], list[Any]], join: Callable[[], None]
) -> None:
    TriggerManager(ran.storage.derive(provenance=WHO)).replay_failed_instance("t_fail#0")
    join()
    replay = next(event for event in events() if event.action == "replay")
    assert (replay.actor, replay.reason, replay.action_id, replay.plan_id) == ("ada", "seats were wrong", "a1", "p1")
    # what runs because of it is the worker's, and says which worker that is
    claim = next(event for event in reversed(events()) if event.action == "claim")
    assert claim.actor.startswith("threading:")
    assert claim.reason is None


def test_edits_and_hooks_carry_the_provenance_of_their_handle(
    storage: BaseTriggerStorage, register_manager: Any, events: Callable[[], list[Any]]
) -> None:
    class Firing(TriggerManager):
        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            if trigger_name == "go":
                self.fire("hooked")

    manager = register_manager(Firing)(storage.derive(provenance=WHO))
    manager.update_configuration({"t_a": {"after": ["x"], "run": "app.Task"}})
    manager.fire("go")
    with manager.storage.acquire_lock() as writable:
        writable.create_instance("t_a")
        writable.save()
    assert [(event.action, event.actor) for event in events()] == [
        ("configure", "ada"),
        ("fire", "ada"),
        ("fire", "ada"),
        ("edit", "ada"),
    ]


def test_a_handle_without_provenance_records_none(ran: TriggerManager, events: Callable[[], list[Any]]) -> None:
    assert events()[0].actor is None


def test_a_change_that_rests_on_what_was_seen_is_refused_if_it_moved(
    ran: TriggerManager, events: Callable[[], list[Any]]
) -> None:
    seen = ran.storage["t_fail#0"].revision
    planned = TriggerManager(ran.storage.derive(expected={"i:t_fail#0": seen}))
    ran.update_instance_metadata("t_fail#0", {"note": 1})
    n_before = len(events())
    with pytest.raises(StaleTarget, match=rf"\b{seen} was seen") as caught:
        planned.skip_failed_instance("t_fail#0")
    assert (caught.value.cell, caught.value.expected) == ("i:t_fail#0", seen)
    assert caught.value.found == ran.storage["t_fail#0"].revision
    assert len(events()) == n_before


def test_a_change_that_rests_on_what_was_seen_goes_through_if_it_stands(ran: TriggerManager) -> None:
    seen = ran.storage["t_fail#0"].revision
    ran.fire("something else")
    TriggerManager(ran.storage.derive(expected={"i:t_fail#0": seen})).skip_failed_instance("t_fail#0")
    assert ran.storage["t_fail#0"].status == "skipped"


def test_a_handle_cannot_be_pickled(storage: BaseTriggerStorage) -> None:
    with pytest.raises(TypeError, match="uid and URL"):
        pickle.dumps(storage)


@pytest.mark.parametrize("uid", ["", None, 5, b"uid", "\ud800"])
def test_a_uid_is_a_text(store: Any, uid: Any) -> None:
    with pytest.raises(ValueError, match="UID"):
        BaseTriggerStorage(uid, store)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 1e9, "60"])
def test_a_timeout_is_positive_and_finite(store: Any, timeout: Any) -> None:
    with pytest.raises(ValueError, match="timeout"):
        BaseTriggerStorage("uid", store, timeout)
