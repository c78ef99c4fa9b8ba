"""Many sessions as one graph."""

from __future__ import annotations

from triggers_nb.analysis.graph_fleet import failure_rate, fleet_graph
from triggers_nb.core.instances import TaskConfig

IMPORT = TaskConfig("t_import", after=["scheduled"], run="Import")
DELAY = TaskConfig("t_delay", after=["t_import", "departed"], unless=["cancelled"], run="Delay")

SESSIONS = [
    ({"t_import": IMPORT, "t_delay": DELAY}, {"t_import": {"finished": 1}, "t_delay": {"failed": 1}}, ["scheduled"]),
    ({"t_import": IMPORT}, {"t_import": {"finished": 2, "replayed": 1, "running": 1}}, ["scheduled", "departed"]),
]


def test_the_union_of_configurations_with_counts():
    graph = fleet_graph(SESSIONS)
    assert graph.nodes["t_import"]["counts"] == {"running": 1, "finished": 3, "replayed": 1}
    assert graph.nodes["t_import"]["n_sessions"] == 2
    assert graph.nodes["t_delay"]["n_sessions"] == 1
    assert graph.edges["scheduled", "t_import", "after"]["n_satisfied"] == 2
    assert graph.edges["departed", "t_delay", "after"] == {
        "cascade": False,
        "satisfied": False,
        "n_sessions": 1,
        "n_satisfied": 0,
    }


def test_failure_rates_count_what_ran_to_an_end():
    graph = fleet_graph(SESSIONS)
    assert graph.nodes["t_import"]["failure_rate"] == 0.25
    assert graph.nodes["t_import"]["detail"] == "25 % failed"
    assert graph.nodes["t_delay"]["failure_rate"] == 1.0
    assert failure_rate({"unstarted": 3, "abandoned": 2}) is None


def test_triggers_say_in_how_many_sessions_they_fired():
    graph = fleet_graph(SESSIONS)
    assert graph.nodes["scheduled"]["detail"] == "in 2 of 2"
    assert graph.nodes["departed"]["n_fired"] == 1
    assert graph.nodes["cancelled"]["fired"] is False


def test_a_trigger_that_nothing_waits_for_anywhere_is_shown():
    graph = fleet_graph([({"t_import": IMPORT}, {}, ["shceduled"])])
    assert graph.nodes["shceduled"]["detail"] == "nothing waits for it"


def test_a_name_that_is_a_task_somewhere_is_a_task():
    other = {"departed": TaskConfig("departed", after=["gate"], run="Departed")}
    graph = fleet_graph([*SESSIONS, (other, {}, [])])
    assert graph.nodes["departed"]["kind"] == "task"
    assert graph.edges["departed", "t_delay", "after"]["cascade"] is True


def test_sessions_are_read_once():
    assert len(fleet_graph(iter(SESSIONS))) == len(fleet_graph(SESSIONS))
    assert len(fleet_graph([])) == 0
