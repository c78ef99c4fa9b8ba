"""Export of fleets of several sizes.

    python benchmarks/bench_export.py [--sessions 2000 8000 32000] [--gigabytes 0.65 2.6]

For each size, in one run: the sessions of `bench_frames.py` (20 instances, 5 % of them failed) in an SQLite file, and

- ``in_memory``: the reference, sessions, instances and changes read into frames, payloads included;
- ``export``: ``ws.export`` of the same, with payloads.

Prints the size of the database, time and peak memory of each in a process of its own, and the ratio of the memory to
that of the smallest fleet: the reference's grows with the fleet; export's must not any more once a day's sessions are
more than what is read at once (the fleet's last changes are spread over twelve days).

``--gigabytes``: in place of that, ``export`` alone of fleets so large, whose instances hold lists of passengers. Their
files are in the directory for temporary files, which must have room for them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from bench_frames import KWARGS, fill, make_commit, make_failures, peak_bytes

import triggers_nb as tnb
from triggers_nb.core.codec import encode_mapping
from triggers_nb.core.records import Raw
from triggers_nb.storages.urls import open_store

MB = 2**20
N_PASSENGERS = 80
N_LISTS = 500


def in_memory(ws: tnb.Workspace, _: str) -> int:
    frames = [
        ws.sessions(max_results=None),
        ws.instances(payloads=True, max_results=None),
        ws.events(max_results=None),
    ]
    return sum(map(len, frames))


def export(ws: tnb.Workspace, path: str) -> int:
    written = ws.export(path, payloads=True)
    return written.sessions + written.instances + written.events


def measure(function: Callable[[tnb.Workspace, str], int], url: str, path: str, answers: Any) -> None:
    ws = tnb.connect(url)
    one = next(iter(ws))
    ws.export(f"{path}-of-one", one, payloads=True)  # imports are not part of it
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    rows = function(ws, path)
    answers.put((rows, time.perf_counter() - started, (peak_bytes() - before) / MB))


def run_alone(function: Callable[[tnb.Workspace, str], int], url: str, path: Path) -> tuple[int, float, float]:
    """Run in a process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=measure, args=(function, url, str(path), answers))
    process.start()
    answer: tuple[int, float, float] = answers.get()
    process.join()
    return answer


def make_passengers(chance: random.Random) -> Raw:
    passengers = [
        {"ticket": f"{chance.randrange(10**12):012}", "seat": f"{row}{chance.choice('ABCDEF')}", "bags": row % 3,
         "meal": chance.choice(["standard", "vegetarian", "none"]), "is_connecting": chance.random() < 0.3}
        for row in range(1, N_PASSENGERS + 1)
    ]  # fmt: skip
    return Raw(encode_mapping({**KWARGS, "passengers": passengers}, "kwargs"))


def fill_large(file: Path, n_bytes: float) -> int:
    """Make sessions until the file is so large; how many there are then."""
    store, chance, failures, n = open_store(f"sqlite:///{file}"), random.Random(7), make_failures(), 0
    lists = [make_passengers(chance) for _ in range(N_LISTS)]
    while n % 100 or not file.exists() or file.stat().st_size < n_bytes:
        store.commit(f"2013-02-08/AA{n}-LGA-ORD", make_commit(f"s{n}", chance, failures, chance.choice(lists)))
        n += 1
    return n


def compare(file: Path, n: int, functions: list[Callable[[tnb.Workspace, str], int]], base: dict[str, float]) -> None:
    print(f"{n:,} sessions, {file.stat().st_size / MB:,.0f} MB in SQLite", flush=True)
    for function in functions:
        name = function.__name__
        rows, seconds, memory = run_alone(function, f"sqlite:///{file}", file.parent / name)
        growth = memory / base.setdefault(name, memory)
        print(f"  {name:10} {seconds:7.1f} s   {memory:7.0f} MB {growth:6.2f} x   {rows:,} rows", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, nargs="+", default=[2_000, 8_000, 32_000])
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[])
    args = parser.parse_args()
    base: dict[str, float] = {}
    for size in args.gigabytes or args.sessions:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "fleet.db"
            if args.gigabytes:
                compare(file, fill_large(file, size * 1024 * MB), [export], base)
            else:
                fill(open_store(f"sqlite:///{file}"), size)
                compare(file, size, [in_memory, export], base)


if __name__ == "__main__":
    main()
