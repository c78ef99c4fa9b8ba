"""Inside ``acquire_lock()`` instances are drafts, which ``save()`` commits as one, or not at all."""

import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.work import HANDOVER
from triggers_nb.errors import (
    InvalidStatus,
    InvalidValue,
    LockAcquisitionFailed,
    StaleTarget,
    UnknownInstance,
    UnknownSession,
    UnknownTask,
)
from triggers_nb.manager import TriggerManager
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.cache import CacheStorageBackend
from triggers_nb.storages.store import Store
from triggers_nb.testing import DevNullTask, FailingTask

CONFIGURATION: dict[str, Any] = {
    "t_wait": {"after": ["go", "later"], "unless": ["stop"], "run": DevNullTask.name},
    "t_fail": {"after": ["go"], "run": FailingTask.name},
}


@pytest.fixture
def ran(manager: TriggerManager, join: Callable[[], None]) -> TriggerManager:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go", {"n": 1})
    join()
    return manager


def other_handle(storage: BaseTriggerStorage) -> BaseTriggerStorage:
    return BaseTriggerStorage(storage.uid, storage.store)


# Creating


@pytest.mark.parametrize("as_config", [True, False])
def test_an_instance_is_created(ran: TriggerManager, as_config: bool, statuses: Callable[[], dict[str, str]]) -> None:
    with ran.storage.acquire_lock() as writable:
        draft = writable.create_instance(task_config=writable.tasks["t_wait"] if as_config else "t_wait")
        assert (draft.name, draft.status, draft.kwargs, draft.revision) == ("t_wait#1", "unstarted", {}, 0)
        assert "t_wait#1" not in statuses()
        writable.save()
        assert draft.revision == ran.storage["t_wait#1"].revision > 0
    assert statuses()["t_wait#1"] == "unstarted"


def test_an_instance_is_created_as_it_is_wanted(ran: TriggerManager) -> None:
    with ran.storage.acquire_lock() as writable:
        writable.create_instance(
            "t_wait",
            status=TaskInstance.STATUS_FAILED,
            metadata={"note": 1, "logLevel": 40, "depth": 2, "parent": "t_wait#0"},
            kwargs={"go": {"n": 2}},
            abandonState=["stop"],
        )
        writable.save()
    created = ran.storage["t_wait#1"]
    assert (created.status, created.kwargs, created.abandon_state) == ("failed", {"go": {"n": 2}}, {"stop"})
    assert (created.metadata["note"], created.log_level, created.depth) == (1, 40, 2)
    assert created.metadata["timestamps"].keys() == {"created", "lastModified", "unstarted", "failed"}
    assert ran.storage.counts()["s:failed"] == 2
    assert ran.storage.counts()["l:40"] == 1


def test_several_are_numbered_in_order_and_after_a_save_it_goes_on(ran: TriggerManager) -> None:
    with ran.storage.acquire_lock() as writable:
        names = [writable.create_instance("t_wait").name for _ in range(3)]
        writable.save()
        names.append(writable.create_instance("t_wait").name)
        writable.save()
        writable.save()
    assert names == ["t_wait#1", "t_wait#2", "t_wait#3", "t_wait#4"]
    assert list(ran.storage.instances_of_task("t_wait")) == ["t_wait#0", *names]


def test_a_created_instance_takes_part_in_what_happens_then(ran: TriggerManager, join: Callable[[], None]) -> None:
    with ran.storage.acquire_lock() as writable:
        writable.create_instance("t_wait", kwargs={"go": {"n": 2}})
        writable.save()
    ran.fire("later")
    join()
    assert ran.storage["t_wait#1"].status == "finished"
    assert ran.storage["t_wait#1"].kwargs == {"go": {"n": 2}, "later": {}}


def test_the_task_must_exist(ran: TriggerManager) -> None:
    with ran.storage.acquire_lock() as writable, pytest.raises(UnknownTask, match="Did you mean 't_wait'"):
        writable.create_instance("t_wiat")


