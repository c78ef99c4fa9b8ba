"""Several processes on one session, some of them killed: nothing is lost, nothing is doubled, nothing runs twice."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from triggers_nb.core.work import HANDOVER, LEASE
from triggers_nb.manager import TriggerManager
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.sqlite import SqliteStore

WORKER = Path(__file__).with_name("process_worker.py")
N_FIRINGS = 15
CONFIGURATION = {
    "t_every": {"after": [], "andEvery": "tick", "run": "process_worker.Noting"},
    "t_next": {"after": [], "andEvery": "t_every", "run": "process_worker.Noting"},
}


class Field:
    """A session, the processes that work on it, and the log that they share."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = SqliteStore(directory / "sessions.db")
        self.storage = BaseTriggerStorage("shared", self.store)
        self.log = directory / "log"
        self.log.touch()
        TriggerManager(self.storage).update_configuration(CONFIGURATION)

    def start(self, name: str, n_firings: int, kill_at: int, where: str) -> subprocess.Popen[bytes]:
        arguments = [self.store.url, str(self.log), name, str(n_firings), str(kill_at), where]
        return subprocess.Popen([sys.executable, str(WORKER), *arguments], stderr=subprocess.PIPE)

    def lines(self, word: str) -> list[str]:
        return [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith(f"{word} ")]

    def statuses(self) -> dict[str, str]:
        return {instance.name: instance.status for instance in self.storage}


def check_nothing_is_lost_or_doubled(field: Field) -> None:
    every = field.storage.instances_of_task("t_every")
    fired = Counter(each.kwargs["tick"]["id"] for each in every.values())
    # each firing that returned made one instance, and nothing else did
    assert set(fired.values()) == {1}
    assert set(field.lines("fired")) <= fired.keys() <= set(field.lines("try"))
    # each that finished cascaded, once
    finished = [each.metadata["result"]["id"] for each in every.values() if each.status == "finished"]
    cascaded = [each.kwargs["t_every"]["id"] for each in field.storage.instances_of_task("t_next").values()]
    assert sorted(cascaded) == sorted(finished)
    # no body ran twice, and each that finished ran
    ran = Counter(field.lines("ran"))
    assert not [name for name, n in ran.items() if n > 1]
    assert {name for name, status in field.statuses().items() if status == "finished"} <= ran.keys()


def check_the_books(field: Field) -> None:
    state = field.store.state("shared")
    assert state is not None
    found = field.statuses()
    by_status = Counter(found.values())
    assert {name: n for name, n in state.counts.items() if name.startswith("s:") and n} == {
        f"s:{status}": n for status, n in by_status.items()
    }
    assert set(state.due) == {
        *(HANDOVER + name for name, status in found.items() if status == "scheduled"),
        *(LEASE + name for name, status in found.items() if status == "running"),
    }
    seqs = [event.seq for event in field.store.events("shared")]
    assert seqs == list(range(1, state.seq + 1))


def work_and_be_killed(directory: Path, seed: int) -> None:
    # given processes that work on one session at once, of which most are killed at some moment
    chance, field = random.Random(seed), Field(directory)
    deaths = ["before", "after", "body", chance.choice(["before", "after", "body"])]
    processes = [
        field.start(f"killed{number}", N_FIRINGS, chance.randint(1, 30 if where != "body" else 10), where)
        for number, where in enumerate(deaths)
    ]
    processes += [field.start(f"alive{number}", N_FIRINGS, 0, "never") for number in range(2)]
    codes = [(process.communicate()[1], process.returncode)[1] for process in processes]
    assert codes == [-9] * len(deaths) + [0, 0]
    assert len(field.lines("died")) == len(deaths)
    # then nothing is lost or doubled, and what did not finish is waiting or was running in one that died
    check_nothing_is_lost_or_doubled(field)
    check_the_books(field)
    assert set(field.statuses().values()) <= {"finished", "scheduled", "running"}
    running = {name for name, status in field.statuses().items() if status == "running"}
    # when what waits is handed over once more, even twice
    finisher = field.start("finisher", 0, 0, "finish")
    assert finisher.communicate() == (None, b"")
    # then everything has finished but what a killed process was running, which is listed and does not run again
    check_nothing_is_lost_or_doubled(field)
    check_the_books(field)
    left_over = {name for name, status in field.statuses().items() if status != "finished"}
    assert left_over == running == {each.name for each in field.storage.get_unresolved_instances()}
    assert len(running) <= 32 * len(deaths)
    field.store.close()


@pytest.mark.parametrize("seed", range(2))
def test_processes_that_are_killed_lose_and_double_nothing(tmp_path: Path, seed: int) -> None:
    work_and_be_killed(tmp_path, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 110))
def test_processes_that_are_killed_lose_and_double_nothing_for_long(tmp_path: Path, seed: int) -> None:
    work_and_be_killed(tmp_path, seed)
