"""Large graphs made small."""

from __future__ import annotations

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as some

from triggers_nb.analysis.graph import instance_graph, task_graph
from triggers_nb.analysis.graph_collapse import collapse
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.status import STATUSES

IMPORT = TaskConfig("t_import", after=["go"], run="Import")
CHECK = TaskConfig("t_check", after=["t_import"], run="Check")


def test_a_small_graph_stays_as_it_is():
    graph = task_graph({"t_import": IMPORT, "t_check": CHECK})
    assert collapse(graph) is graph


def test_instances_are_put_together_by_task_and_status():
    instances = [TaskInstance(f"t_import#{n}", IMPORT, "finished") for n in range(200)]
    instances += [
        TaskInstance(f"t_check#{n}", CHECK, "failed" if n < 30 else "finished", {"exceptionType": "KeyError"})
        for n in range(200)
    ]
    causes = {f"t_check#{n}": [f"t_import#{n}"] for n in range(200)}
    graph = instance_graph({"t_import": IMPORT, "t_check": CHECK}, instances, causes)

    small = collapse(graph, 10)

    said = {(facts["label"], facts["status"]): facts["total"] for _, facts in small.nodes(data=True)}
    assert said == {("t_import", "finished"): 200, ("t_check", "failed"): 30, ("t_check", "finished"): 170}
    assert sum(n for *_, n in small.edges(data="n")) == 200


def test_what_waits_for_the_same_and_releases_the_same_is_one_node_per_status():
    tasks = {name: TaskConfig(name, after=["go"], run="X") for name in (f"{'abcdefgh'[n % 8]}{n}" for n in range(300))}
    tasks["t_end"] = TaskConfig("t_end", after=list(tasks), run="End")
    instances = [TaskInstance(f"{name}#0", config, "finished") for name, config in tasks.items() if name != "t_end"]
    instances[7].status = "failed"

    small = collapse(task_graph(tasks, instances, ["go"]))

    assert sorted((f["label"], f["status"]) for _, f in small.nodes(data=True) if f["kind"] == "task") == [
        ("299 tasks", "finished"),
        ("h7", "failed"),
        ("t_end", None),
    ]


def test_a_long_chain_is_put_together_by_layers_and_keeps_what_failed_apart():
    names = ["".join("ab"[int(bit)] for bit in f"{n:010b}") for n in range(900)]
    tasks = {
        name: TaskConfig(name, after=[before], run="X") for before, name in zip(["go", *names], names, strict=False)
    }
    instances = [
        TaskInstance(f"{name}#0", tasks[name], "failed" if n == 450 else "finished") for n, name in enumerate(names)
    ]

    small = collapse(task_graph(tasks, instances, ["go"]), 60)

    assert 6 <= len(small) <= 60
    assert nx.is_weakly_connected(small)
    assert [facts["counts"] for _, facts in small.nodes(data=True) if facts["status"] == "failed"] == [{"failed": 1}]


@pytest.mark.parametrize("limit", [3, 0, -1])
def test_a_limit_that_shows_nothing_is_refused(limit: int):
    with pytest.raises(ValueError, match=f"limit={limit}: expected 4 nodes or more"):
        collapse(task_graph({}), limit)


names = some.lists(some.text("abc12", min_size=1, max_size=4), min_size=1, max_size=40, unique=True)


@given(names, some.randoms(use_true_random=False), some.integers(4, 30))
def test_nothing_is_lost_and_nothing_too_large(task_names: list[str], random, limit: int):
    """Also with cycles, tasks that wait for themselves, and everything waiting for everything."""
    tasks = {
        name: TaskConfig(
            name, after=random.choices([*task_names, "go"], k=3), unless=random.choices(["no", name]), run="X"
        )
        for name in task_names
    }
    instances = [TaskInstance(f"{name}#0", tasks[name], random.choice(STATUSES)) for name in task_names]
    graph = task_graph(tasks, instances, ["go"])

    small = collapse(graph, limit)

    assert len(small) <= limit
    assert sum(total for _, total in small.nodes(data="total")) == len(instances)
    shown = [name for key, facts in small.nodes(data=True) for name in facts.get("members", [key])]
    assert sorted(shown) == sorted(graph)
    assert all(key in graph for key in small)
