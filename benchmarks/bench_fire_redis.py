"""What a firing that creates and schedules an instance costs on Redis, beside a bare ``EVALSHA`` of redis-py.

    python benchmarks/bench_fire_redis.py [--rounds 400] [--seconds 4]

Starts a server of its own (with an append-only file, as in production). What is compared takes turns, so that whatever
else the machine does hits both. Handing over is left out: the work is taken by nobody. Prints medians and ratios, round
trips and bytes counted, and how many firings four processes get through on one session.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import secrets
import statistics
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.connection import AbstractConnection
from servers import start_server

from triggers_nb import CacheStorageBackend, TriggerManager
from triggers_nb.core.instances import TaskInstance
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.storages.redis_layout import keys_of
from triggers_nb.storages.store import Store
from triggers_nb.storages.urls import open_store

SIZES = (1, 100, 1_000, 10_000)
CONFIGURATION = {"t_seat": {"after": [], "andEvery": "boarded", "run": "bench.Seat"}}
KWARGS = {"passenger": 17, "seat": "11C"}
SCRIPT = "return 1"
#: What a firing writes, without looking at anything.
WRITES = """
redis.call('ZADD', KEYS[7], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[8], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[5], ARGV[3], ARGV[4])
redis.call('XADD', KEYS[4], '*', 'id', ARGV[5], 'at', ARGV[1], 'data', ARGV[6])
redis.call('HSET', KEYS[2], 't:t_seat', ARGV[7], 'k:boarded', ARGV[8])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[9])
redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'modified', ARGV[1], '#n:t_seat', 1, '#unresolved', 1, '#s:scheduled', 1)
return 1
"""
PROCESSES = 4


@task_runners.register("nowhere")
class NoRunner(BaseTaskRunner):
    """Takes everything and runs nothing."""

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        pass


def open_manager(store: Store, uid: str) -> TriggerManager:
    storage = CacheStorageBackend(uid, store)
    storage.runner = "nowhere"
    return TriggerManager(storage)


class Sessions:
    """Managers of sessions that have `size` instances, or hardly more: each is used for a few rounds only."""

    def __init__(self, store: Store, size: int, rounds: int, name: str) -> None:
        self.uses = max(1, size // 20)
        self.managers = [self._fill(store, size, f"{name}-{size}-{n}") for n in range(-(-rounds // self.uses))]

    def _fill(self, store: Store, size: int, uid: str) -> TriggerManager:
        manager = open_manager(store, uid)
        manager.update_configuration(CONFIGURATION)
        for _ in range(size):
            manager.fire("boarded", KWARGS)
        return manager

    def __getitem__(self, number: int) -> TriggerManager:
        """A manager, which has fired before, for a round."""
        return self.managers[number // self.uses]


class Traffic:
    """Counts exchanges with the server, and the bytes that are sent."""

    def __init__(self) -> None:
        self.trips = self.sent = 0
        self._send = AbstractConnection.send_packed_command

    def __enter__(self) -> Traffic:
        traffic, send = self, self._send

        def counting(connection: Any, command: Any, *args: Any, **kwargs: Any) -> None:
            traffic.trips += 1
            traffic.sent += len(command) if isinstance(command, bytes) else sum(map(len, command))
            send(connection, command, *args, **kwargs)

        AbstractConnection.send_packed_command = counting  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        AbstractConnection.send_packed_command = self._send  # type: ignore[method-assign]


def timed(act: Callable[[], object]) -> float:
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def bench_sizes(url: str, rounds: int) -> None:
    store, client = open_store(url), redis.Redis.from_url(url, protocol=2)
    sha, sha_of_writes = client.script_load(SCRIPT), client.script_load(WRITES)
    key, keys = keys_of("order-17").head, keys_of("written")
    data = [secrets.token_bytes(size) for size in (30, 16, 280, 20, 60, 150)]
    kept = {size: Sessions(store, size, rounds, "kept") for size in SIZES}
    new = {size: Sessions(store, size, rounds, "new") for size in SIZES}
    times: dict[tuple[str, int], list[float]] = {}

    def note(what: str, size: int, act: Callable[[], object]) -> None:
        times.setdefault((what, size), []).append(timed(act))

    for n in range(rounds):
        arguments = [time.time_ns(), "written", f"i:t_seat#{n}", *data]
        for size in SIZES:
            manager, uid = kept[size][n], new[size][n].storage.uid
            note("bare", size, lambda: client.evalsha(sha, 1, key, "argument"))
            note("writes", size, lambda a=arguments: client.evalsha(sha_of_writes, 9, *keys, *a))  # type: ignore[misc]
            note("kept", size, lambda m=manager: m.fire("boarded", KWARGS))  # type: ignore[misc]
            note("new", size, lambda u=uid: open_manager(store, u).fire("boarded", KWARGS))  # type: ignore[misc]
    bare = statistics.median(itertools.chain.from_iterable(times["bare", size] for size in SIZES))
    writes = statistics.median(itertools.chain.from_iterable(times["writes", size] for size in SIZES))
    print(
        f"One firing, medians of {rounds}; a bare EVALSHA takes {bare * 1e6:,.0f} µs, one that makes the same seven "
        f"writes unchecked {writes * 1e6:,.0f} µs"
    )
    for what, limit in (("new", 4.0), ("kept", 2.0)):
        medians = {size: statistics.median(times[what, size]) for size in SIZES}
        shown = ", ".join(
            f"{size:,}: {median * 1e6:,.0f} µs = {median / bare:.2f} ×" for size, median in medians.items()
        )
        growth = medians[SIZES[-1]] / medians[SIZES[0]]
        print(
            f"  {what:<4} manager  {shown}; expected ≤ {limit} ×. Largest/smallest {growth:.2f}, expected ≤ 1.2. "
            f"{medians[SIZES[-1]] / writes:.2f} × the unchecked writes"
        )


def count_traffic(url: str) -> None:
    store, client = open_store(url), redis.Redis.from_url(url, protocol=2)
    print("Traffic of one firing, hand-over aside")
    for size in (SIZES[0], SIZES[-1]):
        manager = Sessions(store, size, 1, "traffic")[0]
        uid = manager.storage.uid
        acts = {
            "new": lambda u=uid: open_manager(store, u).fire("boarded", KWARGS),  # type: ignore[misc]
            "kept": lambda m=manager: m.fire("boarded", KWARGS),  # type: ignore[misc]
        }
        manager.fire("boarded", KWARGS)
        for what, act in acts.items():
            if what == "kept":
                act()  # it learns what the new one has written
            before = client.info("stats")["total_net_output_bytes"]
            with Traffic() as traffic:
                act()
            received = client.info("stats")["total_net_output_bytes"] - before
            event = store.events(uid, after=store.read(uid, ("head",)).seq - 1)[0]  # type: ignore[union-attr]
            print(
                f"  {what:<4} manager, {size:>6,} instances: {traffic.trips} trips, {traffic.sent:,} bytes sent, "
                f"{received:,} received (an INFO included), 1 event of {len(event.data)} bytes"
            )


def fire_for(url: str, uid: str, what: str, started: Any, seconds: float, counts: Any) -> None:
    store, client = open_store(url), redis.Redis.from_url(url, protocol=2)
    sha, key = client.script_load(SCRIPT), keys_of(uid).head
    manager, done, slowest = open_manager(store, uid), 0, 0.0
    started.wait()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        before = time.perf_counter()
        if what == "bare":
            client.evalsha(sha, 1, key, "argument")
        else:
            (manager if what == "kept" else open_manager(store, uid)).fire("boarded", KWARGS)
        slowest = max(slowest, time.perf_counter() - before)
        done += 1
    counts.put((done, slowest))


def run_together(url: str, what: str, seconds: float) -> tuple[float, float]:
    """How often per second, and how long the slowest took."""
    uid = f"together-{what}-{time.time_ns()}"
    open_manager(open_store(url), uid).update_configuration(CONFIGURATION)
    context = multiprocessing.get_context("spawn")
    started, counts = context.Barrier(PROCESSES), context.Queue()
    workers = [
        context.Process(target=fire_for, args=(url, uid, what, started, seconds, counts)) for _ in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    found = [counts.get() for _ in workers]
    for worker in workers:
        worker.join()
    done = sum(count for count, _ in found)
    if what != "bare":
        stored = open_store(url).counts(uid) or {}
        assert stored["s:scheduled"] == done, f"{done - stored['s:scheduled']} firings were lost"
    return done / seconds, max(slowest for _, slowest in found)


def bench_together(url: str, seconds: float) -> None:
    rates: dict[str, list[float]] = {"bare": [], "kept": [], "new": []}
    slowest = dict.fromkeys(rates, 0.0)
    for _ in range(3):
        for what, found in rates.items():
            rate, worst = run_together(url, what, seconds / 3)
            found.append(rate)
            slowest[what] = max(slowest[what], worst)
    bare = statistics.median(rates["bare"])
    print(f"{PROCESSES} processes firing on one session: {bare:,.0f} bare EVALSHA per second; no firing lost")
    for what, limit in (("kept", 20), ("new", 12)):
        rate = statistics.median(rates[what])
        print(
            f"  {what:<4} managers {rate:>8,.0f} per second = {rate / bare:.0%}, expected ≥ {limit} %; "
            f"the slowest took {slowest[what] * 1e3:,.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    with start_server() as url:
        count_traffic(url)
        bench_sizes(url, options.rounds)
        bench_together(url, options.seconds)


if __name__ == "__main__":
    main()
