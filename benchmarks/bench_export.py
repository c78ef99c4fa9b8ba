"""Export of fleets of several sizes: ``python benchmarks/bench_export.py [--sessions 2000 8000 32000]``.

For each size, in one run: the sessions of `bench_frames.py` (20 instances, 5 % of them failed) in an SQLite file, and

- ``in_memory``: the reference, sessions, instances and changes read into frames, payloads included;
- ``export``: ``ws.export`` of the same, with payloads.

Prints the size of the database, time and peak memory of each in a process of its own, and the ratio of the memory to
that of the smallest fleet: the reference's grows with the fleet; export's must not any more once a day's sessions are
more than what is read at once (the fleet's last changes are spread over twelve days).
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from bench_frames import fill, peak_bytes

import triggers_nb as tnb
from triggers_nb.storages.urls import open_store

MB = 2**20


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, nargs="+", default=[2_000, 8_000, 32_000])
    args = parser.parse_args()
    base: dict[str, float] = {}
    for n in args.sessions:
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "fleet.db"
            fill(open_store(f"sqlite:///{file}"), n)
            print(f"{n:,} sessions, {file.stat().st_size / MB:,.0f} MB in SQLite")
            for function in (in_memory, export):
                name = function.__name__
                rows, seconds, memory = run_alone(function, f"sqlite:///{file}", Path(directory) / name)
                growth = memory / base.setdefault(name, memory)
                print(f"  {name:10} {seconds:7.1f} s   {memory:7.0f} MB {growth:6.2f} x   {rows:,} rows", flush=True)


if __name__ == "__main__":
    main()
