"""A session as a graph of tasks, or of instances."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import networkx as nx
import pytest

from triggers_nb.analysis.graph import instance_graph, number, task_graph
from triggers_nb.core.instances import TaskConfig, TaskInstance

MIDNIGHT = datetime(2013, 2, 8, tzinfo=UTC)

FLIGHT = {
    "t_importFlight": TaskConfig("t_importFlight", after=["scheduled"], run="ImportFlight"),
    "t_identifyPlane": TaskConfig("t_identifyPlane", after=["t_importFlight"], run="IdentifyPlane"),
    "t_computeDelay": TaskConfig(
        "t_computeDelay", after=["t_importFlight", "departed"], unless=["cancelled"], run="ComputeDelay"
    ),
    "t_rebook": TaskConfig("t_rebook", after=["t_identifyPlane", "cancelled"], run="Rebook"),
    "t_report": TaskConfig("t_report", after=["scheduled"], andEvery="departed", run="Report"),
}


def instance(name: str, status: str, held: tuple[str, ...] = (), **metadata: object) -> TaskInstance:
    config = FLIGHT[name.partition("#")[0]]
    return TaskInstance(name, config, status, metadata, {trigger: {} for trigger in held}, config.unless)


CANCELLED = [
    instance("t_importFlight#0", "finished", ("scheduled",)),
    instance("t_identifyPlane#0", "failed", ("t_importFlight",), exceptionType="KeyError"),
    instance("t_computeDelay#0", "abandoned", ("t_importFlight",)),
    instance("t_rebook#0", "unstarted", ("cancelled",)),
]
FIRED = {"scheduled", "cancelled", "t_importFlight"}


class TestTaskGraph:
    def test_a_task_that_others_wait_for_is_one_node(self):
        graph = task_graph(FLIGHT)
        assert graph.nodes["t_importFlight"]["kind"] == "task"
        assert set(graph.predecessors("t_identifyPlane")) == {"t_importFlight"}
        assert {name for name, kind in graph.nodes(data="kind") if kind == "trigger"} == {
            "scheduled",
            "departed",
            "cancelled",
        }

    def test_edges_say_their_role_and_whether_a_task_fires_them(self):
        graph = task_graph(FLIGHT)
        assert graph.edges["t_importFlight", "t_computeDelay", "after"]["cascade"] is True
        assert graph.edges["departed", "t_computeDelay", "after"]["cascade"] is False
        assert graph.has_edge("cancelled", "t_computeDelay", "unless")

    def test_and_every_is_one_edge_although_it_is_part_of_after(self):
        graph = task_graph(FLIGHT)
        assert list(graph["departed"]["t_report"]) == ["and_every"]

    def test_a_trigger_may_play_two_roles_for_one_task(self):
        both = {"t_x": TaskConfig("t_x", after=["a"], unless=["a"], run="X")}
        assert sorted(task_graph(both)["a"]["t_x"]) == ["after", "unless"]

    def test_nodes_carry_counts_and_the_status_that_matters_most(self):
        clone = instance("t_identifyPlane#1", "finished", ("t_importFlight",))
        graph = task_graph(FLIGHT, [*CANCELLED, clone], FIRED)
        facts = graph.nodes["t_identifyPlane"]
        assert (facts["status"], facts["counts"], facts["total"]) == ("failed", {"failed": 1, "finished": 1}, 2)
        assert graph.nodes["t_report"]["status"] is None
        assert graph.nodes["t_report"]["counts"] == {}

    @pytest.mark.parametrize(
        ("task", "detail"),
        [
            ("t_identifyPlane", "KeyError"),
            ("t_rebook", "waits for t_identifyPlane"),
            ("t_computeDelay", "cancelled fired"),
            ("t_importFlight", ""),
        ],
    )
    def test_the_one_fact_that_matters(self, task: str, detail: str):
        assert task_graph(FLIGHT, CANCELLED, FIRED).nodes[task]["detail"] == detail

    def test_abandoned_by_hand_is_not_blamed_on_triggers_that_have_not_fired(self):
        abandoned = TaskInstance("t_computeDelay#0", FLIGHT["t_computeDelay"], "abandoned")
        assert task_graph(FLIGHT, [abandoned]).nodes["t_computeDelay"]["detail"] == ""

    def test_an_edge_is_satisfied_once_its_trigger_has_fired_and_nothing_waits_for_it(self):
        late = TaskInstance("t_rebook#0", FLIGHT["t_rebook"], "unstarted")
        assert task_graph(FLIGHT, CANCELLED, FIRED).edges["cancelled", "t_rebook", "after"]["satisfied"] is True
        assert task_graph(FLIGHT, CANCELLED, FIRED).edges["departed", "t_computeDelay", "after"]["satisfied"] is False
        assert task_graph(FLIGHT, [late], FIRED).edges["cancelled", "t_rebook", "after"]["satisfied"] is False

    def test_a_trigger_that_fired_although_nothing_waits_for_it_is_shown(self):
        graph = task_graph(FLIGHT, [], {"canceled"})
        assert graph.nodes["canceled"]["kind"] == "trigger"
        assert graph.nodes["canceled"]["detail"] == "nothing waits for it"

    def test_instances_of_a_task_that_is_not_configured_are_not_lost(self):
        tasks = {name: config for name, config in FLIGHT.items() if name != "t_rebook"}
        assert task_graph(tasks, CANCELLED, FIRED).nodes["t_rebook"]["total"] == 1

    def test_networkx_algorithms_work(self):
        graph = task_graph(FLIGHT)
        assert nx.descendants(graph, "t_importFlight") == {"t_identifyPlane", "t_computeDelay", "t_rebook"}
        assert nx.is_directed_acyclic_graph(graph)

    def test_nothing_gives_an_empty_graph(self):
        assert len(task_graph({}, [], [])) == 0


class TestInstanceGraph:
    def test_cascades_and_replays(self):
        clone = instance("t_identifyPlane#1", "finished", parent="t_identifyPlane#0", depth=1)
        causes = {"t_identifyPlane#0": ["t_importFlight#0"], "t_rebook#0": ["t_identifyPlane#1"]}
        graph = instance_graph(FLIGHT, [*CANCELLED, clone], causes)
        assert set(graph.edges(keys=True)) == {
            ("t_importFlight#0", "t_identifyPlane#0", "cascade"),
            ("t_identifyPlane#1", "t_rebook#0", "cascade"),
            ("t_identifyPlane#0", "t_identifyPlane#1", "replay"),
        }
        assert graph.nodes["t_identifyPlane#1"]["depth"] == 1

    def test_nodes_come_in_the_order_of_the_configuration_then_by_number(self):
        instances = [instance(f"t_identifyPlane#{n}", "finished") for n in (10, 2)]
        graph = instance_graph(FLIGHT, [*instances, CANCELLED[0]], {})
        assert list(graph) == ["t_importFlight#0", "t_identifyPlane#2", "t_identifyPlane#10"]

    def test_times(self):
        moments = {
            status: MIDNIGHT + timedelta(seconds=n)
            for n, status in enumerate(["created", "scheduled", "running", "failed", "replayed"])
        }
        graph = instance_graph(FLIGHT, [instance("t_importFlight#0", "replayed", timestamps=moments)], {})
        facts = graph.nodes["t_importFlight#0"]
        assert facts["started_at"] == moments["running"]
        assert facts["ended_at"] == moments["failed"]
        assert facts["finished_at"] is None

    def test_causes_and_parents_that_were_not_passed_are_left_out(self):
        clone = instance("t_identifyPlane#1", "finished", parent="t_identifyPlane#0")
        graph = instance_graph(FLIGHT, [clone], {"t_identifyPlane#1": ["t_importFlight#0"], "t_x#9": ["t_y#0"]})
        assert list(graph) == ["t_identifyPlane#1"]
        assert graph.number_of_edges() == 0

    @pytest.mark.parametrize("parent", [None, 7, ["t_importFlight#0"], "t_importFlight#0"])
    def test_a_strange_parent_does_no_harm(self, parent: object):
        graph = instance_graph(FLIGHT, [instance("t_importFlight#0", "finished", parent=parent)], {})
        assert graph.number_of_edges() == 0


@pytest.mark.parametrize("name", ["t_x", "t_x#", "t_x#a", "t_x#²"])
def test_a_name_without_a_number_has_none(name: str):
    assert number(name) == -1
