"""When instances waited and ran."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from triggers_nb.analysis.graph import instance_graph
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.render.text_measure import text_width
from triggers_nb.render.time_axis import TimeAxis
from triggers_nb.render.timeline import timeline_svg, timeline_text

SVG = "{http://www.w3.org/2000/svg}"
START = datetime(2013, 2, 8, 6, tzinfo=UTC)
TASKS = {
    "t_import": TaskConfig("t_import", after=["go"], run="Import"),
    "t_check": TaskConfig("t_check", after=["t_import"], run="Check"),
}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def instance(name: str, status: str, parent: str | None = None, **seconds: float) -> TaskInstance:
    metadata = {"timestamps": {key: at(value) for key, value in seconds.items()}, "parent": parent}
    return TaskInstance(name, TASKS[name.partition("#")[0]], status, metadata)


SESSION = instance_graph(
    TASKS,
    [
        instance("t_import#0", "finished", created=0, scheduled=0, running=1, finished=3),
        instance("t_check#0", "replayed", created=3, scheduled=3, running=3.5, failed=4, replayed=7200),
        instance("t_check#1", "running", parent="t_check#0", created=7200, scheduled=7200, running=7201),
    ],
    {"t_check#0": ["t_import#0"]},
)


def parse(svg: str) -> ET.Element:
    return ET.fromstring(svg.encode())


def rows(svg: str) -> dict[str, list[str]]:
    found = [g for g in parse(svg).iter(f"{SVG}g") if g.get("class") == "row"]
    return {g.attrib["data-node"]: ["".join(t.itertext()) for t in g.iter(f"{SVG}text")] for g in found}


def test_one_row_per_instance_in_the_order_in_which_they_were_made():
    assert rows(timeline_svg(SESSION, until=at(7203))) == {
        "t_import#0": ["finished · 2.0 s", "t_import#0"],
        "t_check#0": ["replayed · 500 ms", "t_check#0"],
        "t_check#1": ["running", "t_check#1"],
    }


def test_cascades_and_replays_are_drawn_and_explained():
    root = parse(timeline_svg(SESSION))
    classes = [g.attrib["class"] for g in root.iter(f"{SVG}g") if g.get("class", "").startswith("e ")]
    assert sorted(classes) == ["e cascade off"] * 2 + ["e replay off"] * 2
    legend = next(g for g in root.iter(f"{SVG}g") if g.get("class") == "legend")
    words = ["".join(t.itertext()) for t in legend.iter(f"{SVG}text")]
    assert words == ["running", "finished", "replayed", "waits for a worker", "runs", "cascade", "replay"]


def test_no_cascade_leads_back_in_time_to_what_still_waits_for_more():
    waiting = instance_graph(
        TASKS,
        [
            instance("t_import#0", "finished", created=0, scheduled=0, running=1, finished=3),
            instance("t_check#0", "unstarted", created=0.5),
        ],
        {"t_check#0": ["t_import#0"]},
    )
    svg = parse(timeline_svg(waiting, until=at(4)))
    lines = [g.find(f"{SVG}path").attrib["d"] for g in svg.iter(f"{SVG}g") if g.get("class") == "e cascade off"]
    xs = [float(x) for x in re.findall(r"([\d.]+),", lines[0])]

    assert max(xs) - min(xs) < 1  # straight down


def test_hours_in_which_nothing_happens_are_cut_short_and_said():
    words = ["".join(t.itertext()) for t in parse(timeline_svg(SESSION)).iter(f"{SVG}text")]
    assert "1 h 59 min" in words
    assert "2013-02-08 06:00:00 UTC" in words


def test_the_text_says_the_same():
    assert timeline_text(SESSION).split("\n") == [
        "3 instances",
        "✓ t_import#0  finished  2013-02-08 06:00:00 UTC  waited 1.0 s  ran 2.0 s",
        "↻ t_check#0  replayed  2013-02-08 06:00:03 UTC  waited 500 ms  ran 500 ms  cascade of t_import#0",
        "▶ t_check#1  running  2013-02-08 08:00:00 UTC  waited 1.0 s  replay of t_check#0",
    ]


@pytest.mark.parametrize(
    "instances", [[], [instance("t_import#0", "unstarted")], [instance("t_import#0", "failed", failed=1)]]
)
def test_without_times_there_is_still_a_picture(instances: list[TaskInstance]):
    svg = timeline_svg(instance_graph(TASKS, instances, {}))
    assert parse(svg).attrib["role"] == "img"


def test_a_single_moment_is_enough():
    svg = timeline_svg(instance_graph(TASKS, [instance("t_import#0", "scheduled", created=0, scheduled=0)], {}))
    assert list(rows(svg)) == ["t_import#0"]


def test_more_instances_than_rows_are_put_together():
    many = [
        instance(f"t_import#{n}", "finished" if n % 3 else "failed", created=n, running=n, finished=n + 0.5)
        for n in range(1500)
    ]
    drawn = rows(timeline_svg(instance_graph(TASKS, many, {})))
    assert sorted(words[1] for words in drawn.values()) == ["t_import × 1,000", "t_import × 500"]


def test_labels_of_stretches_that_were_cut_do_not_overlap():
    many = [
        instance(f"t_import#{n}", "finished", created=begin, running=begin, finished=begin + 0.001)
        for n, begin in enumerate([0, 79, 79.01, 110])
    ]
    svg = timeline_svg(instance_graph(TASKS, many, {}))
    labels = [each for each in parse(svg).iter(f"{SVG}text") if "".join(each.itertext()) in ("1 min 19 s", "31.0 s")]
    left, right = sorted(labels, key=lambda each: float(each.attrib["x"]))
    end = float(left.attrib["x"]) + text_width("".join(left.itertext()), 11.5)
    assert end < float(right.attrib["x"])


def test_hostile_names_and_clocks_that_run_backwards():
    name = '<script>"&\x00\ud800' + "x" * 300
    task = TaskConfig(name, after=["go"], run="X")
    metadata = {
        "timestamps": {"created": at(5), "scheduled": at(4), "running": at(3), "failed": at(1)},
        "parent": f"{name}#1",
    }
    pair = [TaskInstance(f"{name}#{n}", task, "failed", metadata) for n in (0, 1)]
    svg = timeline_svg(instance_graph({name: task}, pair, {f"{name}#0": [f"{name}#1"]}))
    assert len(rows(svg)) == 2
    assert "<script" not in svg


moments = some.lists(some.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), min_size=1, max_size=12)


@given(moments, moments)
def test_the_axis_keeps_the_order_of_moments_and_its_length(times: list[datetime], others: list[datetime]):
    aware = sorted(moment.replace(tzinfo=UTC) for moment in times + others)
    axis = TimeAxis(aware, [], 640)
    places = [axis.x(moment) for moment in aware]
    assert places == sorted(places)
    assert places[0] == 0
    assert places[-1] == pytest.approx(640 if aware[0] < aware[-1] else 0, abs=0.1)
    ticks = list(axis.ticks())
    assert all(later - earlier >= 70 for (earlier, _), (later, _) in pairwise(ticks))
    assert all(-0.1 <= x <= 640.1 for x, _ in ticks)
