from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.labs import Lab, launch
from triggers_nb.demo.day import run_day

HERE = Path(__file__).parent

#: What the notebooks of all tests begin with: a manager whose hooks are counted, on the day of flights.
BEGIN = """
from collections import Counter
import triggers_nb as tnb
from triggers_nb.demo.manager import FlightsManager

class Counting(FlightsManager):
    calls = Counter()
    def _post_fire(self, trigger_name, tasks_scheduled):
        self.calls["fire"] += 1
        super()._post_fire(trigger_name, tasks_scheduled)
    def _post_replay(self, task_instance):
        self.calls["replay"] += 1
    def _post_skip(self, task_instance, cascade):
        self.calls["skip"] += 1
        super()._post_skip(task_instance, cascade)

ws = tnb.connect({url!r}, manager=Counting, allow_manager_change=True{options})
"""


def pytest_collection_modifyitems(items):
    """Give each test here the time of a busy machine: it starts servers, kernels and browsers."""
    for item in items:
        if item.path.parent == HERE:
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def whole_day(tmp_path_factory):
    """The day of the blizzard, run once."""
    path = tmp_path_factory.mktemp("day") / "blizzard.db"
    run_day(url=f"sqlite:///{path}")
    return path


@pytest.fixture
def day(whole_day, tmp_path):
    """A copy of the day, as a URL."""
    path = tmp_path / "triggers.db"
    source, target = sqlite3.connect(whole_day), sqlite3.connect(path)
    with source, target:
        source.backup(target)
    source.close()
    target.close()
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("lab"))
    server.wait()
    yield server
    server.stop()


@pytest.fixture
def page(lab, browser):
    page = lab.page(browser)
    yield page
    page.context.close()
    assert lab.requests == []


def begin(url, options=""):
    """The first cell."""
    return BEGIN.format(url=url, options=options)


class Clicks:
    """Clicks, and counts them."""

    def __init__(self):
        self.n = 0

    def __call__(self, locator):
        locator.click()
        self.n += 1


def wait_for_button(surface, text):
    """Wait until the primary button says this and can be clicked, and return it."""
    button = surface.locator(".tnb-primary:not([disabled])", has_text=text)
    button.wait_for()
    return button


def output_of(page, code):
    """Run code in a new last cell, and return what it prints."""
    outputs = page.evaluate(
        """async (code) => {
          const app = window.jupyterapp;
          const notebook = app.shell.currentWidget.content;
          notebook.activeCellIndex = notebook.widgets.length - 1;
          await app.commands.execute('notebook:insert-cell-below');
          const cell = notebook.activeCell;
          cell.model.sharedModel.setSource(code);
          await app.commands.execute('notebook:run-cell');
          return cell.model.outputs.toJSON();
        }""",
        code,
    )
    assert [output for output in outputs if output["output_type"] == "error"] == []
    return "".join(text for output in outputs if output.get("name") == "stdout" for text in output["text"]).strip()


def evaluate_until_nothing(locator, script):
    """Evaluate what lists faults until it lists none: what moves comes to rest. Return the last list."""
    for _ in range(240):
        found = locator.evaluate(script)
        if not found:
            break
        locator.page.wait_for_timeout(250)
    return found
