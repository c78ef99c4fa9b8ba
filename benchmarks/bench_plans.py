"""What planning, previewing and executing replays costs beside calling the manager directly.

    python benchmarks/bench_plans.py [--replays 10000] [--batch 100] [--large 10000] [--only sqlite]

Every session has one failed instance, as in a fleet after an outage; the runner does nothing, so that only the changes
are measured. Direct calls (one manager for each session, on a handle with the same provenance) and plans (made,
executed, journal written) take turns, a batch each. Starts a Redis server of its own, with an append-only file; the
SQLite file is in a temporary directory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from servers import start_server

import triggers_nb as tnb
from triggers_nb.core.events import Provenance
from triggers_nb.core.instances import TaskInstance
from triggers_nb.manager import TriggerManager
from triggers_nb.plan.plan import Plan
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.workspace import Workspace

T = TypeVar("T")

RUNNER = "bench-nothing"
CONFIGURATION = {
    "t_import": {"after": ["scheduled"], "run": "bench.Import"},
    "t_rebook": {"after": ["t_import", "cancelled"], "run": "bench.Rebook"},
    "t_close": {"after": ["t_rebook"], "run": "bench.Close"},
}
KWARGS = {"plane": None, "carrier": "AA", "flight": 345, "legs": [{"from": "LGA", "to": "ORD"}] * 4}


@task_runners.register(RUNNER)
class NothingRunner(BaseTaskRunner):
    name = RUNNER

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        pass


def direct_manager(workspace: Workspace, uid: str) -> TriggerManager:
    provenance = Provenance(actor=workspace.actor, reason="bench", action_id="0" * 16, plan_id="0" * 16)
    storage = tnb.CacheStorageBackend(uid, workspace.store).derive(provenance=provenance, runner=RUNNER)
    return TriggerManager(storage)


def fail_one(workspace: Workspace, uid: str) -> None:
    manager = direct_manager(workspace, uid)
    manager.update_configuration(CONFIGURATION)
    manager.fire("scheduled", KWARGS)
    manager.update_instance_status("t_import#0", "failed")


def timed(call: Callable[..., T], *arguments: Any, **options: Any) -> tuple[float, T]:
    started = time.perf_counter()
    found = call(*arguments, **options)
    return time.perf_counter() - started, found


def selection(uids: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"session_uid": uids, "instance": "t_import#0", "tail": [f"N{n}AA" for n in range(len(uids))]})


def plan_replays(workspace: Workspace, frame: pd.DataFrame) -> Plan:
    return workspace.plan.replay(frame, merge_kwargs=lambda row: {"scheduled": {"plane": row["tail"]}})


def replay_directly(workspace: Workspace, uids: list[str]) -> None:
    for number, uid in enumerate(uids):
        kwargs = {"scheduled": {**KWARGS, "plane": f"N{number}AA"}}
        direct_manager(workspace, uid).replay_failed_instance("t_import#0", kwargs)


def compare_replays(workspace: Workspace, n: int, batch: int) -> None:
    uids = [f"{kind}-{number}" for number in range(n) for kind in ("direct", "planned")]
    made, _ = timed(lambda: [fail_one(workspace, uid) for uid in uids])
    print(f"  {2 * n:,} sessions made in {made:.1f} s")
    direct, planned, executed, previewed = [], [], [], []
    for start in range(0, n, batch):
        numbers = range(start, min(start + batch, n))
        frame = selection([f"planned-{number}" for number in numbers])
        took, _ = timed(replay_directly, workspace, [f"direct-{number}" for number in numbers])
        direct.append(took)
        took, plan = timed(plan_replays, workspace, frame)
        planned.append(took)
        took, _ = timed(plan.preview, hooks=True)
        previewed.append(took)
        took, result = timed(plan.execute, reason="bench", progress=False)
        executed.append(took)
        result.raise_for_errors()
    medians = {}
    for name, took in [("direct", direct), ("plan", planned), ("execute", executed), ("preview", previewed)]:
        medians[name] = statistics.median(took)
        print(f"  {name:8} {sum(took):7.2f} s for {n:,} replays, median {medians[name] / batch * 1000:.3f} ms each")
    ratio = (medians["plan"] + medians["execute"]) / medians["direct"]
    in_all = (sum(planned) + sum(executed)) / sum(direct)
    print(f"  plan + execute over direct: {ratio:.2f} by medians, {in_all:.2f} in all")


def preview_sizes(workspace: Workspace, large: int) -> None:
    """A preview of one replay in sessions of few and of many instances."""
    plans = {}
    for size in (10, large):
        uid = f"of-{size}"
        manager = direct_manager(workspace, uid)
        manager.update_configuration(
            {"t_each": {"after": [], "andEvery": "tick", "run": "bench.Each"}, **CONFIGURATION}
        )
        for _ in range(size):
            manager.fire("tick")
        manager.update_instance_status("t_each#0", "failed")
        plans[size] = workspace.session(uid).plan.replay("t_each#0")
    took: dict[int, list[float]] = {size: [] for size in plans}
    for _ in range(40):
        for size, plan in plans.items():
            took[size].append(timed(plan.preview)[0])
    medians = {size: statistics.median(each) * 1000 for size, each in took.items()}
    ratio = medians[large] / medians[10]
    print(f"  preview of one: {medians[10]:.2f} ms in 10 instances, {medians[large]:.2f} ms in {large:,}: {ratio:.2f}")


def run(url: str, options: argparse.Namespace) -> None:
    print(url.partition(":")[0])
    with tnb.connect(url, mode="read-write", env="bench", runner=RUNNER) as workspace:
        compare_replays(workspace, options.replays, options.batch)
        preview_sizes(workspace, options.large)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--large", type=int, default=10_000)
    parser.add_argument("--only", choices=["redis", "sqlite", "memory"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TRIGGERS_JOURNAL"] = str(Path(directory) / "journal.jsonl")
        if options.only in (None, "redis"):
            with start_server() as url:
                run(url, options)
        if options.only in (None, "sqlite"):
            run(f"sqlite:///{directory}/bench.db", options)
        if options.only == "memory":
            run("memory://bench", options)


if __name__ == "__main__":
    main()