def test_a_clone_is_an_unstarted_copy(ran: TriggerManager) -> None:
    ran.fire("other")
    with ran.storage.acquire_lock() as writable:
        writable["t_wait#0"].abandon_state.add("stop")
        clone = writable.clone_instance("t_wait#0")
        again = writable.clone_instance(clone)
        writable.save()
    assert (clone.name, again.name) == ("t_wait#1", "t_wait#2")
    stored = ran.storage["t_wait#2"]
    assert (stored.status, stored.kwargs, stored.abandon_state) == ("unstarted", {"go": {"n": 1}}, {"stop"})
    assert (stored.metadata["parent"], stored.depth) == ("t_wait#1", 2)


def test_a_clone_shares_nothing_with_what_it_was_made_of(ran: TriggerManager) -> None:
    with ran.storage.acquire_lock() as writable:
        clone = writable.clone_instance(writable["t_wait#0"])
        clone.abandon_state.add("x")
        clone.kwargs["later"] = {}
        assert writable["t_wait#0"].abandon_state == set()
        assert writable["t_wait#0"].kwargs.keys() == {"go"}


# Changing


def test_all_drafts_are_committed_as_one(ran: TriggerManager, events: Callable[[], list[Any]]) -> None:
    before = len(events())
    with ran.storage.acquire_lock() as writable:
        writable["t_wait#0"].status = "abandoned"
        writable["t_fail#0"].metadata["note"] = 1
        writable["t_fail#0"].kwargs = {"go": {"n": 3}}
        writable.create_instance("t_fail")
        writable.save()
    (event,) = events()[before:]
    assert event.action == "edit"
    assert {change.target for change in event.changes} == {"t_wait#0", "t_fail#0", "t_fail#1"}
    assert ran.storage["t_wait#0"].status == "abandoned"
    assert ran.storage["t_fail#0"].kwargs == {"go": {"n": 3}}


@pytest.mark.parametrize("is_broken", [True, False])
def test_without_save_nothing_is_committed(ran: TriggerManager, is_broken: bool) -> None:
    before = ran.storage.store.state(ran.storage.uid)
    try:
        with ran.storage.acquire_lock() as writable:
            writable["t_wait#0"].status = "abandoned"
            writable.create_instance("t_fail")
            if is_broken:
                raise LookupError
    except LookupError:
        pass
    assert ran.storage.store.state(ran.storage.uid) == before
    ran.fire("the lock is free again")


def test_saving_what_was_not_changed_commits_nothing(ran: TriggerManager, events: Callable[[], list[Any]]) -> None:
    before = len(events())
    with ran.storage.acquire_lock() as writable:
        assert [each.metadata for each in writable]
        assert writable["t_wait#0"].kwargs == {"go": {"n": 1}}
        writable.save()
    assert len(events()) == before


@pytest.mark.parametrize(("before", "after"), [(1, True), (1, 1.0), (0, False), ([1], [True])])
def test_a_value_that_is_equal_but_another_is_saved(ran: TriggerManager, before: Any, after: Any) -> None:
    ran.update_instance_metadata("t_wait#0", {"note": before})
    with ran.storage.acquire_lock() as writable:
        writable["t_wait#0"].metadata["note"] = after
        writable.save()
    assert repr(ran.storage["t_wait#0"].metadata["note"]) == repr(after)


def test_everything_is_read_through_the_drafts(ran: TriggerManager) -> None:
    with ran.storage.acquire_lock() as writable:
        created = writable.create_instance("t_wait")
        draft = writable["t_wait#0"]
        draft.status = "skipped"
        assert writable["t_wait#0"] is draft
        assert {each.name: each.status for each in writable} == {
            "t_fail#0": "failed",
            "t_wait#0": "skipped",
            "t_wait#1": "unstarted",
        }
        assert writable.instances["t_wait#0"] is draft
        assert writable.instances_of_task("t_wait") == {"t_wait#0": draft, "t_wait#1": created}
        assert list(writable.iter_instances()) == list(writable)
        assert writable.latest_kwargs == {"go": {"n": 1}}
        assert writable.tasks.keys() == CONFIGURATION.keys()
        with pytest.raises(UnknownInstance):
            writable["t_wait#2"]


