"""A session with a timeout goes when it is done and nobody has changed it for that long; any other stays."""

import time
from collections.abc import Callable

import pytest

from triggers_nb.errors import UnknownSession
from triggers_nb.manager import TriggerManager
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.store import Store
from triggers_nb.testing import DevNullTask, FailingTask

CONFIGURATION = {
    "t_ok": {"after": [], "andEvery": "go", "run": DevNullTask.name},
    "t_fail": {"after": ["break"], "run": FailingTask.name},
}


@pytest.fixture
def wait(store: Store) -> Callable[[float], None]:
    """Let the store's clock go on."""
    waited = 0.0

    def wait(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    store.now_us = lambda: time.time_ns() // 1000 + round(waited * 1e6)  # type: ignore[method-assign]
    return wait


@pytest.fixture
def manager(store: Store) -> TriggerManager:
    manager = TriggerManager(BaseTriggerStorage("brief", store, timeout=1000))
    manager.update_configuration(CONFIGURATION)
    return manager


def test_a_session_that_is_done_expires_that_long_after_its_last_change(
    manager: TriggerManager, wait: Callable[[float], None], join: Callable[[], None]
) -> None:
    manager.fire("go")
    join()
    wait(900)
    assert manager.storage.exists()
    manager.fire("something else")  # any change starts it anew
    wait(900)
    assert manager.storage.exists()
    wait(200)
    assert not manager.storage.exists()
    with pytest.raises(UnknownSession, match="expired"):
        manager.update_instance_metadata("t_ok#0", {"note": 1})
    # and is not silently there again, but for a firing or a configuration, which make a new one
    assert not manager.storage.exists()
    manager.fire("go")
    assert list(manager.storage) == []


def test_a_session_with_an_unresolved_instance_stays(
    manager: TriggerManager, wait: Callable[[float], None], join: Callable[[], None]
) -> None:
    manager.fire("break")
    join()
    wait(1_000_000)
    assert manager.storage["t_fail#0"].status == "failed"
    # until it is resolved
    manager.skip_failed_instance("t_fail#0")
    wait(900)
    assert manager.storage.exists()
    wait(200)
    assert not manager.storage.exists()


def test_a_task_without_an_instance_does_not_keep_it(manager: TriggerManager, wait: Callable[[float], None]) -> None:
    assert manager.get_unresolved_tasks()
    wait(1100)
    assert not manager.storage.exists()


def test_the_session_remembers_its_timeout(
    manager: TriggerManager, store: Store, wait: Callable[[float], None], join: Callable[[], None]
) -> None:
    TriggerManager(BaseTriggerStorage("brief", store)).fire("go")
    join()
    wait(1100)
    assert not manager.storage.exists()


def test_another_timeout_takes_its_place_with_the_next_change(
    manager: TriggerManager, store: Store, wait: Callable[[float], None], join: Callable[[], None]
) -> None:
    TriggerManager(BaseTriggerStorage("brief", store, timeout=5000)).fire("go")
    join()
    wait(4000)
    assert manager.storage.exists()
    wait(1100)
    assert not manager.storage.exists()


def test_without_a_timeout_a_session_never_expires(
    store: Store, wait: Callable[[float], None], join: Callable[[], None]
) -> None:
    manager = TriggerManager(BaseTriggerStorage("lasting", store))
    manager.update_configuration(CONFIGURATION)
    manager.fire("go")
    join()
    wait(1e9)
    assert manager.storage["t_ok#0"].status == "finished"
