import nbformat
import pytest

from triggers_nb.notebook.export import StaticExporter

VIEW = "application/vnd.jupyter.widget-view+json"


def make_notebook(*bundles):
    outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in bundles]
    cell = nbformat.v4.new_code_cell("panel", outputs=outputs)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title $x$"), cell])
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {"a": {"secret": 1}}}}
    return notebook


@pytest.fixture
def page():
    twin = {"text/html": "<b>the twin</b>", "text/plain": "the twin", VIEW: {"model_id": "abc"}}
    only_view = {VIEW: {"model_id": "lonely-model"}}
    body, _ = StaticExporter().from_notebook_node(make_notebook(twin, only_view))
    return body


def test_a_page_shows_the_twin_of_a_widget_and_not_its_view(page):
    assert "<b>the twin</b>" in page
    assert "abc" not in page
    assert "lonely-model" not in page
    assert "secret" not in page


def test_a_page_names_no_address_to_load_something_from(page):
    for host in ("cdnjs", "unpkg", "jsdelivr", "https://cdn"):
        assert host not in page


@pytest.mark.parametrize(("theme", "scheme"), [("light", "light"), ("dark", "dark")])
def test_pictures_have_the_colours_of_the_page(theme, scheme):
    body, _ = StaticExporter(theme=theme).from_notebook_node(make_notebook({"text/html": "<img>"}))
    head = body.partition("</head>")[0]
    assert head.count("color-scheme:") == 1
    assert f"<style>:root {{ color-scheme: {scheme}; }}</style>" in head
