"""100,000 failures grouped by cause: ``python benchmarks/bench_failures.py [--failures 100000] [--rounds 3]``.

In one run and taking turns, over failures of many sessions, with tracebacks of their own and messages that all differ:

- ``fingerprint`` of each, from type, message and traceback, beside the plainest thing that could be done with the same
  texts: a regular expression that masks their numbers, and a digest;
- ``failure_groups`` of the frame of all, beside a plain ``groupby(...).agg(...)`` of counts, sessions, first and last.

Prints medians, ratios to the reference, how many groups came out, and the peak memory of each, measured in a process of
its own. (`bench_frames.py` reads them from Redis, too.)
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import statistics
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

import pandas as pd
import psutil
from bench_pictures import peak_bytes

import triggers_nb as tnb
from triggers_nb.analysis.fingerprints import fingerprint
from triggers_nb.analysis.schema import FAILURES

N_CAUSES = 200
FAILED_US = 1_360_314_000_000_000
TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3.11/threading.py", line 982, in run
    self._target(*self._args, **self._kwargs)
  File "/srv/app/tasks/m{cause}.py", line {line}, in import_rows
    rows = [parse(row) for row in read(path)]
  File "/srv/app/tasks/m{cause}.py", line {line}, in parse
    return json.loads(row)
  File "/usr/lib/python3.11/json/decoder.py", line 337, in decode
    obj, end = self.raw_decode(s, idx=_w(s, 0).end())
json.decoder.JSONDecodeError: {message}
"""
NUMBERS = re.compile(r"\d+")

Failure = tuple[str, str, str]


def make_failures(n: int) -> list[Failure]:
    chance = random.Random(7)
    failures = []
    for _ in range(n):
        message = f"Expecting value: line {chance.randrange(10**6)} column {chance.randrange(99)} (char 0)"
        text = TRACEBACK.format(cause=chance.randrange(N_CAUSES), line=chance.randrange(900), message=message)
        failures.append(("json.decoder.JSONDecodeError", message, text))
    return failures


def make_frame(failures: list[Failure]) -> pd.DataFrame:
    """A failure in each instance, two in each session; every third blocks two tasks."""
    n = len(failures)
    values: dict[str, Any] = dict.fromkeys(FAILURES.names, [None] * n)
    moments = [column.name for column in FAILURES.columns if column.dtype.startswith(("datetime", "timedelta"))]
    values |= dict.fromkeys(moments, [FAILED_US] * n)
    values["failed_at"] = [FAILED_US + position for position in range(n)]
    values["session_uid"] = [f"2013-02-08/AA{position // 2}" for position in range(n)]
    values["instance"] = [f"t_import#{position % 2}" for position in range(n)]
    values["task"] = ["t_import"] * n
    values["exception_type"], values["exception_message"], _ = zip(*failures, strict=True)
    values["fingerprint"] = [fingerprint(*failure) for failure in failures]
    values["top_frame"] = ["tasks.m:parse"] * n
    values["blocked"] = [["t_check", "t_report"] if position % 3 == 0 else [] for position in range(n)]
    return FAILURES.frame(values)


def mask_plainly(failures: list[Failure]) -> int:
    return len({blake2b(NUMBERS.sub("#", "\0".join(failure)).encode()).hexdigest() for failure in failures})


def fingerprints(failures: list[Failure]) -> int:
    return len({fingerprint(*failure) for failure in failures})


def group_plainly(frame: pd.DataFrame) -> int:
    columns = {
        "n_instances": ("instance", "size"),
        "n_sessions": ("session_uid", "nunique"),
        "first_seen": ("failed_at", "min"),
        "last_seen": ("failed_at", "max"),
        "sample_message": ("exception_message", "last"),
    }
    return len(frame.groupby("fingerprint").agg(**columns))  # type: ignore[call-overload]


def failure_groups(frame: pd.DataFrame) -> int:
    return len(tnb.failure_groups(frame))


def measure(function: Callable[[Any], int], make: Callable[[int], Any], n: int, answers: Any) -> None:
    function(make(20))  # imports are not part of it
    material = make(n)
    before = psutil.Process().memory_info().rss
    function(material)
    answers.put((peak_bytes() - before) / 2**20)


def memory_alone(function: Callable[[Any], int], make: Callable[[int], Any], n: int) -> float:
    """Run in a process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=measure, args=(function, make, n, answers))
    process.start()
    answer: float = answers.get()
    process.join()
    return answer


def make_whole(n: int) -> pd.DataFrame:
    return make_frame(make_failures(n))


def compare(title: str, functions: list[Callable[[Any], int]], make: Callable[[int], Any], n: int, rounds: int) -> None:
    material = make(n)
    seconds: dict[str, list[float]] = {function.__name__: [] for function in functions}
    results = {function.__name__: function(material) for function in functions}
    for _ in range(rounds):
        for function in functions:
            started = time.perf_counter()
            function(material)
            seconds[function.__name__].append(time.perf_counter() - started)
    print(title)
    base = statistics.median(seconds[functions[0].__name__])
    for function in functions:
        name, taken = function.__name__, statistics.median(seconds[function.__name__])
        memory = memory_alone(function, make, n)
        print(
            f"  {name:16} {taken:7.2f} s {taken / base:6.2f} x   {1e6 * taken / n:6.1f} µs each   "
            f"peak memory {memory:6.1f} MB   {results[name]:,} groups",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--failures", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    n, rounds = args.failures, args.rounds
    compare(f"{n:,} failures fingerprinted", [mask_plainly, fingerprints], make_failures, n, rounds)
    compare(f"{n:,} failures in a frame grouped", [group_plainly, failure_groups], make_whole, n, rounds)


if __name__ == "__main__":
    main()
