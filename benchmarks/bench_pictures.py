"""Pictures of graphs of 60, 120, 300 and 1,500 nodes: ``python benchmarks/bench_pictures.py [--rounds 5]``.

For each size, in one run and taking turns, of the same random graph of tasks and triggers, and of its instances:

- ``text``: what the picture says, as text: the reference, about the least that any rendering costs;
- ``merged``: like nodes merged, as far as there are too many;
- ``cascade``: the picture as SVG, layout and merging included;
- ``timeline``: the instances' timeline as SVG.

Prints medians, ratios to the reference, what the first picture of a process takes, the size of what came out (of
``merged`` the number of nodes), and the peak memory of each, measured in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil

from triggers_nb.analysis.graph import instance_graph, task_graph
from triggers_nb.analysis.graph_collapse import LIMIT, collapse
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.status import STATUSES
from triggers_nb.render.cascade import cascade_svg, text_twin
from triggers_nb.render.timeline import timeline_svg

#: 120 is the most that is drawn one by one, and so the most work.
SIZES = (60, LIMIT, 300, 1500)
STARTED_AT = datetime(2013, 2, 8, 6, tzinfo=UTC)
TRIGGERS = ("scheduled", "departed", "landed", "cancelled", "weatherReceived")
WORDS = ("importFlight", "identifyPlane", "attachWeather", "rebookPassengers", "computeDelay")
#: How often each status occurs, in the order of `STATUSES`.
WEIGHTS = (10, 3, 3, 60, 8, 3, 2, 4)


def make_tasks(n: int, chance: random.Random) -> dict[str, TaskConfig]:
    """Tasks that wait for one or two of the eight before them, some for a trigger, too."""
    names = [f"t_{chance.choice(WORDS)}{position}" for position in range(n - len(TRIGGERS))]
    tasks = {}
    for position, name in enumerate(names):
        before = names[max(position - 8, 0) : position]
        after = set(chance.sample(before, min(len(before), chance.choice((1, 1, 1, 2))))) or {TRIGGERS[0]}
        if chance.random() < 0.15:
            after.add(chance.choice(TRIGGERS))
        unless = [TRIGGERS[3]] if chance.random() < 0.1 and TRIGGERS[3] not in after else []
        tasks[name] = TaskConfig(name, after=sorted(after), run=f"app.{name}", unless=unless)
    return tasks


def make_instances(tasks: dict[str, TaskConfig], chance: random.Random) -> list[TaskInstance]:
    instances = []
    for position, (name, config) in enumerate(tasks.items()):
        moments = [STARTED_AT + timedelta(seconds=position * 2 + chance.random() * n) for n in (0, 1, 3)]
        [status] = chance.choices(STATUSES, WEIGHTS)
        stamps = dict(zip(("created", "scheduled", "running"), moments, strict=True))
        ended = {status: moments[-1] + timedelta(seconds=chance.random() * 20)}
        metadata = {"timestamps": stamps | ended, "exceptionType": "KeyError" if status == "failed" else None}
        instances.append(TaskInstance(f"{name}#0", config, status, metadata, {t: {} for t in config.after}, set()))
    return instances


def make_graphs(n: int) -> tuple[Any, Any]:
    """One graph of tasks and triggers, and one of instances."""
    chance = random.Random(n)
    tasks = make_tasks(n, chance)
    instances = make_instances(tasks, chance)
    fired = {*TRIGGERS[:3], *list(tasks)[: n // 2]}
    causes = {f"{name}#0": [f"{each}#0" for each in config.after if each in tasks] for name, config in tasks.items()}
    return task_graph(tasks, instances, fired), instance_graph(tasks, instances, causes)


def text(graphs: tuple[Any, Any]) -> int:
    return len(text_twin(graphs[0]))


def merged(graphs: tuple[Any, Any]) -> int:
    return len(collapse(graphs[0]))


def cascade(graphs: tuple[Any, Any]) -> int:
    return len(cascade_svg(graphs[0]))


def timeline(graphs: tuple[Any, Any]) -> int:
    return len(timeline_svg(graphs[1]))


def measure(function: Callable[[Any], int], n: int, answers: Any) -> None:
    function(make_graphs(20))  # imports are not part of it
    graphs = make_graphs(n)
    before = psutil.Process().memory_info().rss
    started = time.perf_counter()
    result = function(graphs)
    seconds = time.perf_counter() - started
    answers.put((result, seconds, (peak_bytes() - before) / 2**20))


def peak_bytes() -> int:
    """The most memory that this process has had (``ru_maxrss`` counts what its parent had, too)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def run_alone(function: Callable[[Any], int], n: int) -> tuple[int, float, float]:
    """Run in a process of its own, so that its memory is its own."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=measure, args=(function, n, answers))
    process.start()
    answer: tuple[int, float, float] = answers.get()
    process.join()
    return answer


def compare(n: int, rounds: int) -> None:
    functions = [text, merged, cascade, timeline]
    graphs = make_graphs(n)
    seconds: dict[str, list[float]] = {function.__name__: [] for function in functions}
    for function in functions * 2:
        function(graphs)  # what is remembered between pictures is there
    for _ in range(rounds):
        for function in functions:
            started = time.perf_counter()
            function(graphs)
            seconds[function.__name__].append(time.perf_counter() - started)
    print(f"{n:,} nodes, {graphs[0].number_of_edges():,} edges")
    base = statistics.median(seconds[text.__name__])
    for function in functions:
        taken = statistics.median(seconds[function.__name__])
        result, first, memory = run_alone(function, n)
        print(
            f"  {function.__name__:16} {1000 * taken:9.1f} ms {taken / base:7.1f} x   the first time "
            f"{1000 * first:9.1f} ms   peak memory {memory:6.1f} MB   {result:,}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    for n in SIZES:
        compare(n, args.rounds)


if __name__ == "__main__":
    main()