def test_an_unstarted_instance_that_is_changed_is_found_by_the_next_firing(
    ran: TriggerManager, statuses: Callable[[], dict[str, str]], join: Callable[[], None]
) -> None:
    # given one that lost its trigger, and one that has all but was not scheduled
    with ran.storage.acquire_lock() as writable:
        writable["t_wait#0"].kwargs = {}
        writable.create_instance("t_wait", kwargs={"go": {}, "later": {}})
        writable.create_instance("t_wait", abandonState={"stop"})
        writable.save()
    assert ran.storage["t_wait#1"].can_run
    # when a trigger of the task fires
    ran.fire("later")
    join()
    # then each is where it belongs
    found = statuses()
    assert found["t_wait#0"] == "unstarted"
    assert found["t_wait#1"] == "finished"
    assert found["t_wait#2"] == "abandoned"
    ran.fire("go")
    join()
    assert statuses()["t_wait#0"] == "finished"


def test_naive_moments_come_back(ran: TriggerManager) -> None:
    moment = datetime(2018, 4, 1, 12, 30, 0, 7)
    with ran.storage.acquire_lock() as writable:
        writable["t_fail#0"].metadata["timestamps"] = {"created": moment, "lastModified": moment}
        created = writable.create_instance("t_wait", metadata={"timestamps": {"lastModified": moment}})
        writable.save()
        assert created.last_modified == moment
    stored = ran.storage["t_fail#0"]
    assert stored.metadata["timestamps"]["created"] == moment
    assert stored.last_modified == moment
    assert ran.storage["t_wait#1"].last_modified == moment
    # until the engine changes the instance
    after = ran.update_instance_metadata("t_fail#0", {"note": 1})
    assert after.last_modified is not None
    assert after.last_modified.tzinfo is UTC
    assert after.metadata["timestamps"]["created"] == moment


def test_a_scheduled_instance_that_is_resolved_is_not_handed_over(ran: TriggerManager) -> None:
    ran.update_configuration({"t_wait": {**CONFIGURATION["t_wait"], "using": "no such runner"}})
    ran.storage.handover = "defer"
    ran.fire("later")
    assert ran.storage["t_wait#0"].status == "scheduled"
    with ran.storage.acquire_lock() as writable:
        writable["t_wait#0"].status = "skipped"
        writable.save()
    state = ran.storage.store.state(ran.storage.uid)
    assert state is not None
    assert HANDOVER + "t_wait#0" not in state.due


# What is refused


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda draft: setattr(draft, "status", "scheduled"), InvalidStatus),
        (lambda draft: setattr(draft, "status", "running"), InvalidStatus),
        (lambda draft: setattr(draft, "status", "replayed"), InvalidStatus),
        (lambda draft: setattr(draft, "status", "fnished"), InvalidStatus),
        (lambda draft: setattr(draft, "status", None), InvalidStatus),
        (lambda draft: draft.metadata.update(note=object()), InvalidValue),
        (lambda draft: draft.metadata.update(logLevel="high"), InvalidValue),
        (lambda draft: draft.metadata.update(timestamps=5), InvalidValue),
        (lambda draft: draft.metadata.update({5: 1}), InvalidValue),
        (lambda draft: draft.kwargs.update(go={"n": float("nan")}), InvalidValue),
        (lambda draft: draft.kwargs.update(go=5), InvalidValue),
        (lambda draft: draft.kwargs.update({5: {}}), InvalidValue),
        (lambda draft: draft.kwargs.update({"": {}}), InvalidValue),
        (lambda draft: draft.abandon_state.add(5), InvalidValue),
        (lambda draft: setattr(draft, "abandon_state", {"x", ""}), InvalidValue),
    ],
)
def test_a_draft_that_cannot_be_saved_prevents_all_of_it(
    ran: TriggerManager, change: Callable[[TaskInstance], object], error: type[Exception]
) -> None:
    before = ran.storage.store.state(ran.storage.uid)
    with ran.storage.acquire_lock() as writable:
        writable["t_fail#0"].metadata["note"] = 1
        writable.create_instance("t_fail")
        change(writable["t_wait#0"])
        with pytest.raises(error):
            writable.save()
    assert ran.storage.store.state(ran.storage.uid) == before


