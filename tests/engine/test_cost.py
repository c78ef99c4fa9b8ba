"""What a change reads and writes does not depend on how many instances the session holds."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from triggers_nb.manager import TriggerManager
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.store import Commit
from triggers_nb.testing import DevNullTask

CONFIGURATION: dict[str, Any] = {
    "t_every": {"after": ["base"], "andEvery": "tick", "run": DevNullTask.name},
    "t_next": {"after": [], "andEvery": "t_every", "run": "app.Missing"},
    "t_once": {"after": ["base", "never"], "run": DevNullTask.name},
}


class CountingStore(MemoryStore):
    """Counts trips, and the cells and bytes that they carry."""

    def __init__(self) -> None:
        super().__init__()
        self.clear_counts()

    def clear_counts(self) -> None:
        self.trips = self.cells_read = self.cells_written = self.bytes_written = 0

    def read(self, uid: str, names: Iterable[str], *, follow: bool = True) -> Any:
        view = super().read(uid, names, follow=follow)
        self.trips += 1
        self.cells_read += len(view.cells) if view is not None else 0
        return view

    def states(self, *args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a change reads no whole session")

    def commit(self, uid: str, commit: Commit) -> Any:
        self.trips += 1
        self.cells_written += len(commit.writes)
        self.bytes_written += sum(map(len, commit.writes.values())) + len(commit.event)
        return super().commit(uid, commit)


def fill(manager: TriggerManager, n: int) -> None:
    manager.storage.handover = "defer"
    manager.update_configuration(CONFIGURATION)
    manager.fire("base")
    for _ in range(n):
        manager.fire("tick", {"n": 1})


CHANGES: dict[str, Callable[[TriggerManager], object]] = {
    "fire": lambda manager: manager.fire("tick", {"n": 1}),
    "fire what waits": lambda manager: manager.fire("never"),
    "fire what concerns nobody": lambda manager: manager.fire("other"),
    "status": lambda manager: manager.update_instance_status("t_every#5", "failed"),
    "status with cascade": lambda manager: manager.update_instance_status("t_every#5", "finished", cascade=True),
    "metadata": lambda manager: manager.update_instance_metadata("t_every#5", {"note": 1}),
    "configure": lambda manager: manager.update_configuration({"t_every": CONFIGURATION["t_every"]}),
    "unresolved": lambda manager: manager.get_unresolved_tasks(),
}


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_costs_the_same_at_ten_and_at_a_thousand_instances(change: str, is_kept: bool) -> None:
    costs = []
    for n in (10, 1000):
        store = CountingStore()
        manager = TriggerManager(BaseTriggerStorage("s", store))
        fill(manager, n)
        if not is_kept:
            manager = TriggerManager(BaseTriggerStorage("s", store).derive(handover="defer"))
        store.clear_counts()
        CHANGES[change](manager)
        costs.append((store.trips, store.cells_read, store.cells_written))
        assert store.bytes_written < 2500
    assert costs[0] == costs[1]
    assert costs[0][0] <= 4


def test_a_kept_manager_fires_in_one_trip_and_a_new_one_in_two() -> None:
    store = CountingStore()
    manager = TriggerManager(BaseTriggerStorage("s", store))
    fill(manager, 10)
    store.clear_counts()
    manager.fire("tick")
    assert store.trips == 1
    store.clear_counts()
    TriggerManager(BaseTriggerStorage("s", store).derive(handover="defer")).fire("tick")
    assert store.trips == 2


def test_a_manager_that_is_kept_for_long_still_fires_in_one_trip() -> None:
    store = CountingStore()
    manager = TriggerManager(BaseTriggerStorage("s", store))
    fill(manager, 1)
    store.clear_counts()
    for _ in range(2500):
        manager.fire("tick")
    assert store.trips == 2500


def test_finding_unresolved_tasks_looks_at_no_instance() -> None:
    store = CountingStore()
    manager = TriggerManager(BaseTriggerStorage("s", store))
    fill(manager, 100)
    store.clear_counts()
    assert [task.name for task in manager.get_unresolved_tasks()] == ["t_every", "t_next", "t_once"]
    assert store.cells_read == 3
