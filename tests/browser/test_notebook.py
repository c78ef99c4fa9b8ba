"""The widgets in Notebook 7."""

import pytest

from tests.browser.conftest import begin, wait_for_button
from tests.browser.labs import Lab

pytestmark = pytest.mark.long


@pytest.fixture
def notebook(tmp_path_factory):
    server = Lab(tmp_path_factory.mktemp("notebook"), "notebook")
    server.wait()
    yield server
    server.stop()


def test_a_session_is_repaired_in_notebook_7(notebook, browser, day):
    page = notebook.page(browser)
    notebook.run(page, "panel.ipynb", [begin(day), "ws[ws.failures()['session_uid'].iloc[0]].panel()"])
    panel = page.locator(".tnb-panel")
    panel.locator("svg [data-node]").first.wait_for()
    assert not page.locator(".tnb-twin").first.is_visible()

    panel.get_by_role("tab", name="Skip").click()
    wait_for_button(panel, "Skip 1 instance").click()
    panel.locator(".tnb-last", has_text="1 done").wait_for()
    assert notebook.requests == []
    page.context.close()