@pytest.mark.parametrize("status", ["finished", "skipped", "abandoned"])
def test_a_resolved_instance_stays_resolved(ran: TriggerManager, status: str) -> None:
    ran.update_instance_status("t_fail#0", status)
    with ran.storage.acquire_lock() as writable:
        writable["t_fail#0"].status = "failed"
        with pytest.raises(InvalidStatus, match="resolved"):
            writable.save()


@pytest.mark.parametrize("status", ["scheduled", "running"])
def test_only_the_engine_schedules_and_starts(ran: TriggerManager, status: str) -> None:
    with ran.storage.acquire_lock() as writable:
        writable.create_instance("t_wait", status=status)
        with pytest.raises(InvalidStatus, match="only the engine"):
            writable.save()


def test_a_draft_of_what_changed_meanwhile_is_not_saved(ran: TriggerManager) -> None:
    with ran.storage.acquire_lock() as writable:
        writable["t_fail#0"].metadata["note"] = "draft"
        writable["t_wait#0"].metadata["note"] = "draft"
        ran.update_instance_metadata("t_fail#0", {"note": "manager"})
        with pytest.raises(StaleTarget):
            writable.save()
    assert ran.storage["t_fail#0"].metadata["note"] == "manager"
    assert "note" not in ran.storage["t_wait#0"].metadata


def test_an_instance_created_meanwhile_is_not_overwritten(ran: TriggerManager, join: Callable[[], None]) -> None:
    with ran.storage.acquire_lock() as writable:
        writable.create_instance("t_fail", metadata={"note": "draft"})
        ran.replay_failed_instance("t_fail#0")
        with pytest.raises(StaleTarget):
            writable.save()
    join()
    assert ran.storage["t_fail#1"].metadata["parent"] == "t_fail#0"


def test_a_session_that_does_not_exist_has_nothing_to_save(storage: BaseTriggerStorage) -> None:
    with storage.acquire_lock() as writable:
        with pytest.raises(UnknownSession):
            writable.create_instance("t_wait")
        assert list(writable) == []
        with pytest.raises(UnknownSession):
            writable.save()
    assert not storage.exists()


def test_a_configuration_and_its_instances_may_be_saved_together(
    storage: BaseTriggerStorage, events: Callable[[], list[Any]]
) -> None:
    with storage.acquire_lock() as writable:
        writable.update_configuration(CONFIGURATION)
        writable.save()
        writable.create_instance("t_wait")
        writable.save()
    assert storage["t_wait#0"].config.after == {"go", "later"}
    assert [event.action for event in events()] == ["edit", "edit"]


# The lock


def test_managers_and_nested_blocks_work_inside(ran: TriggerManager, statuses: Callable[[], dict[str, str]]) -> None:
    with ran.storage.acquire_lock() as outer:
        ran.fire("other")
        outer["t_wait#0"].metadata["note"] = 1
        with outer.acquire_lock() as inner:
            assert inner["t_wait#0"] is outer["t_wait#0"]
        with ran.storage.acquire_lock() as separate:
            separate.create_instance("t_wait")
            separate.save()
        # and the outer block still holds the lock
        with pytest.raises(LockAcquisitionFailed), other_handle(ran.storage).acquire_lock(block=False):
            pass
        outer.save()
    assert ran.storage["t_wait#0"].metadata["note"] == 1
    assert "t_wait#1" in statuses()
    assert "other" in ran.storage.latest_kwargs


def test_others_wait_until_it_is_released(ran: TriggerManager) -> None:
    fired, started = threading.Event(), threading.Event()

    def fire() -> None:
        started.set()
        TriggerManager(other_handle(ran.storage)).fire("other")
        fired.set()

    thread = threading.Thread(target=fire)
    with ran.storage.acquire_lock() as writable:
        thread.start()
        started.wait()
        writable["t_wait#0"].metadata["note"] = 1
        writable.save()
        assert not fired.is_set()
        assert "other" not in ran.storage.latest_kwargs
    thread.join()
    assert "other" in ran.storage.latest_kwargs


