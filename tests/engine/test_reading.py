"""What a session's storage says is the current state, at each access."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from triggers_nb.core.instances import TaskConfig
from triggers_nb.errors import StorageError, UnknownInstance, UnknownSession
from triggers_nb.manager import TriggerManager
from triggers_nb.storages.base import BaseTriggerStorage, storage_backends
from triggers_nb.storages.cache import CacheStorageBackend
from triggers_nb.storages.store import Store
from triggers_nb.testing import DevNullTask, FailingTask, PassThruTask

CONFIGURATION: dict[str, Any] = {
    "t_wait": {"after": ["go", "later"], "unless": ["stop"], "run": DevNullTask.name, "owner": "ops"},
    "t_fail": {"after": [], "andEvery": "go", "run": FailingTask.name, "withParams": {"go": {"x": 1}}},
    "t_none": {"after": ["never"], "run": DevNullTask.name, "using": "threading"},
}


@pytest.fixture
def ran(manager: TriggerManager, join: Callable[[], None]) -> BaseTriggerStorage:
    manager.update_configuration(CONFIGURATION)
    manager.fire("go", {"n": 1})
    join()
    return manager.storage


def test_tasks_are_as_they_were_configured(ran: BaseTriggerStorage) -> None:
    assert list(ran.tasks) == ["t_fail", "t_none", "t_wait"]
    wait, fail, none = (ran.tasks[name] for name in ("t_wait", "t_fail", "t_none"))
    assert (wait.after, wait.unless, wait.extra, wait.run) == (
        {"go", "later"}, {"stop"}, {"owner": "ops"}, DevNullTask.name,
    )  # fmt: skip
    assert (fail.after, fail.and_every, fail.with_params) == ({"go"}, "go", {"go": {"x": 1}})
    assert none.using == "threading"
    assert wait.uses_trigger("stop")
    assert not wait.uses_trigger("never")
    assert TaskConfig("t_wait", **CONFIGURATION["t_wait"]) == wait


def test_a_new_configuration_leaves_unnamed_tasks_and_all_instances_alone(
    ran: BaseTriggerStorage, manager: TriggerManager
) -> None:
    before = {each.name: each.status for each in ran}
    manager.update_configuration({"t_none": {"after": ["go"], "run": "app.Other"}})
    assert ran.tasks["t_none"].run == "app.Other"
    assert ran.tasks["t_none"].using is None
    assert ran.tasks["t_wait"].extra == {"owner": "ops"}
    assert {each.name: each.status for each in ran} == before  # although "go" has fired


def test_instances_by_name(ran: BaseTriggerStorage) -> None:
    assert ran["t_wait#0"].kwargs == {"go": {"n": 1}}
    assert ran["t_wait#0"].config == ran.tasks["t_wait"]
    assert str(ran["t_wait#0"]) == "t_wait#0 (unstarted)"
    assert len(ran.instances) == 2
    assert list(ran.instances) == ["t_fail#0", "t_wait#0"]
    assert "t_wait#0" in ran.instances
    assert "t_wait#1" not in ran.instances
    assert ran.instances["t_fail#0"].status == "failed"
    assert {name: each.status for name, each in ran.instances.items()} == {
        "t_fail#0": "failed",
        "t_wait#0": "unstarted",
    }


@pytest.mark.parametrize("name", ["t_wait#1", "t_wait", "", "t_wait#00", "t_wait#-1", "t_wiat#0", None, 5])
def test_a_name_that_nothing_has_is_a_key_error(ran: BaseTriggerStorage, name: Any) -> None:
    with pytest.raises(UnknownInstance) as caught:
        ran[name]
    assert isinstance(caught.value, KeyError)
    if name in ("t_wait#1", "t_wiat#0", "t_wait"):
        assert "Did you mean 't_wait#0'" in str(caught.value)


def test_instances_of_a_task_in_order_of_creation(
    ran: BaseTriggerStorage, manager: TriggerManager, join: Callable[[], None]
) -> None:
    for _ in range(11):
        manager.fire("go")
    join()
    names = [f"t_fail#{number}" for number in range(12)]
    assert list(ran.instances_of_task("t_fail")) == list(ran.instances_of_task(ran.tasks["t_fail"])) == names
    assert [each.name for each in ran] == [*names, "t_wait#0"]
    assert ran.instances_of_task("t_none") == {}
    assert ran.instances_of_task("unheard of") == {}


def test_what_is_unresolved(ran: BaseTriggerStorage, manager: TriggerManager) -> None:
    assert [task.name for task in ran.get_unresolved_tasks()] == ["t_fail", "t_none", "t_wait"]
    assert [each.name for each in ran.get_unresolved_instances()] == ["t_fail#0", "t_wait#0"]
    manager.skip_failed_instance("t_fail#0")
    manager.fire("stop")
    # a task without an instance stays unresolved
    assert [task.name for task in manager.get_unresolved_tasks()] == ["t_none"]
    assert ran.get_unresolved_instances() == []


def test_latest_kwargs_and_metadata(ran: BaseTriggerStorage, manager: TriggerManager) -> None:
    manager.fire("go", {"n": 2})
    manager.fire("unheard of")
    assert ran.latest_kwargs == {"go": {"n": 2}, "unheard of": {}}
    assert ran.metadata == {"latest_kwargs": ran.latest_kwargs}


def test_everything_as_plain_dicts(ran: BaseTriggerStorage) -> None:
    shown = ran.debug_repr()
    assert shown["tasks"]["t_wait"]["after"] == ["go", "later"]
    assert shown["instances"]["t_wait#0"]["status"] == "unstarted"
    assert shown["instances"]["t_fail#0"]["metadata"]["exceptionMessage"] == "this task always fails"
    assert shown["metas"]["latest_kwargs"] == {"go": {"n": 1}}


def test_each_access_is_the_current_state(ran: BaseTriggerStorage) -> None:
    # given what was read once, through a handle of its own
    instances, tasks = ran.instances, ran.tasks
    assert len(instances) == 2
    # when somebody else changes the session
    other = TriggerManager(BaseTriggerStorage(ran.uid, ran.store))
    other.skip_failed_instance("t_fail#0")
    other.update_configuration({"t_new": {"after": ["go"], "run": "app.Task"}})
    # then everything says so, without anything being invalidated
    assert instances["t_fail#0"].status == ran["t_fail#0"].status == "skipped"
    assert "t_new" in ran.tasks
    assert "t_new" not in tasks
    ran.invalidate_cache()
    ran.close()
    assert ran["t_fail#0"].status == "skipped"


@pytest.mark.parametrize(
    "read",
    [
        lambda storage: storage["t_wait#0"],
        lambda storage: storage.tasks,
        lambda storage: list(storage),
        lambda storage: storage.latest_kwargs,
        lambda storage: storage.metadata,
        lambda storage: storage.counts(),
        lambda storage: storage.manager_key,
        lambda storage: storage.instances_of_task("t_wait"),
        lambda storage: storage.get_unresolved_tasks(),
        lambda storage: storage.get_unresolved_instances(),
        lambda storage: storage.get_instances_with_unresolved_logs(),
        lambda storage: storage.debug_repr(),
    ],
)
def test_a_session_that_does_not_exist_is_an_error_and_is_not_made(
    storage: BaseTriggerStorage, read: Callable[[BaseTriggerStorage], object]
) -> None:
    with pytest.raises(UnknownSession, match=r"no session 'order-17'.*never configured, was deleted, or has expired"):
        read(storage)
    assert not storage.exists()


VALUES: dict[str, Any] = {
    "datetime": datetime(2013, 2, 8, 12, 30, tzinfo=ZoneInfo("America/New_York")),
    "utc": datetime(2013, 2, 8, 12, 30, 0, 1, tzinfo=UTC),
    "naive": datetime(2013, 2, 8),
    "date": date(2013, 2, 8),
    "time": time(12, 30),
    "timedelta": timedelta(minutes=-3),
    "decimal": Decimal("1.10"),
    "uuid": UUID(int=17),
    "bytes": b"\x00\xff",
    "set": {1, "a"},
    "big": 10**30,
    "nested": {"list": [None, True, 1.5, {"": ""}]},
}


def test_values_come_back_wherever_they_were_put(manager: TriggerManager, join: Callable[[], None]) -> None:
    manager.update_configuration({
        "t_a": {"after": ["go"], "run": PassThruTask.name, "withParams": {"params": VALUES}},
        "t_b": {"after": ["t_a", "never"], "run": DevNullTask.name, "values": VALUES},
    })  # fmt: skip
    manager.fire("go", VALUES)
    join()
    manager.update_instance_metadata("t_a#0", VALUES)
    storage = BaseTriggerStorage(manager.storage.uid, manager.storage.store)
    instance = storage["t_a#0"]
    assert instance.kwargs == {"go": VALUES}
    assert instance.metadata["actualKwargs"] == {"go": VALUES, "params": VALUES}
    assert instance.metadata["result"] == {"kwargs": {"go": VALUES, "params": VALUES}}
    assert instance.metadata.items() >= VALUES.items()
    assert storage.latest_kwargs["go"] == VALUES
    assert storage.tasks["t_b"].extra == {"values": VALUES}
    assert storage["t_b#0"].kwargs == {"t_a": {"kwargs": {"go": VALUES, "params": VALUES}}}
    assert storage.latest_kwargs["go"]["datetime"].tzinfo.key == "America/New_York"


def test_the_cache_of_the_seeds_examples(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = storage_backends.get("cache", uid="order-17")
    assert isinstance(storage, CacheStorageBackend)
    TriggerManager(storage).fire("go")
    assert (tmp_path / "triggers.db").exists()
    assert CacheStorageBackend("order-17", "sqlite:///triggers.db").latest_kwargs == {"go": {}}
    storage.cache.clear()
    assert not storage.exists()
    storage.store.close()


def test_clearing_a_shared_cache_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(store), "embedded", False)
    storage = CacheStorageBackend("order-17", store)
    TriggerManager(storage).fire("go")
    with pytest.raises(StorageError, match="shared with others"):
        storage.cache.clear()
    assert storage.exists()
