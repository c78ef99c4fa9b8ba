"""What frames cost beside the raw reads that they are made from.

    python benchmarks/bench_frames.py [--sessions 10000] [--listed 100000] [--rounds 3] [--plain]

Starts a Redis server of its own. Compares, in one run and taking turns:

- ``ws.instances()`` over sessions of 20 instances, 5 % of them failed, with the pipelined raw read of the same bytes
  (target: at most 3 times), and with a plain loop over storages into ``pandas.json_normalize``
  (target: 8 times faster);
- ``ws.sessions()`` over many sessions with the raw read of their heads;
- ``failure_groups`` over many failures, and ``ws.export`` of it all.

Prints medians, ratios and the peak memory of each, measured in a process of its own; processor time is the client's
alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import redis
from servers import start_server

import triggers_nb as tnb
from triggers_nb.core import transitions
from triggers_nb.core.codec import encode_mapping
from triggers_nb.core.configuration import parse_configuration
from triggers_nb.core.events import Provenance
from triggers_nb.core.failures import describe
from triggers_nb.core.records import Raw
from triggers_nb.core.work import Slice, Work
from triggers_nb.storages.redis_layout import ALL_BUCKETS, keys_of
from triggers_nb.storages.store import Commit, Store
from triggers_nb.storages.urls import open_store

N_TASKS = 10
N_PER_TASK = 2
FAILED_SHARE = 0.05

CONFIGURATION = {
    f"t_step{n}": {"after": [f"t_step{n - 1}" if n else "scheduled", "weatherReceived"], "run": f"app.Step{n}"}
    for n in range(N_TASKS)
}
KWARGS = {"carrier": "AA", "flight": 345, "origin": "LGA", "dest": "ORD", "tailnum": "N530AA", "distance": 733}
PLAIN = Raw(encode_mapping(KWARGS, "kwargs"))


def look_up_plane(tailnum: str) -> int:
    return {"N338AA": 178}[tailnum]


def parse_seats(text: str) -> int:
    return int(text)


def make_failures() -> list[transitions.Failure]:
    failures = []
    for function, argument in [(look_up_plane, "N{}XX"), (parse_seats, "seats {}")]:
        for n in range(200):
            try:
                function(argument.format(n))
            except Exception as error:
                failures.append(describe(error))
    return failures


def make_commit(uid: str, chance: random.Random, failures: list[transitions.Failure], payload: Raw = PLAIN) -> Commit:
    """One session as one commit: 20 instances, as they are after their run, with a payload for each trigger."""
    now_us = 1_700_000_000_000_000 + chance.randrange(10**12)
    work = Work(Slice(uid, 0, {}), "configure", now_us)
    transitions.make_session(work, "default", None)
    transitions.configure(work, parse_configuration(CONFIGURATION))
    for task in CONFIGURATION:
        for index in range(N_PER_TASK):
            kwargs = dict.fromkeys(CONFIGURATION[task]["after"], payload)
            record = transitions.create(work, task, index, kwargs, ())
            for status in ("scheduled", "running"):
                record = work.enter(record, status)
            if chance.random() < FAILED_SHARE:
                transitions._fail(work, record, chance.choice(failures))
            else:
                work.enter(record, "finished", metadata={"result": payload})
    return to_commit(work, chance)


def make_small_commit(uid: str, chance: random.Random, failures: list[transitions.Failure]) -> Commit:
    """One session as one commit: one task, failed."""
    now_us = 1_700_000_000_000_000 + chance.randrange(10**12)
    work = Work(Slice(uid, 0, {}), "configure", now_us)
    transitions.make_session(work, "default", None)
    transitions.configure(work, parse_configuration({"t_plane": {"after": ["scheduled"], "run": "app.Plane"}}))
    record = transitions.create(work, "t_plane", 0, {"scheduled": PLAIN}, ())
    for status in ("scheduled", "running"):
        record = work.enter(record, status)
    transitions._fail(work, record, chance.choice(failures))
    return to_commit(work, chance)


def to_commit(work: Work, chance: random.Random) -> Commit:
    commit_id = chance.randbytes(16)
    step = work.step(commit_id)
    return Commit(
        commit_id=commit_id, epoch=0, base_seq=0, reads={}, writes=step.writes, counts=step.counts, due={},
        event=step.event(commit_id, Provenance(actor="bench")), at_us=work.now_us,
    )  # fmt: skip


def fill_small(store: Store, n_sessions: int) -> None:
    chance, failures = random.Random(7), make_failures()
    for n in range(n_sessions):
        store.commit(f"2013/{n}", make_small_commit(f"s{n}", chance, failures))


def fill(store: Store, n_sessions: int) -> None:
    chance, failures = random.Random(7), make_failures()
    for n in range(n_sessions):
        store.commit(f"2013-02-08/AA{n}-LGA-ORD", make_commit(f"s{n}", chance, failures))


def read_raw(url: str) -> int:
    """All hashes of all sessions, pipelined by redis-py, undecoded."""
    client = redis.Redis.from_url(url)
    uids = [uid for bucket in ALL_BUCKETS for uid in client.zrange(bucket.listing, 0, -1)]
    n_bytes = 0
    for start in range(0, len(uids), 500):
        pipeline = client.pipeline(transaction=False)
        for uid in uids[start : start + 500]:
            keys = keys_of(uid.decode())
            for key in (keys.head, keys.cells, keys.instances, keys.due):
                pipeline.hgetall(key)
        n_bytes += sum(len(value) for reply in pipeline.execute() for value in reply.values())
    return n_bytes


def read_raw_heads(url: str) -> int:
    client = redis.Redis.from_url(url)
    uids = [uid for bucket in ALL_BUCKETS for uid in client.zrange(bucket.listing, 0, -1)]
    n_bytes = 0
    for start in range(0, len(uids), 1000):
        pipeline = client.pipeline(transaction=False)
        for uid in uids[start : start + 1000]:
            pipeline.hgetall(keys_of(uid.decode()).head)
        n_bytes += sum(len(value) for reply in pipeline.execute() for value in reply.values())
    return n_bytes


def read_instances(url: str) -> int:
    return len(tnb.connect(url).instances(max_results=None))


def read_failures(url: str) -> int:
    return len(tnb.connect(url).failures(max_results=None))


def read_sessions(url: str) -> int:
    return len(tnb.connect(url).sessions(max_results=None))


def group_failures(url: str) -> int:
    return len(tnb.connect(url).failure_groups(max_results=None))


def read_plainly(url: str) -> int:
    """What one would write by hand."""
    rows = []
    for uid in tnb.connect(url):
        for instance in tnb.CacheStorageBackend(uid, url):
            facts = {"uid": uid, "name": instance.name, "task": instance.config.name, "status": instance.status}
            rows.append({**facts, "kwargs": instance.kwargs, "metadata": instance.metadata})
    return len(pd.json_normalize(rows))


def export_all(url: str) -> int:
    with tempfile.TemporaryDirectory() as directory:
        tnb.connect(url).export(directory)
        return sum(path.stat().st_size for path in Path(directory).rglob("*.parquet"))


def measure(function: Callable[[str], int], url: str, answers: Any) -> None:
    import pyarrow.parquet  # noqa: F401

    uid = next(iter(tnb.connect(url)))
    tnb.connect(url).failure_groups(uid)  # imports are not part of it
    tnb.connect(url).instances(uid)
    before = psutil.Process().memory_info().rss
    started, cpu_started = time.perf_counter(), time.process_time()
    result = function(url)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    answers.put((result, seconds, cpu_s, (peak_bytes() - before) / 2**20))


def peak_bytes() -> int:
    """The most memory that this process has had (``ru_maxrss`` counts what its parent had, too)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def run_alone(function: Callable[[str], int], url: str) -> tuple[int, float, float, float]:
    """Run in a process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=measure, args=(function, url, answers))
    process.start()
    answer: tuple[int, float, float, float] = answers.get()
    process.join()
    return answer


def compare(title: str, url: str, functions: list[Callable[[str], int]], rounds: int) -> None:
    measured: dict[str, list[tuple[int, float, float, float]]] = {function.__name__: [] for function in functions}
    for _ in range(rounds):
        for function in functions:
            measured[function.__name__].append(run_alone(function, url))
    print(f"{title:24} elapsed            processor time     peak memory  result")
    base: tuple[float, float] | None = None
    for name, runs in measured.items():
        seconds, cpu_s = (statistics.median(run[i] for run in runs) for i in (1, 2))
        base = base or (seconds, cpu_s)
        result, _, _, memory = runs[-1]
        print(
            f"  {name:22} {seconds:7.2f} s {seconds / base[0]:6.2f} x {cpu_s:7.2f} s {cpu_s / base[1]:6.2f} x "
            f"{memory:7.0f} MB  {result:,}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--listed", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="also the plain loop and the export, which take long")
    args = parser.parse_args()
    with start_server() as url:
        fill(open_store(url), args.sessions)
        functions = [read_raw, read_instances, read_failures]
        compare(f"{args.sessions:,} sessions of 20 instances", url, functions, args.rounds)
        if args.plain:
            compare("into a frame by hand, and into Parquet", url, [read_instances, read_plainly, export_all], 1)
    if args.listed:
        with start_server() as url:
            fill_small(open_store(url), args.listed)
            compare(f"{args.listed:,} sessions listed", url, [read_raw_heads, read_sessions], args.rounds)
            compare("one failure in each", url, [read_raw, read_failures, group_failures], 1)


if __name__ == "__main__":
    main()
