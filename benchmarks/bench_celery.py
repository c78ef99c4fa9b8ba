"""What a cascade of two tasks costs in a Celery worker, beside a bare Celery chain of two tasks.

    python benchmarks/bench_celery.py [--rounds 200] [--burst 300]

Starts a server of its own (broker and storage) and a worker with two processes. What is compared takes turns. One at a
time: from the firing, or from sending the chain, until the second task runs. In a burst: until all have ended.
"""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import celery
import redis
from servers import start_server

from triggers_nb import CacheStorageBackend, TaskContext, TriggerManager, TriggerTask
from triggers_nb.runners.celery import register_tasks
from triggers_nb.storages.urls import open_store

DONE = "bench:done"
#: Celery does not take a server's socket.
PORT = 16391
CONFIGURATION = {
    "t_first": {"after": ["start"], "run": "bench.First"},
    "t_second": {"after": ["t_first"], "run": "bench.Second"},
}

app = celery.Celery("bench", broker=os.environ.get("TRIGGERS_URL"))
app.conf.task_ignore_result = True
register_tasks(app)
_client: redis.Redis | None = None


def client() -> redis.Redis:
    global _client
    _client = _client or redis.Redis.from_url(os.environ["TRIGGERS_URL"], protocol=2, socket_timeout=None)
    return _client


class First(TriggerTask):
    name = "bench.First"

    def _run(self, context: TaskContext) -> dict[str, int]:
        return {"n": context.trigger_kwargs["start"]["n"] + 1}


class Second(TriggerTask):
    name = "bench.Second"

    def _run(self, context: TaskContext) -> None:
        client().rpush(DONE, 1)


@app.task(name="bench.bare_first", acks_late=True)
def bare_first(n: int) -> int:
    return n + 1


@app.task(name="bench.bare_second", acks_late=True)
def bare_second(n: int) -> None:
    client().rpush(DONE, 1)


@contextmanager
def start_worker() -> Iterator[None]:
    command = [sys.executable, "-m", "celery", "-A", "bench_celery", "worker", "-c", "2", "-l", "WARNING"]
    process = subprocess.Popen(command, cwd=Path(__file__).parent, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


class Cascades:
    """Sessions that are configured before the clock runs."""

    def __init__(self, url: str) -> None:
        self.store, self.numbers = open_store(url), itertools.count()

    def prepare(self, n: int) -> list[Callable[[], object]]:
        return [self._prepare_one() for _ in range(n)]

    def _prepare_one(self) -> Callable[[], object]:
        storage = CacheStorageBackend(f"cascade-{next(self.numbers)}", self.store)
        manager = TriggerManager(storage.derive(runner="celery", celery_app=app))
        manager.update_configuration(CONFIGURATION)
        return lambda: manager.fire("start", {"n": 1})

    def has_rested(self) -> bool:
        return self.store.next_due_us() is None


def prepare_chains(n: int) -> list[Callable[[], object]]:
    return [lambda: celery.chain(bare_first.s(1), bare_second.s()).apply_async()] * n


def time_one(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    client().blpop([DONE])
    return time.perf_counter() - started


def time_burst(acts: list[Callable[[], object]]) -> float:
    started = time.perf_counter()
    for act in acts:
        act()
    for _ in acts:
        client().blpop([DONE])
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--burst", type=int, default=300)
    options = parser.parse_args()
    with start_server(PORT) as url:
        os.environ["TRIGGERS_URL"] = app.conf.broker_url = url
        with start_worker():
            compare(Cascades(url), options.rounds, options.burst)


def compare(cascades: Cascades, rounds: int, burst: int) -> None:
    sides = {"bare chain": prepare_chains, "cascade": cascades.prepare}
    singles: dict[str, list[float]] = {name: [] for name in sides}
    bursts: dict[str, list[float]] = {name: [] for name in sides}
    for n in range(-10, rounds):  # the first ones warm up
        for name, prepare in sides.items():
            took = time_one(prepare(1)[0])
            if n >= 0:
                singles[name].append(took)
    for _ in range(5):
        for name, prepare in sides.items():
            bursts[name].append(time_burst(prepare(burst)))
            while not cascades.has_rested():
                time.sleep(0.01)
    for title, times in ((f"One at a time, medians of {rounds}", singles), (f"{burst} at once, medians of 5", bursts)):
        medians = {name: statistics.median(values) for name, values in times.items()}
        ratio = medians["cascade"] / medians["bare chain"]
        shown = ", ".join(f"{name} {median * 1e3:,.2f} ms" for name, median in medians.items())
        print(f"{title}: {shown}, {ratio:.2f} ×; expected ≤ 1.5 ×")


if __name__ == "__main__":
    import bench_celery  # as the worker imports it: what a script defines itself is not handed over

    bench_celery.main()
