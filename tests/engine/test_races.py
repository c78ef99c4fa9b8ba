"""Many threads do anything to one session: its books stay right, and its past can be rebuilt exactly."""

import contextlib
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.test_model import cells_of, check_the_past, counted, open_in_tasks
from triggers_nb.core import records as rec
from triggers_nb.core.status import STATUSES
from triggers_nb.core.work import HANDOVER
from triggers_nb.errors import ClaimRefused, InvalidStatus, StaleTarget, UnknownInstance
from triggers_nb.manager import TriggerManager
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.sqlite import SqliteStore
from triggers_nb.storages.store import Commit, Committed, Conflict, SessionState, Store
from triggers_nb.task import TaskContext, TriggerTask, rebuild_manager, run_instance

CONFIGURATION: dict[str, Any] = {
    "t_every": {"after": ["base"], "andEvery": "tick", "unless": ["stop", "halt"], "run": "test_races.Chancy"},
    "t_next": {"after": [], "andEvery": "t_every", "run": "test_races.Chancy"},
    "t_once": {"after": ["tick", "base"], "run": "test_races.Chancy"},
}
N_THREADS, N_CHANGES = 6, 40


class Chancy(TriggerTask):
    name = "test_races.Chancy"

    def _run(self, context: TaskContext) -> Any:
        outcome = random.random()
        if outcome < 0.3:
            raise LookupError("by chance")
        if outcome < 0.4:
            raise self.retry()
        return {"by": context.instance_name}


class Recording(Store):
    """Keeps all of a session as each commit left it."""

    history: dict[int, SessionState]
    recording: threading.RLock

    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        with self.recording:
            answer = super().commit(uid, commit)  # type: ignore[safe-super]
            if isinstance(answer, Committed):
                state = self.state(uid)
                assert state is not None
                self.history[answer.seq] = state
            return answer


class RecordingMemory(Recording, MemoryStore):
    pass


class RecordingSqlite(Recording, SqliteStore):
    pass


@pytest.fixture(params=["memory", "sqlite"])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """A store that keeps all states, while threads take turns as often as they can."""
    store: Any = RecordingMemory() if request.param == "memory" else RecordingSqlite(tmp_path / "sessions.db")
    store.history, store.recording = {}, threading.RLock()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield store
    sys.setswitchinterval(interval)
    store.close()


class Player:
    """Does one thing after the other to a session, by chance."""

    def __init__(self, manager: TriggerManager, seed: int) -> None:
        self.manager, self.chance = manager, random.Random(seed)
        self.fired: Counter[str] = Counter()
        self.errors: list[BaseException] = []

    def play(self) -> None:
        try:
            for _ in range(N_CHANGES):
                # Somebody else may have been faster: that is told, and nothing is changed.
                with contextlib.suppress(InvalidStatus, UnknownInstance, StaleTarget, ClaimRefused):
                    self.chance.choice(self.moves())()
        except BaseException as error:
            self.errors.append(error)

    def moves(self) -> list[Any]:
        return [self.fire, self.fire, self.fire, self.run, self.run, self.run, self.repair, self.by_hand, self.edit]

    def fire(self) -> None:
        trigger = self.chance.choice(["base", "tick", "tick", "tick", "stop"])
        self.manager.fire(trigger, {"n": self.chance.randrange(9)})
        self.fired[trigger] += 1

    def pick(self, *statuses: str) -> str:
        names = [each.name for each in self.manager.storage if each.status in statuses]
        return self.chance.choice(names) if names else "t_every#0"

    def run(self) -> None:
        run_instance(rebuild_manager(self.manager, "test"), self.pick("scheduled"), Chancy)

    def repair(self) -> None:
        name = self.pick("failed")
        if self.chance.random() < 0.5:
            self.manager.replay_failed_instance(name)
        else:
            self.manager.skip_failed_instance(name, cascade=True, result={"n": 1})

    def by_hand(self) -> None:
        name = self.pick("unstarted", "scheduled", "running", "failed")
        if self.chance.random() < 0.5:
            self.manager.update_instance_metadata(name, {"n": self.chance.randrange(9)})
        else:
            self.manager.update_instance_status(name, self.chance.choice(["finished", "failed"]), cascade=True)

    def edit(self) -> None:
        with self.manager.storage.acquire_lock() as writable:
            writable[self.pick("unstarted")].metadata["note"] = self.chance.randrange(9)
            if self.chance.random() < 0.3:
                writable.create_instance("t_every", kwargs={"tick": {}})
            writable.save()


@pytest.mark.parametrize("is_shared", [True, False])
def test_the_books_stay_right_whatever_many_threads_do(recorded: Any, is_shared: bool) -> None:
    # given threads that use one manager, or one each
    shared = TriggerManager(BaseTriggerStorage("s", recorded).derive(handover="defer"))
    shared.update_configuration(CONFIGURATION)
    shared.fire("base")
    own = [shared.storage.derive() for _ in range(N_THREADS)]
    players = [Player(shared if is_shared else TriggerManager(own[seed]), seed) for seed in range(N_THREADS)]
    # when all of them play
    threads = [threading.Thread(target=player.play) for player in players]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # then nothing went wrong
    assert [player.errors for player in players] == [[]] * N_THREADS
    # and the session is sound
    state = recorded.state("s")
    instances = {name[2:]: rec.decode_record(name, cell.data) for name, cell in cells_of(state, "i:")}
    assert {name: count for name, count in state.counts.items() if count} == counted(state, instances)
    assert open_in_tasks(state).keys() == {n for n, each in instances.items() if STATUSES[each.status] == "unstarted"}
    assert set(state.due) == {
        HANDOVER + name for name, each in instances.items() if STATUSES[each.status] == "scheduled"
    }
    # no firing was lost, and every moment of the past is exactly what it was
    fired = sum((player.fired for player in players), Counter())
    latest = {name[2:]: rec.decode_record(name, cell.data).n_fired for name, cell in cells_of(state, "k:")}
    assert {name: latest[name] for name in fired} == fired + Counter(base=1)
    check_the_past(state, recorded.events("s"), recorded.history)
