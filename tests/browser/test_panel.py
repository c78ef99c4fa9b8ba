"""The session panel in JupyterLab."""

import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import begin, evaluate_until_nothing, output_of, wait_for_button

FIND = "s = ws[ws.failures().query(\"exception_type == 'builtins.KeyError'\")['session_uid'].iloc[0]]"

KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
CONTRAST = Path(__file__).with_name("contrast.js").read_text()
OVERFLOWING = Path(__file__).with_name("overflowing.js").read_text()


@pytest.fixture
def panel(lab, page, day):
    lab.run(page, "panel.ipynb", [begin(day), FIND + "\ns.panel()"])
    surface = page.locator(".tnb-panel")
    surface.locator(".tnb-tr").first.wait_for()
    surface.locator("svg [data-node]").first.wait_for()
    return surface


SKIP = """
import sys
import triggers_nb as tnb
ws = tnb.connect(sys.argv[1])
ws[sys.argv[2]].skip("t_identifyPlane#0")
"""


def test_a_change_by_another_process_is_shown_while_a_cell_runs(lab, page, panel, day):
    uid = panel.locator(".tnb-title").inner_text()
    page.evaluate(
        """async () => {
          const app = window.jupyterapp;
          await app.commands.execute('notebook:insert-cell-below');
          app.shell.currentWidget.content.activeCell.model.sharedModel.setSource('import time; time.sleep(3600)');
          void app.commands.execute('notebook:run-cell');
        }"""
    )
    page.wait_for_function(f"() => {KERNEL}.status === 'busy'")

    subprocess.run([sys.executable, "-c", SKIP, day, uid], check=True)

    panel.locator(".tnb-tr", has_text="t_identifyPlane#0").locator(".tnb-s-skipped").wait_for()
    panel.locator(".tnb-bar .tnb-s-skipped").wait_for()
    assert panel.locator("[data-node='t_identifyPlane']").get_attribute("aria-label")
    assert page.evaluate(f"() => {KERNEL}.status") == "busy"
    page.evaluate(f"async () => {{ await {KERNEL}.interrupt(); }}")


@pytest.mark.long
def test_nodes_slider_and_fire(panel, page):
    panel.locator("[data-node='t_attachWeather']").click()
    panel.locator(".tnb-dhead", has_text="t_attachWeather#0").wait_for()

    slider = panel.get_by_label("event whose moment is shown")
    slider.fill("2")
    panel.locator(".tnb-said", has_text="event 2 of").wait_for()
    panel.locator(".tnb-tlabel", has_text="1 instance").wait_for()
    expect(panel.locator(".tnb-tab[aria-disabled=true]")).to_have_count(5)
    panel.locator(".tnb-link", has_text="back to now").click()
    panel.locator(".tnb-tlabel", has_text="6 instances").wait_for()

    panel.locator("[data-node='sessionFinalized']").click()
    wait_for_button(panel, "Fire 'sessionFinalized'").click()
    panel.locator(".tnb-last", has_text="1 done").wait_for()
    panel.locator(".tnb-tr", has_text="t_closeReport#0").locator(".tnb-s-finished").wait_for()


@pytest.mark.long
def test_mistakes_are_shown_where_they_were_made(panel):
    panel.get_by_role("tab", name="Replay").click()
    panel.get_by_label("patch (JSON)").fill('{"t_importFlight": {"plane": }}')
    panel.locator(".tnb-problem", has_text="line 1, column 30").wait_for()
    expect(panel.get_by_label("patch (JSON)")).to_have_attribute("aria-invalid", "true")
    expect(panel.locator(".tnb-primary")).to_be_hidden()


@pytest.mark.long
def test_an_error_is_shown_in_the_panel_as_text(panel, page):
    panel.get_by_role("tab", name="Skip").click()
    button = wait_for_button(panel, "Skip 1 instance")
    output_of(page, "Counting._post_skip = lambda *a: 1 / len('')\nprint('patched')")
    button.click()
    panel.locator(".tnb-error", has_text="ZeroDivisionError").wait_for()
    panel.locator(".tnb-last", has_text="1 done").wait_for()


@pytest.mark.long
@pytest.mark.parametrize("width", [420, 620, 900, 1400, 2000])
def test_nothing_overflows_at_any_width(panel, page, width):
    page.evaluate("() => { void window.jupyterapp.commands.execute('application:toggle-left-area'); }")
    page.set_viewport_size({"width": width, "height": 1000})
    page.wait_for_function("(w) => Math.abs(document.querySelector('.jp-Notebook').clientWidth - w) < 150", arg=width)
    panel.get_by_role("tab", name="Fire").click()
    panel.locator(".tnb-trigger").first.wait_for()
    assert evaluate_until_nothing(panel, OVERFLOWING) == []


