"""What the tests of the engine share: a session on each embedded storage, and tasks that are functions."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from triggers_nb.core.events import Event, decode_event
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.sqlite import SqliteStore
from triggers_nb.storages.store import Store
from triggers_nb.task import TaskContext, TriggerTask


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "sessions.db")
    yield store
    ThreadingTaskRunner.join_all()
    store.close()


@pytest.fixture
def storage(store: Store) -> BaseTriggerStorage:
    return BaseTriggerStorage("order-17", store)


@pytest.fixture
def manager(storage: BaseTriggerStorage) -> TriggerManager:
    return TriggerManager(storage)


@pytest.fixture
def join() -> Callable[[], None]:
    """Wait until everything that was handed over has run."""
    return ThreadingTaskRunner.join_all


@pytest.fixture
def release(store: Store) -> Iterator[threading.Event]:
    """What tasks wait for; set at the latest when the test ends, so that nothing waits for them for ever."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def define() -> Callable[..., str]:
    """Define a task by what it does; returns its name for ``run``."""

    def define(body: Callable[[TriggerTask, TaskContext], Any], name: str = "app.Task", **attributes: Any) -> str:
        type("Task", (TriggerTask,), {"name": name, "_run": body, **attributes})
        return name

    return define


@pytest.fixture
def register_manager() -> Iterator[Callable[[type[TriggerManager]], type[TriggerManager]]]:
    """Register managers under their lower-case names until the test ends."""
    keys = []

    def register(cls: type[TriggerManager]) -> type[TriggerManager]:
        keys.append(cls.__name__.lower())
        return trigger_managers.register(keys[-1])(cls)

    yield register
    for key in keys:
        trigger_managers.unregister(key)


@pytest.fixture
def register_runner() -> Iterator[Callable[[type[BaseTaskRunner]], type[BaseTaskRunner]]]:
    """Register runners under their names until the test ends."""
    keys = []

    def register(cls: type[BaseTaskRunner]) -> type[BaseTaskRunner]:
        keys.append(cls.name)
        return task_runners.register(cls.name)(cls)

    yield register
    for key in keys:
        task_runners.unregister(key)


@pytest.fixture
def events(storage: BaseTriggerStorage) -> Callable[[], list[Event]]:
    """All events of the session."""
    return lambda: [decode_event(event.data) for event in storage.store.events(storage.uid)]


@pytest.fixture
def statuses(storage: BaseTriggerStorage) -> Callable[[], dict[str, str]]:
    """The status of every instance."""
    return lambda: {instance.name: instance.status for instance in storage}
