"""The picture of a cascade, as a reader sees it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as some

from triggers_nb.analysis.graph import instance_graph, task_graph
from triggers_nb.analysis.graph_fleet import fleet_graph
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.core.status import STATUSES
from triggers_nb.render.cascade import cascade_svg, text_twin
from triggers_nb.render.cascade_nodes import measure
from triggers_nb.render.figure import img_tag
from triggers_nb.render.text_measure import text_width

SVG = "{http://www.w3.org/2000/svg}"

TASKS = {
    "t_importFlight": TaskConfig("t_importFlight", after=["scheduled"], run="Import"),
    "t_identifyPlane": TaskConfig("t_identifyPlane", after=["t_importFlight"], run="Identify"),
    "t_locateDestination": TaskConfig("t_locateDestination", after=["t_importFlight"], run="Locate"),
    "t_attachWeather": TaskConfig("t_attachWeather", after=["weatherReceived", "t_importFlight"], run="Weather"),
    "t_computeDelay": TaskConfig(
        "t_computeDelay", after=["t_importFlight", "departed", "landed"], unless=["cancelled"], run="Delay"
    ),
    "t_rebookPassengers": TaskConfig("t_rebookPassengers", after=["t_identifyPlane", "cancelled"], run="Rebook"),
    "t_closeReport": TaskConfig("t_closeReport", after=["sessionFinalized"], run="Close"),
}


def instance(name: str, status: str, *held: str, **metadata: object) -> TaskInstance:
    config = TASKS[name.partition("#")[0]]
    return TaskInstance(name, config, status, metadata, {trigger: {} for trigger in held}, config.unless)


INSTANCES = [
    instance("t_importFlight#0", "finished", "scheduled"),
    instance("t_identifyPlane#0", "failed", "t_importFlight", exceptionType="KeyError"),
    instance("t_locateDestination#0", "finished", "t_importFlight"),
    instance("t_attachWeather#0", "finished", "t_importFlight", "weatherReceived"),
    instance("t_computeDelay#0", "abandoned", "t_importFlight"),
    instance("t_rebookPassengers#0", "unstarted", "cancelled"),
]
FIRED = {"scheduled", "weatherReceived", "cancelled", "t_importFlight", "t_locateDestination", "t_attachWeather"}
FLIGHT = task_graph(TASKS, INSTANCES, FIRED)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    'it\'s & "quoted" &amp; ]]> <!-- -->',
    "a\u202egnp.exe",
    "x\ty\nz\x00\x1b[31m",
    "W" * 500,
    "👩‍👩‍👧‍👦 family 🚀",
    "lone\ud800surrogate",
    "Z̸̡̢͎͔a̵l̶g̷o̸̢͔",
    "שלום עולם",
    "任务_导入航班_非常长的名字_非常长的名字_非常长的名字",
    "${ink} {0} %s @",
    '"json"',
    " ",
]


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg.encode())


def nodes(svg: str) -> dict[str, ET.Element]:
    return {g.attrib["data-node"]: g for g in parse(svg).iter(f"{SVG}g") if "data-node" in g.attrib}


def words(element: ET.Element) -> list[str]:
    return ["".join(t.itertext()) for t in element.iter(f"{SVG}text")]


def legend(svg: str) -> list[str]:
    return words(next(g for g in parse(svg).iter(f"{SVG}g") if g.get("class") == "legend"))


def edges(svg: str) -> dict[tuple[str, str, str], ET.Element]:
    found = [g for g in parse(svg).iter(f"{SVG}g") if "data-role" in g.attrib]
    return {(g.attrib["data-from"], g.attrib["data-to"], g.attrib["data-role"]): g for g in found}


class TestWhatIsDrawn:
    def test_every_task_with_its_status_and_the_one_fact_that_matters(self):
        drawn = nodes(cascade_svg(FLIGHT))
        assert {key: words(g) for key, g in drawn.items() if g.attrib["data-kind"] == "task"} == {
            "t_importFlight": ["t_importFlight", "finished"],
            "t_identifyPlane": ["t_identifyPlane", "failed · KeyError"],
            "t_locateDestination": ["t_locateDestination", "finished"],
            "t_attachWeather": ["t_attachWeather", "finished"],
            "t_computeDelay": ["t_computeDelay", "abandoned · cancelled fired"],
            "t_rebookPassengers": ["t_rebookPassengers", "unstarted · waits for t_identifyPlane"],
            "t_closeReport": ["t_closeReport", "no instance yet"],
        }

    def test_triggers_look_different_when_they_have_fired(self):
        drawn = nodes(cascade_svg(FLIGHT))
        assert drawn["cancelled"].attrib["class"] == "pill"
        assert drawn["landed"].attrib["class"] == "pill wait"

    def test_edges_by_role_strong_once_satisfied(self):
        drawn = edges(cascade_svg(FLIGHT))
        assert set(drawn) == {tuple(edge) for edge in FLIGHT.edges(keys=True)}
        assert "off" in drawn["t_identifyPlane", "t_rebookPassengers", "after"].attrib["class"].split()
        assert "on" in drawn["cancelled", "t_computeDelay", "unless"].attrib["class"].split()

    def test_the_legend_has_what_occurs_and_only_that(self):
        assert legend(cascade_svg(FLIGHT)) == [
            "failed",
            "unstarted",
            "finished",
            "abandoned",
            "after",
            "unless",
            "not yet",
        ]
        done = task_graph({"t_a": TaskConfig("t_a", after=["go"], andEvery="tick", run="A")}, [], ["go", "tick"])
        assert legend(cascade_svg(done)) == ["after", "and every"]

    def test_instances_with_cascades_and_replays(self):
        clone = instance("t_identifyPlane#1", "running", "t_importFlight", parent="t_identifyPlane#0")
        replayed = instance("t_identifyPlane#0", "replayed")
        graph = instance_graph(TASKS, [INSTANCES[0], replayed, clone], {"t_identifyPlane#0": ["t_importFlight#0"]})
        svg = cascade_svg(graph)
        assert set(edges(svg)) == set(graph.edges(keys=True))
        assert legend(svg) == ["running", "finished", "replayed", "cascade", "replay"]

    def test_several_statuses_are_counted(self):
        clones = [instance(f"t_identifyPlane#{n}", "finished") for n in range(1, 1300)]
        drawn = nodes(cascade_svg(task_graph(TASKS, [*INSTANCES, *clones], FIRED)))
        assert words(drawn["t_identifyPlane"]) == ["t_identifyPlane", "1", "1,299"]
        assert "1 failed · 1,299 finished" in drawn["t_identifyPlane"].find(f"{SVG}title").text

    def test_a_fleet_shows_rates_and_how_often_triggers_fired(self):
        counts = {"t_importFlight": {"finished": 3, "failed": 1}}
        drawn = nodes(cascade_svg(fleet_graph([(TASKS, counts, ["scheduled"]), (TASKS, {}, [])])))
        assert words(drawn["t_importFlight"]) == ["t_importFlight", "1", "3", "25 % failed"]
        assert words(drawn["scheduled"]) == ["scheduledin 1 of 2"]

    def test_tasks_that_wait_for_themselves_and_for_each_other(self):
        tasks = {
            "t_a": TaskConfig("t_a", after=["t_a", "t_b"], run="A"),
            "t_b": TaskConfig("t_b", after=["t_a"], run="B"),
        }
        assert len(edges(cascade_svg(task_graph(tasks)))) == 3

    def test_a_status_that_is_not_known_is_shown_in_its_own_words(self):
        graph = task_graph(TASKS, INSTANCES, FIRED)
        graph.nodes["t_importFlight"].update(status="<odd>", counts={"<odd>": 1})
        svg = cascade_svg(graph)
        assert words(nodes(svg)["t_importFlight"])[1] == "<odd>"
        assert "<odd>" in legend(svg)

    def test_nothing_at_all(self):
        svg = cascade_svg(task_graph({}))
        assert nodes(svg) == {}
        assert "nothing to show" in parse(svg).find(f"{SVG}title").text


class TestAFigureInAPage:
    def test_it_is_an_image_with_a_title_and_the_same_facts_as_text(self):
        root = parse(cascade_svg(FLIGHT, title="AA1 <JFK>"))
        assert root.attrib["role"] == "img"
        ids = root.attrib["aria-labelledby"].split()
        said = [next(e for e in root.iter() if e.get("id") == name).text for name in ids]
        assert said == ["AA1 <JFK>", text_twin(FLIGHT)]

    def test_the_same_graph_gives_the_same_bytes_in_every_process(self):
        program = (
            "from tests.render.test_cascade import *; import hashlib;"
            "graph = task_graph({n: TASKS[n] for n in TASKS}, INSTANCES, set(FIRED));"
            "print(hashlib.sha256(cascade_svg(graph).encode()).hexdigest())"
        )
        digests = {
            subprocess.run(
                [sys.executable, "-c", program],
                env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
                capture_output=True,
                check=True,
            ).stdout
            for seed in ("1", "2")
        }
        assert len(digests) == 1

    def test_ids_and_styles_of_different_figures_do_not_meet(self):
        one, other = (cascade_svg(FLIGHT, title=title) for title in ("one", "other"))
        ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (one, other)]
        assert ids[0]
        assert not ids[0] & ids[1]
        scope = parse(one).attrib["class"]
        css = re.sub(r"@media[^{]*\{", "", parse(one).find(f"{SVG}style").text)
        assert all(f".{scope}" in selector for selector in re.findall(r"(?:^|\})([^{}]+)\{", css))

    def test_a_fixed_theme_has_one_look_and_auto_both(self):
        assert "prefers-color-scheme" not in cascade_svg(FLIGHT, theme="light")
        assert "var(" not in cascade_svg(FLIGHT, theme="dark")
        assert "prefers-color-scheme" in cascade_svg(FLIGHT)

    def test_nothing_is_loaded_from_elsewhere(self):
        svg = cascade_svg(FLIGHT).replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//|href|@import|<script|<foreignObject|\bon\w+=", svg)

    def test_as_an_image_it_scales_but_a_wide_one_not_below_what_can_be_read(self):
        assert 'style="max-width:100%"' in img_tag('<svg width="800">', "x")
        assert 'style="max-width:100%;min-width:1200px"' in img_tag('<svg width="2000">', "x")


class TestHostileNames:
    def graph(self):
        tasks = {
            name: TaskConfig(name, after=[f"on {name}", HOSTILE[n - 1]], unless=[f"not {name}"], run="X")
            for n, name in enumerate(HOSTILE)
        }
        statuses = [*STATUSES, *STATUSES]
        instances = [
            TaskInstance(f"{name}#0", tasks[name], statuses[n], {"exceptionType": name})
            for n, name in enumerate(HOSTILE)
        ]
        return task_graph(tasks, instances, HOSTILE[::2])

    def test_the_picture_is_valid_and_every_name_can_be_found_again(self):
        keys = set(nodes(cascade_svg(self.graph())))
        found = {json.loads(key) if key.startswith('"') else key for key in keys}
        assert found == set(self.graph())

    def test_no_name_becomes_markup(self):
        root = parse(cascade_svg(self.graph()))
        known = {"svg", "title", "desc", "style", "defs", "clipPath", "rect", "g", "path", "circle", "text", "tspan"}
        assert {element.tag.removeprefix(SVG) for element in root.iter()} <= known

    def test_text_of_unknown_width_is_clipped_to_its_box(self):
        drawn = nodes(cascade_svg(self.graph()))
        assert drawn["שלום עולם"].find(f"{SVG}g[@clip-path]") is not None
        assert drawn["W" * 500].find(f"{SVG}g[@clip-path]") is None

    def test_the_text_twin_has_one_line_per_fact_and_no_control_character(self):
        said = text_twin(self.graph())
        assert said.replace("\n", "").isprintable() or "\u200d" in said
        assert len(said.split("\n")) == 2 + 3 * len(HOSTILE)


@given(some.lists(some.text(some.characters(codec=None), min_size=1, max_size=30), min_size=1, max_size=6, unique=True))
def test_any_names_make_a_valid_picture_whose_text_fits(names: list[str]):
    tasks = {name: TaskConfig(name, after=names, unless=names[:1], run="X") for name in names}
    instances = [TaskInstance(f"{name}#0", tasks[name], "failed", {"exceptionType": name}) for name in names]
    graph = task_graph(tasks, instances)
    assert len(nodes(cascade_svg(graph))) == len(graph)
    for key, facts in graph.nodes(data=True):
        box = measure(key, facts, 1)
        assert 35 + text_width(box.name, 13, bold=True) <= box.width - 10
        assert 35 + text_width(box.fact, 11.5) <= box.width - 10


@pytest.mark.parametrize("n", [300, 1500])
def test_large_graphs_are_collapsed_and_nothing_is_lost(n: int):
    causes = {}
    instances = []
    for number in range(n // 6):
        for position, name in enumerate(list(TASKS)[:6]):
            status = "failed" if (number + position) % 9 == 0 else "finished"
            instances.append(instance(f"{name}#{number}", status))
            causes[f"{name}#{number}"] = [f"{trigger}#{number}" for trigger in sorted(TASKS[name].after & TASKS.keys())]
    graph = instance_graph(TASKS, instances, causes)

    drawn = nodes(cascade_svg(graph))

    assert len(drawn) == 12
    said = [word for g in drawn.values() for word in words(g) if word.endswith(("finished", "failed"))]
    assert sum(int(word.split()[0].replace(",", "")) for word in said) == len(instances)


class TestTextTwin:
    def test_it_says_what_the_picture_shows(self):
        assert text_twin(FLIGHT).split("\n")[:7] == [
            "7 tasks, 6 triggers",
            "  fired: scheduled, weatherReceived, cancelled",
            "  not fired: departed, landed, sessionFinalized",
            "✓ t_importFlight  finished",
            "    after scheduled",
            "✗ t_identifyPlane  failed · KeyError",
            "    after t_importFlight",
        ]
        assert "    after cancelled, t_identifyPlane (not yet)" in text_twin(FLIGHT)