@pytest.mark.long
def test_read_only_shows_the_same_panel_with_a_reason(lab, page, day):
    lab.run(page, "read_only.ipynb", [begin(day, ', mode="read-only"'), FIND + "\ns.panel()"])
    panel = page.locator(".tnb-panel")
    panel.locator(".tnb-tr").first.wait_for()

    panel.locator(".tnb-refusal", has_text="read-only").wait_for()
    expect(panel.locator(".tnb-tab[aria-disabled=true]")).to_have_count(5)
    panel.get_by_role("tab", name="Replay").click(force=True)
    assert panel.locator(".tnb-sheet").is_hidden()


@pytest.mark.long
def test_a_filter_that_nothing_passes_says_so_on_one_line(panel):
    panel.get_by_label("filter instances").fill("zzz")
    row = panel.locator(".tnb-tr", has_text="no instance matches the filter")
    row.wait_for()
    assert row.evaluate("(e) => e.scrollHeight <= e.clientHeight && e.scrollWidth <= e.clientWidth")
    assert panel.locator(".tnb-thead").evaluate("(e) => [...e.children].every((c) => c.scrollWidth <= c.clientWidth)")


HOSTILE = """
evil = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
class Evil(tnb.TriggerTask):
    name = evil
    def _run(self, context):
        raise ValueError(evil)
h = ws.create("hostile" + evil, {"t_" + evil: {"after": [evil], "run": evil}})
h.fire(evil, {evil: evil}, reason=evil)
h.panel()
"""


@pytest.mark.long
def test_hostile_names_are_only_text(lab, page, day):
    lab.run(page, "hostile.ipynb", [begin(day), HOSTILE])
    panel = page.locator(".tnb-panel")
    panel.locator(".tnb-tr", has_text="onerror").first.wait_for()
    panel.get_by_role("tab", name="Fire").click()
    panel.locator(".tnb-trigger").first.click()
    wait_for_button(panel, "Fire")

    assert page.evaluate("() => window.pwned") is None
    assert panel.locator("img").count() == 0


@pytest.mark.long
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(lab, page, panel, theme):
    name = "JupyterLab Dark" if theme == "dark" else "JupyterLab Light"
    page.evaluate("(theme) => { void window.jupyterapp.commands.execute('apputils:change-theme', { theme }); }", name)
    page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{'false' if theme == 'dark' else 'true'}'")
    panel.get_by_role("tab", name="Replay").click()
    panel.get_by_label("patch (JSON)").fill('{"t_importFlight": {"plane": {"seats": 178}}}')
    wait_for_button(panel, "Replay 1 instance")
    panel.locator(".tnb-diff ins").wait_for()

    assert evaluate_until_nothing(panel, CONTRAST) == []


@pytest.mark.long
def test_a_panel_without_a_variable_lives_while_it_is_shown_and_leaves_nothing_behind(lab, page, day):
    show = "import gc, threading, weakref\npanel = s.panel()\nknown = weakref.ref(panel)\ndisplay(panel)"
    seen = (
        "gc.collect()\nprint(known() is None, [t.name for t in threading.enumerate() if t.name == 'triggers-nb-live'])"
    )
    lab.run(page, "garbage.ipynb", [begin(day), FIND, show])
    panel = page.locator(".tnb-panel")
    panel.locator(".tnb-tr").first.wait_for()

    assert output_of(page, "del panel\n" + seen) == "False ['triggers-nb-live']"
    panel.get_by_role("tab", name="Skip").click()
    wait_for_button(panel, "Skip 1 instance").click()
    panel.locator(".tnb-last", has_text="1 done").wait_for()

    page.evaluate("() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 2; }")
    page.evaluate("async () => { await window.jupyterapp.commands.execute('notebook:clear-cell-output'); }")
    panel.wait_for(state="detached")
    wait = "import time\nwhile any(t.name == 'triggers-nb-live' for t in threading.enumerate()): time.sleep(0.05)\n"
    assert output_of(page, wait + seen) == "True []"


@pytest.mark.long
def test_a_panel_says_at_once_that_its_kernel_has_ended(panel, page):
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")

    panel.locator(".tnb-state", has_text="the kernel has ended").wait_for()
    expect(panel.locator(".tnb-tab:not([aria-disabled=true])")).to_have_count(0)
    expect(panel.get_by_role("button", name="Pause")).to_have_count(0)
