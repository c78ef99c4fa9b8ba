"""The two short paths, from the open triage of the blizzard."""

import json
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Clicks, begin, evaluate_until_nothing, output_of, wait_for_button

OVERFLOWING = Path(__file__).with_name("overflowing.js").read_text()

COUNTS = """
import json
from triggers_nb.runners import ThreadingTaskRunner
ThreadingTaskRunner.join_all()
frame = ws.instances(task="t_identifyPlane")
print(json.dumps({"calls": Counting.calls, "statuses": frame.status.value_counts().to_dict()}))
"""


@pytest.fixture
def triage(lab, page, day):
    lab.run(page, "triage.ipynb", [begin(day), "ws.triage()"])
    surface = page.locator(".tnb-triage")
    surface.locator(".tnb-tr").first.wait_for()
    return surface


def test_a_group_is_replayed_with_corrected_kwargs_in_few_clicks(triage, page):
    click = Clicks()
    click(triage.locator(".tnb-group", has_text="is not in the register"))
    click(triage.get_by_role("tab", name="Replay 130"))
    triage.get_by_label("patch (JSON)").fill('{"t_importFlight": {"plane": {"seats": 178}}}')
    click(wait_for_button(triage, "Replay 130 instances"))
    triage.locator(".tnb-last", has_text="130 done").wait_for()

    assert click.n <= 8
    assert "merge_kwargs={'t_importFlight': {'plane': {'seats': 178}}}" in triage.locator(".tnb-python").inner_text()
    seen = json.loads(output_of(page, COUNTS))
    assert seen["calls"]["replay"] == 130
    assert seen["statuses"] == {"finished": 769, "failed": 161, "replayed": 130}


@pytest.mark.long
def test_a_group_is_skipped_with_cascade_in_few_clicks_and_a_typed_confirmation(triage, page):
    click = Clicks()
    click(triage.locator(".tnb-group", has_text="no tail number"))
    click(triage.get_by_role("tab", name="Skip 161"))
    click(triage.get_by_label("cascade: fire the task as if it had finished"))
    triage.locator(".tnb-primary", has_text="Skip 161 instances").wait_for()
    expect(triage.locator(".tnb-primary")).to_be_disabled()
    triage.locator(".tnb-confirm").fill("triggers.db")
    click(wait_for_button(triage, "Skip 161 instances"))
    triage.locator(".tnb-last", has_text="161 done").wait_for()

    assert click.n <= 6
    seen = json.loads(output_of(page, COUNTS))
    assert seen["calls"]["skip"] == 161
    assert seen["statuses"] == {"finished": 639, "skipped": 161, "failed": 130}


@pytest.mark.long
def test_the_whole_path_is_there_for_the_keyboard(triage, page):
    triage.locator(".tnb-group").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    triage.locator(".tnb-tlabel", has_text="130 instances").wait_for()
    triage.locator(".tnb-tscroll").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    triage.locator(".tnb-tr.tnb-on[data-position='1']").wait_for()
    page.keyboard.press("Space")
    triage.locator(".tnb-tlabel", has_text="129 selected").wait_for()
    triage.get_by_role("tab", name="Skip 129").focus()
    page.keyboard.press("Enter")
    wait = triage.locator(".tnb-primary", has_text="Skip 129 instances")
    wait.wait_for()
    page.keyboard.press("Space")  # the focus is on the first field: cascade
    triage.locator(".tnb-preview", has_text="fires").wait_for()
    triage.locator(".tnb-confirm").focus()
    page.keyboard.type("triggers.db")
    wait_for_button(triage, "Skip 129 instances")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    triage.locator(".tnb-last", has_text="129 done").wait_for()
    triage.locator(".tnb-tab:focus").wait_for()


SLOW = """
import threading
go = threading.Event()
class Slow(Counting):
    def _post_replay(self, task_instance):
        super()._post_replay(task_instance)
        if self.calls["replay"] == 5:
            go.wait()
ws = tnb.connect(ws.url, manager=Slow, allow_manager_change=True)
ws.triage()
"""


def test_a_bulk_action_shows_its_progress_and_can_be_stopped(lab, page, day):
    lab.run(page, "slow.ipynb", [begin(day), SLOW])
    triage = page.locator(".tnb-triage")
    triage.locator(".tnb-group", has_text="is not in the register").click()
    triage.get_by_role("tab", name="Replay 130").click()
    wait_for_button(triage, "Replay 130 instances").dblclick()
    triage.locator(".tnb-rtext", has_text="4 of 130 · 4 done").wait_for()
    expect(triage.get_by_label("patch (JSON)")).to_be_disabled()

    triage.get_by_role("button", name="Stop").click()
    triage.get_by_role("button", name="Stopping").wait_for()
    assert output_of(page, "go.set()\nprint('let go')") == "let go"
    triage.locator(".tnb-last", has_text="5 done, 125 not done").wait_for()
    expect(triage.locator(".tnb-sheet")).to_be_hidden()


@pytest.mark.long
@pytest.mark.parametrize("width", [400, 700, 1000, 1500])
def test_nothing_is_cut_off_at_any_width(triage, page, width):
    page.evaluate("() => { void window.jupyterapp.commands.execute('application:toggle-left-area'); }")
    triage.get_by_role("tab", name="Replay 161").click()
    wait_for_button(triage, "Replay 161 instances")
    page.set_viewport_size({"width": width, "height": 1000})
    page.wait_for_function("(w) => Math.abs(document.querySelector('.jp-Notebook').clientWidth - w) < 150", arg=width)

    assert evaluate_until_nothing(triage, OVERFLOWING) == []
    for scrolled in (".tnb-tscroll", ".tnb-pre"):
        assert triage.locator(scrolled).evaluate("(e) => e.scrollWidth <= e.clientWidth")
    assert triage.locator(".tnb-thead").evaluate("(e) => [...e.children].every((c) => c.scrollWidth <= c.clientWidth)")
