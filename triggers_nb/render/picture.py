"""A graph as something that a notebook shows and a terminal prints."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from triggers_nb.render.cascade import cascade_svg, text_twin
from triggers_nb.render.figure import img_tag
from triggers_nb.render.theme import Theme
from triggers_nb.render.timeline import timeline_svg, timeline_text
from triggers_nb.render.wording import printable

if TYPE_CHECKING:
    from triggers_nb.analysis.graph import Graph


class Picture:
    """A picture of a graph; its text says the same.

    Parameters
    ----------
    graph : networkx.MultiDiGraph
        A graph of a session or of a fleet.
    title : str
        What it shows.
    kind : str
        ``"cascade"``, or ``"timeline"`` of a graph of instances.
    until : datetime, optional
        When the state was read, for timelines.
    theme : str
        ``"auto"`` follows the page; ``"light"`` and ``"dark"`` do not.
    """

    def __init__(
        self,
        graph: Graph,
        title: str,
        *,
        kind: Literal["cascade", "timeline"] = "cascade",
        until: datetime | None = None,
        theme: Theme = "auto",
    ) -> None:
        self.graph, self.title, self.kind, self.until, self.theme = graph, title, kind, until, theme

    @cached_property
    def svg(self) -> str:
        """The picture as an SVG document; the same graph gives the same bytes."""
        if self.kind == "timeline":
            return timeline_svg(self.graph, title=self.title, theme=self.theme, until=self.until)
        return cascade_svg(self.graph, title=self.title, theme=self.theme)

    @cached_property
    def text(self) -> str:
        """What the picture shows, in words."""
        said = timeline_text(self.graph) if self.kind == "timeline" else text_twin(self.graph)
        return f"{printable(self.title)}\n{said}"

    def save(self, path: str | Path) -> Path:
        """Write the SVG document to a file, and return its path."""
        target = Path(path)
        target.write_text(self.svg, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return img_tag(self.svg, self.text)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}
