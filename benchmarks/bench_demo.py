"""The demo day, 930 flights, on the embedded storages: instances per second.

Run it as ``python benchmarks/bench_demo.py``. The reference is the same number of empty tasks on the same storage, one
session each: what the engine takes without the demo's own work.
"""

import tempfile
import time
from pathlib import Path

from triggers_nb import CacheStorageBackend, TriggerManager
from triggers_nb.demo.day import run_day
from triggers_nb.runners import ThreadingTaskRunner
from triggers_nb.testing import DevNullTask


def bare_tasks(url: str, n: int) -> float:
    started = time.perf_counter()
    for number in range(n):
        manager = TriggerManager(CacheStorageBackend(f"bare/{number}", url))
        manager.update_configuration({"t_x": {"after": ["go"], "run": DevNullTask.name}})
        manager.fire("go")
    ThreadingTaskRunner.join_all()
    return time.perf_counter() - started


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        for url in (f"sqlite:///{Path(directory) / 'day.db'}", "memory://bench-demo"):
            started = time.perf_counter()
            result = run_day(url=url, progress=lambda items, **_: items)
            took = time.perf_counter() - started
            bare = bare_tasks(url, 1000)
            scheme = url.partition(":")[0]
            print(
                f"{scheme:8} {result.sessions} sessions, {result.instances} instances in {took:5.1f} s: "
                f"{result.instances / took:6.0f} instances/s; bare tasks {1000 / bare:6.0f} instances/s"
            )


if __name__ == "__main__":
    main()
