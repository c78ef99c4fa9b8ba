from __future__ import annotations

from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.timeout(900)  # whole notebooks, on a busy machine too

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
each_notebook = pytest.mark.parametrize("name", sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")))


def read(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """A function that runs a notebook in an empty directory, with a storage of its own, and returns its outputs."""

    @cache
    def run(name):
        directory = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("TRIGGERS_URL", f"sqlite:///{directory / 'notebook.db'}")
            environment.setenv("TRIGGERS_JOURNAL", str(directory / "journal.jsonl"))
            own = {"metadata": {"path": str(directory)}}
            client = NotebookClient(read(name), timeout=None, startup_timeout=600, resources=own)
            executed = client.execute()
        return [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]

    return run


@each_notebook
def test_a_notebook_is_kept_without_outputs(name):
    notebook = read(name)

    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@each_notebook
def test_a_notebook_runs_from_top_to_bottom(name, outputs):
    said = outputs(name)

    assert [output for output in said if output.output_type == "error"] == []
    assert [output.text for output in said if output.get("name") == "stderr" and "Warning" in output.text] == []
    assert any("text/html" in output.get("data", {}) for output in said)


def test_the_custom_manager_is_previewed_compared_and_does_what_was_said(outputs):
    shown = "\n".join(
        "".join(text)
        for output in outputs("03_custom_manager")
        for text in (output.get("text"), *output.get("data", {}).values())
        if text
    )

    for fact in (
        "triggers_nb.demo.manager:FlightsManager",
        "FlightsManager._post_fire",
        "Replay 19 instances in 19 sessions: 19 done",
        "2 distinct differences in kwargs",
        "2013-02-08/AA413-JFK-SJU",
        "18 sessions are finalised, as predicted",
        "].replay(",
    ):
        assert fact in shown


def test_the_blizzard_shows_what_failed_and_ends_with_nothing_open(outputs):
    shown = "\n".join(
        text
        for output in outputs("01_blizzard")
        for text in (output.get("text"), *output.get("data", {}).values())
        if text
    )

    for fact in (
        "622 of 930 sessions are resolved",
        "the flight has no tail number",
        "airport &#x27;SJU&#x27; is not in the list",
        "163 planes found, 128 not",
        "472 cancelled flights are rebooked",
    ):
        assert fact in shown.replace("&#39;", "&#x27;").replace("'", "&#x27;")
    assert shown.count("image/svg+xml") >= 2


def test_a_month_is_explored_with_what_the_frames_and_graphs_say(outputs):
    shown = "\n".join(
        "".join(text)
        for output in outputs("02_explore")
        for text in (output.get("text"), *output.get("data", {}).values())
        if text
    )

    for fact in (
        "In 999 sessions, 202 with something unresolved.",
        "AA and MQ have 85% of the planes not identified",
        "t_identifyPlane: 178 failures, all of them holes in the data",
        "202 of 999 sessions are open; in 27 of them a task is blocked",
        "t_identifyPlane#0 is running: since 2",
        "t_rebookPassengers#0 has not started: t_identifyPlane#0 failed (ValueError).",
        "t_computeDelay#0 was abandoned: cancelled fired before it could start.",
        "longest: scheduled → t_importFlight → t_identifyPlane → t_rebookPassengers",
        "6,791 instances",
    ):
        assert fact in shown
    assert shown.count("image/svg+xml") >= 3
