"""The scripts and style sheets of the widgets, which are files in this package."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from triggers_nb.render.chips import style_sheet


@cache
def read_script(*names: str) -> str:
    """Return these scripts as one ECMAScript module; the last one exports what anywidget calls."""
    return "\n".join(_read(name) for name in names)


@cache
def read_styles() -> str:
    """Return the style sheet of all widgets."""
    return style_sheet() + _read("surface.css")


def _read(name: str) -> str:
    return files("triggers_nb.notebook").joinpath("assets", name).read_text(encoding="utf-8")
