import gc
import json
import subprocess
import sys
import threading
import time
import weakref
from types import SimpleNamespace

import pytest
from ipywidgets.widgets.widget import _instances

import triggers_nb as tnb
from tests.notebook.conftest import CountingManager, finish
from triggers_nb.errors import StorageError
from triggers_nb.notebook import holds, live, surface, twin_display
from triggers_nb.notebook.panel import SessionPanel
from triggers_nb.notebook.triage import Triage

#: What does not happen within that time does not happen.
TIMEOUT_S = 120.0

VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def no_followers():
    """Those of widgets that are gone have ended: each test begins without."""
    wait_until(lambda: threads() == [])


@pytest.fixture
def panel(ws):
    with ws["flight-N1"].panel() as panel:
        yield panel


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "triggers-nb-live"]


def wait_until(condition, timeout_s=TIMEOUT_S):
    """Poll until a condition holds; what is waited for happens in another thread."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def test_the_two_widgets_come_from_a_session_and_a_workspace(ws):
    with ws["flight-N1"].panel() as panel, ws.triage("flight-*") as triage:
        assert isinstance(panel, SessionPanel)
        assert isinstance(triage, Triage)
        assert panel.table.rows[0][0] == "t_identify#0"
        assert triage.groups[0]["n"] == 3


def test_a_request_is_dealt_with_and_counted(panel):
    panel.request({"do": "open", "id": "replay"})

    assert panel.sheet["button"] == "Replay 1 instance"
    assert panel.handled == 1
    assert panel.error == ""


def test_an_error_is_shown_as_text_and_kept_until_something_goes_right(panel):
    panel.request({"do": "level", "id": "<script>"})
    assert isinstance(panel.last_error, ValueError)
    assert panel.error.startswith("ValueError: level '<script>'")

    panel.request({"do": "level", "id": "instance"})
    assert panel.last_error is None
    assert panel.error == ""


def test_a_problem_with_what_was_typed_is_kept_too_but_shown_at_the_form(panel):
    panel.request({"do": "open", "id": "replay"})
    panel.request({"do": "form", "number": panel.sheet["number"], "form": {"patch": "{"}})

    assert panel.last_error.column == 2
    assert panel.sheet["problem"]["column"] == 2
    assert panel.error == ""


def test_what_a_hook_raises_is_shown(panel, ws, monkeypatch):
    monkeypatch.setattr(CountingManager, "_post_skip", lambda *args: 1 / 0)
    panel.request({"do": "open", "id": "skip"})
    panel.request({"do": "execute", "plan_id": panel.sheet["plan_id"], "form": {}})

    assert isinstance(panel.last_error, ZeroDivisionError)
    assert "ZeroDivisionError" in panel.error
    assert panel.last["said"] == "1 done"
    assert not panel.last["is_clean"]


def test_a_line_of_python_that_is_huge_is_shown_in_part(panel, ws):
    panel.request({"do": "open", "id": "skip"})
    form = {"cascade": True, "result": json.dumps({"note": "x" * 100_000})}
    panel.request({"do": "form", "number": panel.sheet["number"], "form": form})
    panel.request({"do": "execute", "plan_id": panel.sheet["plan_id"], "form": form})

    assert panel.last["said"] == "1 done"
    assert len(panel.last["python"]) < 11_000
    assert 'ws.journal("python") has all of it' in panel.last["python"]
    assert "x" * 100_000 in ws.journal("python")


def test_state_holds_no_secret_and_nothing_that_was_typed(make_workspace):
    with make_workspace(redact=False)["flight-N1"].panel() as panel:
        panel.request({"do": "open", "id": "replay"})
        form = {"patch": '{"scheduled": {"token": "s3cr3t-value", "plane": "typed-by-hand"}}'}
        panel.request({"do": "form", "number": panel.sheet["number"], "form": form})
        panel.request({"do": "execute", "plan_id": panel.sheet["plan_id"], "form": form, "reason": "password=hunter9"})
        finish()

        state = json.dumps([widget.get_state() for widget in (panel, panel.table, panel.graph)], default=str)
        bundle, _ = panel._repr_mimebundle_()
    for secret in ("hunter", "s3cr3t"):
        assert secret not in state
        assert secret not in json.dumps(bundle)


def test_a_panel_follows_once_it_is_displayed_and_leaves_no_thread(ws):
    panel = ws["flight-N1"].panel()
    assert threads() == []
    panel._repr_mimebundle_()
    assert len(threads()) == 1

    ws["flight-N1"].skip("t_identify#0")
    wait_until(lambda: panel.table.rows[0][1] == 6)
    wait_until(lambda: panel.live["state"] == "live")

    panel.close()
    wait_until(lambda: threads() == [])


def test_a_paused_panel_stays_as_it_is_until_it_is_resumed(panel, ws):
    panel._repr_mimebundle_()
    panel.request({"do": "pause"})
    assert panel.live["state"] == "paused"
    wait_until(lambda: threads() == [])

    ws["flight-N1"].skip("t_identify#0")
    assert panel.table.rows[0][1] == 4
    panel.request({"do": "resume"})

    assert panel.table.rows[0][1] == 6
    assert len(threads()) == 1
    panel.stop()
    wait_until(lambda: threads() == [])


def test_a_panel_that_no_page_shows_any_more_is_followed_no_more(panel):
    panel._repr_mimebundle_()
    for view in ("a", "b"):
        panel.request({"do": "seen", "view": view})
    panel.request({"do": "unseen", "view": "a"})
    assert len(threads()) == 1
    panel.request({"do": "unseen", "view": "b"})
    wait_until(lambda: threads() == [])

    panel.request({"do": "seen", "view": "c"})
    assert len(threads()) == 1


def test_a_storage_that_goes_away_is_shown_and_heals(panel, ws, monkeypatch):
    monkeypatch.setattr(live, "RETRY_S", (0.05,))
    store, summaries = ws.store, ws.store.summaries
    panel._repr_mimebundle_()

    def fail(**options):
        raise StorageError("redis://:hunter2@host:6379/0 does not answer")

    monkeypatch.setattr(store, "summaries", fail)
    wait_until(lambda: panel.live["state"] == "lost")
    assert "does not answer" in panel.live["note"]
    assert "hunter2" not in panel.live["note"]
    assert isinstance(panel.last_error, StorageError)

    monkeypatch.setattr(store, "summaries", summaries)
    wait_until(lambda: panel.live["state"] == "live")
    assert panel.last_error is None


WRITER = """
import sys
import triggers_nb as tnb
ws = tnb.connect(sys.argv[1])
ws["order"].update_status("t_a#0", "finished")
"""


def test_a_change_by_another_process_is_shown(tmp_path):
    ws = tnb.connect(f"sqlite:///{tmp_path / 'live.db'}")
    ws.create("order", {"t_a": {"after": ["go", "later"], "run": "app.A"}}).fire("go")
    with ws["order"].panel() as panel:
        panel._repr_mimebundle_()
        assert panel.table.rows[0][1] == 0

        subprocess.run([sys.executable, "-c", WRITER, ws.url], check=True)

        wait_until(lambda: panel.table.rows[0][1] == 3)
        wait_until(lambda: "finished" in panel.bar["chips"])


def test_rows_are_replaced_in_place_where_little_has_changed(ws):
    session = ws.create("many", {"t_a": {"andEvery": "go", "after": ["later"], "run": "app.A"}})
    for _ in range(10):
        session.fire("go")
    with session.panel() as panel:
        sent = []
        panel.table.send = sent.append
        session.update_status("t_a#3", "abandoned")
        panel.refresh()

        ((index, row),) = sent[0]["patch"]
        assert (index, row[0], row[1]) == (3, "t_a#3", 7)
        assert panel.table.get_state()["rows"][3][1] == 7


def test_the_twin_shows_the_same_facts(panel):
    bundle, _ = panel._repr_mimebundle_()

    assert bundle[VIEW]["model_id"] == panel.model_id
    for form in ("text/plain", "text/html"):
        assert "t_identify#0 failed: KeyError" in bundle[form]
        assert "1 failed" in bundle[form]
    assert '<img src="data:image/svg+xml;base64,' in bundle["text/html"]
    assert "t_identify  failed" in bundle["text/plain"]
    assert repr(panel) == bundle["text/plain"]


def test_the_twin_of_a_triage_shows_groups_and_instances(ws):
    with ws.triage() as triage:
        bundle, _ = triage._repr_mimebundle_()

    for form in ("text/plain", "text/html"):
        assert "KeyError" in bundle[form]
        assert "flight-N2" in bundle[form]
        assert "3 sessions · blocks 3 tasks" in bundle[form]


def test_the_scripts_are_in_the_package_and_complete():
    from triggers_nb.notebook.assets import read_script, read_styles

    assert read_script("elements.js", "table.js").count("export default") == 1
    assert ".tnb-surface" in read_styles()
    for address in ("http://", "https://", "@import", "url("):
        assert address not in read_styles()


class StepByStep(CountingManager):
    """Replays when a test lets it."""

    begun, go = threading.Semaphore(0), threading.Semaphore(0)

    def _post_replay(self, task_instance):
        self.begun.release()
        assert self.go.acquire(timeout=TIMEOUT_S)


@pytest.fixture
def slow_triage(ws, monkeypatch):
    monkeypatch.setattr(surface, "TELL_EVERY_S", 0.0)
    slow = tnb.connect(ws.url, manager=StepByStep, allow_manager_change=True)
    with slow.triage() as triage:
        triage.request({"do": "open", "id": "replay"})
        triage.request({"do": "execute", "plan_id": triage.sheet["plan_id"], "form": {}})
        assert StepByStep.begun.acquire(timeout=TIMEOUT_S)
        yield triage
        StepByStep.go.release(10)
    StepByStep.begun, StepByStep.go = threading.Semaphore(0), threading.Semaphore(0)
    finish()


def test_a_bulk_action_shows_how_far_it_is_and_its_outcome(slow_triage):
    triage = slow_triage
    assert (triage.progress["done"], triage.progress["total"]) == (0, 3)
    StepByStep.go.release()
    wait_until(lambda: triage.progress["done"] == 1)
    assert triage.progress["said"] == "1 done"

    StepByStep.go.release(2)
    wait_until(lambda: triage.progress == {})
    assert triage.last["said"] == "3 done"
    assert triage.sheet == {}


def test_a_bulk_action_can_be_stopped_after_the_step_that_is_being_done(slow_triage, ws):
    triage = slow_triage
    triage.request({"do": "stop"})
    StepByStep.go.release()
    wait_until(lambda: triage.progress == {})

    assert triage.last["said"] == "1 done, 2 not done"
    assert not triage.last["is_clean"]
    assert triage.last["wrong"] == []
    assert len(ws.instances(status="replayed")) == 1
    assert triage.tabs[0]["refused"] == ""


def test_while_a_bulk_action_is_under_way_nothing_else_is_begun_but_one_can_look_around(slow_triage):
    triage = slow_triage
    plan_id, number = triage.sheet["plan_id"], triage.sheet["number"]
    assert all("under way" in tab["refused"] for tab in triage.tabs)

    for message in ({"do": "execute", "plan_id": plan_id, "form": {}}, {"do": "cancel"}, {"do": "check", "on": False}):
        triage.request(message)
    triage.request({"do": "form", "number": number, "form": {"patch": "{"}})
    assert triage.error == ""
    triage.request({"do": "open", "id": "skip"})
    assert "under way" in triage.error
    triage.request({"do": "select", "id": "flight-N3\nt_identify#0"})
    assert "N3" in triage.detail

    assert triage.sheet["plan_id"] == plan_id
    StepByStep.go.release(3)
    wait_until(lambda: triage.progress == {})
    assert triage.last["said"] == "3 done"


def test_closing_ends_a_bulk_action_after_its_step(slow_triage, ws):
    run = slow_triage.logic.sheet.run

    def end_the_step():
        wait_until(lambda: run.state()["stopping"])
        StepByStep.go.release()

    threading.Thread(target=end_the_step).start()
    slow_triage.close()

    wait_until(lambda: "triggers-nb-action" not in [thread.name for thread in threading.enumerate()])
    assert len(ws.instances(status="replayed")) == 1


def test_a_bulk_action_that_is_refused_leaves_the_sheet_as_it_was(ws):
    with ws.triage() as triage:
        triage.request({"do": "open", "id": "skip"})
        triage.request({"do": "execute", "plan_id": triage.sheet["plan_id"], "form": {}})
        wait_until(lambda: triage.progress == {})

        assert "ConfirmationRequired" in triage.error
        assert triage.sheet["kind"] == "skip"
        triage.request({"do": "execute", "plan_id": triage.sheet["plan_id"], "form": {}, "confirm": "memory"})
        wait_until(lambda: triage.progress == {})
        assert triage.last["said"] == "3 done"
        assert triage.error == ""


def is_collected(known):
    gc.collect()
    return known() is None


@pytest.mark.parametrize("make", [lambda ws: ws["flight-N1"].panel(), lambda ws: ws.triage()])
def test_what_nobody_can_reach_any_more_leaves_nothing_behind(ws, make):
    gc.collect()
    before = set(_instances)
    widget = make(ws)
    widget._repr_mimebundle_()
    known = weakref.ref(widget)

    del widget

    wait_until(lambda: is_collected(known))  # its thread may be looking at it just now
    wait_until(lambda: set(_instances) == before)
    wait_until(lambda: threads() == [])


def test_what_a_page_shows_lives_without_a_variable_until_it_is_shown_no_more(ws, monkeypatch):
    monkeypatch.setattr(holds, "has_pages", lambda: True)
    panel = ws["flight-N1"].panel()
    panel._repr_mimebundle_()
    panel.request({"do": "seen", "view": "a"})
    known, receive = weakref.ref(panel), panel.comm._msg_callback
    del panel
    gc.collect()
    assert known() is not None

    message = {"do": "left", "view": "a"}  # the page is loaded again, and may show it again
    for request in (message, {"do": "seen", "view": "b", "gone": ["a"]}, {"do": "open", "id": "skip"}):
        receive({"content": {"data": {"method": "custom", "content": request}}, "buffers": []})
    assert known().sheet["kind"] == "skip"
    wait_until(lambda: len(threads()) == 1)

    receive({"content": {"data": {"method": "custom", "content": {"do": "unseen", "view": "b"}}}, "buffers": []})
    wait_until(lambda: is_collected(known))
    wait_until(lambda: threads() == [])


def test_the_twin_is_replaced_once_something_has_changed_at_a_bounded_rate(ws, monkeypatch):
    monkeypatch.setattr(twin_display, "has_pages", lambda: True)
    shown = []
    for name in ("display", "update_display"):
        monkeypatch.setattr(twin_display, name, lambda data, **options: shown.append(data["text/plain"]))
    clock = [100.0]
    monkeypatch.setattr(twin_display, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    with ws["flight-N1"].panel() as panel:
        panel._display.show()
        panel.note_alive()
        assert len(shown) == 1
        ws["flight-N1"].skip("t_identify#0")
        panel.refresh()
        panel.note_alive()
        assert len(shown) == 1
        clock[0] += 5.0
        panel.note_alive()
        panel.note_alive()
        assert len(shown) == 2
        assert "1 skipped" not in shown[0]
        assert "1 skipped" in shown[1]
        assert "as of 20" in shown[1]
        ws["flight-N1"].fire("finalized")
        finish()
        panel.refresh()
    assert len(shown) == 3  # the last state is there at once when it is closed
    assert "1 finished" in shown[2]