def test_the_lock_belongs_to_the_thread_and_not_to_the_handle(ran: TriggerManager) -> None:
    seen: list[str] = []

    def try_to_lock() -> None:
        try:
            with ran.storage.acquire_lock(block=False):
                seen.append("locked")
        except LockAcquisitionFailed as error:
            seen.append(str(error))

    with ran.storage.acquire_lock():
        thread = threading.Thread(target=try_to_lock)
        thread.start()
        thread.join()
    assert "locked by another" in seen[0]
    with ran.storage.acquire_lock(block=False):
        seen.append("free again")


def test_of_many_that_edit_under_the_lock_no_change_is_lost(ran: TriggerManager) -> None:
    def count(handle: BaseTriggerStorage) -> None:
        for _ in range(5):
            with handle.acquire_lock() as writable:
                draft = writable["t_wait#0"]
                draft.metadata["n"] = draft.metadata.get("n", 0) + 1
                writable.save()

    handles = [ran.storage, ran.storage, other_handle(ran.storage), other_handle(ran.storage)]
    threads = [threading.Thread(target=count, args=(handle,)) for handle in handles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ran.storage["t_wait#0"].metadata["n"] == 20


def test_a_lock_that_was_lost_saves_nothing(ran: TriggerManager) -> None:
    store, uid = ran.storage.store, ran.storage.uid
    before = store.state(uid)
    with ran.storage.acquire_lock() as writable:
        writable["t_wait#0"].metadata["note"] = 1
        # when the lease ran out, and somebody else took the lock
        store.release_lock(uid, ran.storage.lock_token)
        assert store.acquire_lock(uid, b"another's", 60) == 0
        with pytest.raises(LockAcquisitionFailed, match="nothing was saved"):
            writable.save()
    assert store.state(uid) == before
    # and leaving the block does not take it from them
    with pytest.raises(LockAcquisitionFailed), ran.storage.acquire_lock(block=False):
        pass
    store.release_lock(uid, b"another's")


def test_the_lock_is_renewed_for_as_long_as_it_is_held(ran: TriggerManager, store: Store) -> None:
    renewed = threading.Event()
    acquire, calls = store.acquire_lock, []

    def watched(uid: str, token: bytes, lease_s: float) -> float:
        calls.append(token)
        if len(calls) >= 3:
            renewed.set()
        return acquire(uid, token, lease_s)

    store.acquire_lock = watched  # type: ignore[method-assign]
    with ran.storage.acquire_lock(ttl=0.3) as writable:
        assert renewed.wait(240)
        writable["t_wait#0"].metadata["note"] = 1
        writable.save()
    assert len(set(calls)) == 1
    assert ran.storage["t_wait#0"].metadata["note"] == 1


def test_save_outside_of_the_block_is_an_error(ran: TriggerManager) -> None:
    with ran.storage.acquire_lock() as writable:
        pass
    with pytest.raises(RuntimeError, match="inside acquire_lock"):
        writable.save()


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf"), 1e9])
def test_a_lease_is_a_positive_number_of_seconds(ran: TriggerManager, ttl: float) -> None:
    with pytest.raises(ValueError, match="ttl"), ran.storage.acquire_lock(ttl=ttl):
        pass


HOLDER = """
import sys, time
from triggers_nb import CacheStorageBackend
with CacheStorageBackend("order-17", sys.argv[1]).acquire_lock(ttl=3) as writable:
    writable.create_instance("t_wait")
    print("held", flush=True)
    time.sleep(600)
"""


def test_nobody_waits_for_a_dead_holder_for_longer_than_its_lease(tmp_path: Path) -> None:
    # given a process that holds the lock
    url = f"sqlite:///{tmp_path / 'sessions.db'}"
    manager = TriggerManager(CacheStorageBackend("order-17", url))
    manager.update_configuration(CONFIGURATION)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(LockAcquisitionFailed), manager.storage.acquire_lock(block=False):
        pass
    # when it is killed
    holder.kill()
    holder.wait()
    # then changes go through, and nothing of its drafts is there
    manager.fire("later")
    assert [each.name for each in manager.storage] == ["t_wait#0"]
    with manager.storage.acquire_lock(block=False) as writable:
        assert writable["t_wait#0"].kwargs == {"later": {}}
    manager.storage.store.close()
