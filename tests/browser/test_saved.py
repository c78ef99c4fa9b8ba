"""What is left of the widgets where there is no kernel: a reopened notebook, and a page of HTML."""

import pytest

from tests.browser.conftest import begin, wait_for_button
from tests.browser.labs import TIMEOUT_MS
from triggers_nb.notebook.export import StaticExporter

CELLS = ["ws.triage()", "ws[ws.failures()['session_uid'].iloc[0]].panel()"]


@pytest.fixture
def saved(lab, page, day):
    """The path of a notebook that was run, saved and shut down."""
    lab.run(page, "saved.ipynb", [begin(day), *CELLS])
    page.locator(".tnb-triage .tnb-tr").first.wait_for()
    page.locator(".tnb-panel .tnb-tr").first.wait_for()
    lab.save(page)
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
    return lab.notebooks / "saved.ipynb"


def look_for(page, twin):
    """Scroll through the notebook until something is seen: what is far below is rendered when one gets there."""
    panel = page.locator(".jp-WindowedPanel-outer").first
    for _ in range(TIMEOUT_MS // 250):
        if twin.is_visible():
            return
        panel.evaluate("(e) => { e.scrollTop = e.scrollTop + e.clientHeight < e.scrollHeight ? e.scrollTop + 300 : 0 }")
        page.wait_for_timeout(250)
    raise AssertionError(f"{twin} is nowhere in the notebook")


def test_a_reopened_notebook_and_a_page_of_html_show_the_twins(lab, page, browser, saved, tmp_path):
    page.reload()
    page.wait_for_selector(".jp-Notebook")
    for text in ("Groups by cause", "session panel"):
        look_for(page, page.locator(".tnb-twin", has_text=text).first)

    body, _ = StaticExporter().from_filename(str(saved))
    (tmp_path / "page.html").write_text(body)
    context = browser.new_context(offline=True)
    static, asked, errors = context.new_page(), [], []
    static.on("request", lambda request: asked.append(request.url))
    static.on("pageerror", lambda error: errors.append(str(error)))
    static.goto((tmp_path / "page.html").as_uri())
    assert static.locator(".tnb-twin", has_text="Groups by cause").is_visible()
    assert static.locator(".tnb-twin", has_text="session panel").is_visible()
    picture = static.locator(".tnb-twin img")
    assert picture.evaluate("(image) => image.complete && image.naturalWidth > 100")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert errors == []
    context.close()


@pytest.mark.long
def test_a_saved_notebook_shows_the_state_of_when_it_was_saved(lab, page, day):
    lab.run(page, "later.ipynb", [begin(day), CELLS[1]])
    panel = page.locator(".tnb-panel")
    panel.get_by_role("tab", name="Skip").click()
    wait_for_button(panel, "Skip 1 instance").click()
    panel.locator(".tnb-last", has_text="1 done").wait_for()
    twin = page.locator(".tnb-twin", has_text="1 skipped")
    twin.wait_for(state="attached")

    lab.save(page)

    text = (lab.notebooks / "later.ipynb").read_text()
    assert "1 skipped" in text
    assert "Last action: 1 done" in text
    assert not twin.is_visible()
