"""Notebooks as pages that show everything without a kernel and without a network.

``jupyter nbconvert --to triggers_nb.notebook.export.StaticExporter notebook.ipynb``
"""

from __future__ import annotations

from typing import Any

from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import Preprocessor
from traitlets import Unicode
from traitlets.config import Config

_VIEW = "application/vnd.jupyter.widget-view+json"
_STATE = "application/vnd.jupyter.widget-state+json"


class DropWidgets(Preprocessor):
    """Drops the views and the state of widgets, so that their ``text/html`` is shown.

    An output that is nothing but a view is dropped whole.
    """

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        """Drop them from a whole notebook."""
        nb.metadata.get("widgets", {}).pop(_STATE, None)
        if not nb.metadata.get("widgets", True):
            del nb.metadata["widgets"]
        result: tuple[Any, Any] = super().preprocess(nb, resources)  # type: ignore[no-untyped-call]
        return result

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> tuple[Any, Any]:
        """Drop them from a cell."""
        if "outputs" in cell:
            for output in cell.outputs:
                if len(output.get("data", {})) > 1:
                    output.data.pop(_VIEW, None)
            cell.outputs = [output for output in cell.outputs if _VIEW not in output.get("data", {})]
        return cell, resources


class StaticExporter(HTMLExporter):
    """HTML in which widgets are their twins, and that asks for nothing from a network."""

    export_from_notebook = None  # type: ignore[assignment]

    mathjax_url = Unicode("").tag(config=True)
    require_js_url = Unicode("").tag(config=True)
    mermaid_js_url = Unicode("").tag(config=True)
    mermaid_layout_elk_js_url = Unicode("").tag(config=True)
    jquery_url = Unicode("").tag(config=True)

    def from_notebook_node(self, nb: Any, resources: Any = None, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Convert a notebook; pictures have the page's colours, whatever the reader's system prefers."""
        page, resources = super().from_notebook_node(nb, resources, **kwargs)
        scheme = "dark" if self.theme == "dark" else "light"
        style = f"<style>:root {{ color-scheme: {scheme}; }}</style>"
        return page.replace("</head>", f"{style}\n</head>", 1), resources

    @property
    def default_config(self) -> Config:
        """Drop widgets."""
        config = Config({"StaticExporter": {"preprocessors": [DropWidgets]}})
        base: Config = super().default_config
        base.merge(config)
        return base
