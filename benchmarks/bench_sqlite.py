"""What `fire` costs on SQLite, whatever the number of instances, beside the same statements and a bare one-row commit.

    python benchmarks/bench_sqlite.py [--rounds 400] [--sizes 1 100 1000 10000]

Each measured firing creates and schedules an instance in a session that has so many; nothing runs. *Statements* are
those of the same firings on a copy of the file, recorded, and then executed without any logic. What is compared takes
turns, so that whatever else the machine does hits all. Prints medians and ratios.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from triggers_nb import CacheStorageBackend, TriggerManager
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.storages import sqlite_pool
from triggers_nb.storages.sqlite import SqliteStore

Act = Callable[[], object]
Statement = tuple[str, str, Any]

KWARGS = {"tailnum": "N338AA", "origin": "JFK", "dest": "LAX", "delay": -4, "seats": 178}
CONFIGURATION = {
    "t_board": {"after": ["opened"], "andEvery": "arrived", "run": "bench.Board", "using": "bench"},
    "t_close": {"after": ["opened", "t_board", "closed"], "run": "bench.Close", "using": "bench"},
}


@task_runners.register("bench")
class IdleRunner(BaseTaskRunner):
    name = "bench"

    def run(self, manager: TriggerManager, task_instance: object) -> None:
        pass


class Recording(sqlite_pool._Connection):
    """A connection that remembers its statements."""

    statements: ClassVar[list[Statement]] = []

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        Recording.statements.append(("execute", arguments[0], arguments[1:]))
        return super().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        Recording.statements.append(("executemany", arguments[0], arguments[1:]))
        return super().executemany(*arguments)


@contextmanager
def recorded() -> Iterator[None]:
    plain, sqlite_pool._Connection = sqlite_pool._Connection, Recording  # type: ignore[misc]
    try:
        yield
    finally:
        sqlite_pool._Connection = plain  # type: ignore[misc]


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def bare_commit(path: Path) -> Act:
    connection = connect(path)
    connection.execute("CREATE TABLE bare (name TEXT PRIMARY KEY, data BLOB) WITHOUT ROWID")

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR REPLACE INTO bare VALUES (?, ?)", ("row", b"x" * 100))
        connection.execute("COMMIT")

    return commit


class Firings:
    """Firings in sessions of one size, each by the manager that fired before, or each by a new one."""

    def __init__(self, path: Path, size: int, rounds: int, *, keeps_manager: bool) -> None:
        self.store = SqliteStore(path)
        self.keeps_manager = keeps_manager
        #: A session may grow by a tenth before the next one takes its place.
        self.per_session = max(size // 10, 1)
        self.n_sessions = -(-rounds // self.per_session)
        self.index = 0
        self.managers: dict[str, TriggerManager] = {}

    def build(self, size: int) -> None:
        for number in range(self.n_sessions):
            manager = TriggerManager(CacheStorageBackend(f"session-{number}", self.store))
            manager.update_configuration(CONFIGURATION)
            manager.fire("opened", KWARGS)
            for _ in range(size - self.keeps_manager):
                manager.fire("arrived", KWARGS)
        self.store.close()

    def warm(self) -> None:
        """Let each manager that is kept fire once: it makes the last of the instances, and knows the session then."""
        for number in range(self.n_sessions if self.keeps_manager else 0):
            self._manager(f"session-{number}").fire("arrived", KWARGS)

    def _manager(self, uid: str) -> TriggerManager:
        if not self.keeps_manager or uid not in self.managers:
            self.managers[uid] = TriggerManager(CacheStorageBackend(uid, self.store))
        return self.managers[uid]

    def fire(self) -> None:
        self._manager(f"session-{self.index // self.per_session}").fire("arrived", KWARGS)
        self.index += 1


class Statements:
    """The statements of those firings, without any logic."""

    def __init__(self, path: Path, recorded_at: Path, size: int, rounds: int, *, keeps_manager: bool) -> None:
        with recorded():
            firings = Firings(recorded_at, size, rounds, keeps_manager=keeps_manager)
            firings.warm()
            self.rounds = []
            for _ in range(rounds):
                Recording.statements = []
                firings.fire()
                self.rounds.append(Recording.statements)
            firings.store.close()
        self.connection = connect(path)
        Firings(path, size, rounds, keeps_manager=keeps_manager).warm()
        self.index = 0

    def replay(self) -> None:
        for method, sql, parameters in self.rounds[self.index]:
            getattr(self.connection, method)(sql, *parameters).fetchall()
        self.index += 1


def sides_of(directory: Path, size: int, rounds: int, *, keeps_manager: bool) -> dict[str, Act]:
    kind = "kept manager" if keeps_manager else "new manager"
    paths = [directory / f"{size}-{kind}-{copy}.db" for copy in ("fired", "recorded", "replayed")]
    Firings(paths[0], size, rounds, keeps_manager=keeps_manager).build(size)
    for path in paths[1:]:
        shutil.copy(paths[0], path)
    statements = Statements(paths[2], paths[1], size, rounds, keeps_manager=keeps_manager)
    firings = Firings(paths[0], size, rounds, keeps_manager=keeps_manager)
    firings.warm()
    return {f"{size:>6,} {kind} statements": statements.replay, f"{size:>6,} {kind} fire": firings.fire}


def measure(rounds: int, sides: dict[str, Act]) -> dict[str, float]:
    """Run all sides in turn and return their medians in seconds."""
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, act in sides.items():
            started = time.perf_counter()
            act()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 100, 1_000, 10_000])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        sides = {"bare": bare_commit(Path(name) / "bare.db")}
        for keeps_manager in (True, False):
            for size in options.sizes:
                sides |= sides_of(Path(name), size, options.rounds, keeps_manager=keeps_manager)
        medians = measure(options.rounds, sides)
    bare = medians.pop("bare")
    print(f"bare one-row commit: {bare * 1e6:.1f} µs\n")
    print(f"{'instances':>9}  {'':14} {'fire':>10} {'/ bare':>8} {'/ statements':>13} {'/ smallest':>11}")
    for kind in ("kept manager", "new manager"):
        fires = [medians[f"{size:>6,} {kind} fire"] for size in options.sizes]
        for size, fire in zip(options.sizes, fires, strict=True):
            statements = medians[f"{size:>6,} {kind} statements"]
            ratios = f"{fire / bare:>8.2f} {fire / statements:>13.2f} {fire / fires[0]:>11.2f}"
            print(f"{size:>9,}  {kind:14} {fire * 1e6:>7.1f} µs {ratios}")
    print("\ntargets: fire / bare ≤ 8, fire / statements ≤ 1.5, largest / smallest ≤ 1.3")


if __name__ == "__main__":
    main()
