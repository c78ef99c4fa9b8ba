"""A picture whose nodes can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anywidget
import traitlets

from triggers_nb.notebook.assets import read_script, read_styles


class GraphWidget(anywidget.AnyWidget):
    """Shows an SVG of ours; its elements with ``data-node`` are buttons.

    Parameters
    ----------
    request : callable
        Takes ``{"do": "node", "id": …}``.
    """

    _esm = read_script("elements.js", "graph.js")
    _css = read_styles()

    svg = traitlets.Unicode("").tag(sync=True)
    #: The node that stands for what is selected.
    current = traitlets.Unicode("").tag(sync=True)

    def __init__(self, request: Callable[[Mapping[str, Any]], None], **traits: Any) -> None:
        super().__init__(**traits)
        self.on_msg(lambda _widget, content, _buffers: request(content))
