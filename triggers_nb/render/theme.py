"""How things look: statuses with colour, tint, glyph and word, and the style sheets that carry them.

Three situations, one vocabulary. In JupyterLab the attribute ``data-jp-theme-light`` of the page decides between light
and dark, and its theme variables give background, ink and font. In other pages ``prefers-color-scheme`` decides, unless
the page says otherwise. Inside ``<img src="data:image/svg+xml…">`` only the media query is seen; browsers evaluate
it with the page's ``color-scheme``, which JupyterLab sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from string import Template
from types import MappingProxyType
from typing import Final, Literal

import msgspec

from triggers_nb.core.status import (
    ABANDONED,
    FAILED,
    FINISHED,
    REPLAYED,
    RUNNING,
    SCHEDULED,
    SKIPPED,
    UNSTARTED,
)

Theme = Literal["auto", "light", "dark"]

#: What figures fall back to outside of JupyterLab; text is measured for the widest of these.
FONT: Final = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, "DejaVu Sans", sans-serif'


class Shades(msgspec.Struct, frozen=True):
    """The colours of one status on one background."""

    #: Strokes, bands and glyphs: 3:1 or more against `tint` and the background.
    strong: str
    #: Areas.
    tint: str
    #: Text: 4.5:1 or more against `tint` and the background.
    text: str


class StatusStyle(msgspec.Struct, frozen=True, kw_only=True):
    """How one status looks."""

    #: The status that gives style sheets their names for its colours.
    css: str
    #: The word for it.
    word: str
    light: Shades
    dark: Shades
    #: SVG elements within 14 × 14 around 0,0, to be stroked with width 1.8 and round ends.
    glyph: str
    #: The glyph in plain text, one column wide.
    sign: str


def _style(
    word: str, light: tuple[str, str], dark: tuple[str, str], glyph: str, sign: str, text: str = ""
) -> StatusStyle:
    return StatusStyle(
        css=word,
        word=word,
        light=Shades(light[0], light[1], text or light[0]),
        dark=Shades(dark[0], dark[1], dark[0]),
        glyph=glyph,
        sign=sign,
    )


#: The look of each status.
STATUS_STYLES: Final[Mapping[str, StatusStyle]] = MappingProxyType(
    {
        FAILED: _style(
            "failed", ("#c62828", "#fdecea"), ("#ff8a80", "#3b1d1c"), '<path d="M-4,-4l8,8M4,-4l-8,8"/>', "✗"
        ),
        RUNNING: _style(
            "running",
            ("#1565c0", "#e3f0fd"),
            ("#82b7f5", "#14293d"),
            '<path class="solid" d="M-3,-4.5l7,4.5l-7,4.5z"/>',
            "▶",
        ),
        SCHEDULED: _style(
            "scheduled",
            ("#4a7fb5", "#eaf2fb"),
            ("#9cc3ea", "#1a2733"),
            '<circle r="5"/><path d="M0,-2.8v3l2.3,1.3"/>',
            "◷",
            text="#3d6fa3",
        ),
        UNSTARTED: _style(
            "unstarted",
            ("#616e7c", "#f5f7fa"),
            ("#a3afbc", "#1d2228"),
            '<circle r="4.5" stroke-dasharray="2.2 2.6"/>',
            "○",
        ),
        FINISHED: _style(
            "finished", ("#1e7b34", "#e6f4ea"), ("#7fd297", "#16291c"), '<path d="M-4,0l3,3.5l5.5,-7"/>', "✓"
        ),
        REPLAYED: _style(
            "replayed",
            ("#6a3fb5", "#f0eafa"),
            ("#c0a4f2", "#271f38"),
            '<path d="M4.3,-1.5a4.6,4.6 0 1 0 .3,2.6M4.6,-5v3.6h-3.6"/>',
            "↻",
        ),
        SKIPPED: _style(
            "skipped",
            ("#8f6400", "#fdf3dc"),
            ("#f0c35e", "#33290f"),
            '<path d="M-5,-4l4,4l-4,4M0,-4l4,4l-4,4"/>',
            "»",
        ),
        ABANDONED: _style(
            "abandoned",
            ("#546e7a", "#eceff1"),
            ("#a5b5bd", "#22282d"),
            '<circle r="4.6"/><path d="M-3.2,3.2l6.4,-6.4"/>',
            "⊘",
        ),
    }
)

#: Everything that is not a status: background, raised areas, text, lesser text; strong and faint lines; rules that
#: only divide.
LIGHT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bg": "#ffffff",
        "raised": "#f5f7fa",
        "ink": "#1f2933",
        "muted": "#5f6c7b",
        "line": "#5f6c7b",
        "faint": "#87929e",
        "rule": "#e4e7eb",
    }
)
DARK: Final[Mapping[str, str]] = MappingProxyType(
    {
        "bg": "#111418",
        "raised": "#1d2228",
        "ink": "#e6e9ed",
        "muted": "#9aa5b1",
        "line": "#8a95a3",
        "faint": "#6b7683",
        "rule": "#2a3139",
    }
)

#: Where JupyterLab has a say.
_JUPYTER: Final = {"bg": "--jp-layout-color0", "ink": "--jp-content-font-color1"}


def style_of(status: str | None) -> StatusStyle:
    """Return the look of a status; one that is not known looks like *unstarted*, with its own word.

    >>> style_of("failed").sign, style_of("paused").word
    ('✗', 'paused')
    """
    known = STATUS_STYLES.get(status or UNSTARTED)
    return known or msgspec.structs.replace(STATUS_STYLES[UNSTARTED], word=str(status), sign="?")


def palette(statuses: Iterable[str], *, dark: bool) -> dict[str, str]:
    """Return colours by name: the general ones, and ``<status>``, ``<status>-tint``, ``<status>-text``.

    >>> palette(["failed"], dark=False)["failed-tint"]
    '#fdecea'
    """
    colours = dict(DARK if dark else LIGHT)
    for status in statuses:
        shades = STATUS_STYLES[status].dark if dark else STATUS_STYLES[status].light
        colours |= {status: shades.strong, f"{status}-tint": shades.tint, f"{status}-text": shades.text}
    return colours


def variables(scope: str, statuses: Iterable[str] = tuple(STATUS_STYLES)) -> str:
    """Return CSS that defines the colours as variables ``--tnb-<name>`` on `scope`, for whatever theme the page has.

    Parameters
    ----------
    scope
        A simple CSS selector, such as ``.tnb``.
    statuses
        The statuses that are needed.
    """
    chosen = tuple(statuses)
    light = _declare(palette(chosen, dark=False))
    dark = _declare(palette(chosen, dark=True))
    is_light = '[data-jp-theme-light="true"],.vscode-light,[data-theme="light"],[data-bs-theme="light"]'
    is_dark = '[data-jp-theme-light="false"],.vscode-dark,[data-theme="dark"],[data-bs-theme="dark"],html[theme="dark"]'
    return (
        f"{scope}{{{light}}}@media (prefers-color-scheme:dark){{{scope}{{{dark}}}}}"
        f":is({is_light}) {scope}{{{light}}}:is({is_dark}) {scope}{{{dark}}}"
    )


def paint(rules: str, theme: Theme, scope: str, statuses: Iterable[str]) -> str:
    """Return CSS with the colours that its ``$name`` stand for.

    Parameters
    ----------
    rules
        CSS rules in which colours are written ``${name}``, by the names of `palette`.
    theme
        ``"auto"`` makes variables of them, defined on `scope`; ``"light"`` and ``"dark"`` put the colours themselves,
        which any SVG viewer understands.
    scope
        A CSS selector of what is painted.
    statuses
        The statuses that occur.

    Raises
    ------
    ValueError
        If there is no such theme.
    """
    chosen = tuple(statuses)
    if theme == "auto":
        names = palette(chosen, dark=False)
        return variables(scope, chosen) + _Rules(rules).substitute({name: f"var(--tnb-{name})" for name in names})
    if theme not in ("light", "dark"):
        raise ValueError(f"theme={theme!r}: expected 'auto', 'light' or 'dark'.")
    return _Rules(rules).substitute(palette(chosen, dark=theme == "dark"))


def glyph(status: str | None, x: float = 0, y: float = 0) -> str:
    """Return the glyph of a status as SVG, centred at ``x, y``; the style sheet gives ``.glyph`` its stroke."""
    return f'<g class="glyph" transform="translate({x:g} {y:g})">{style_of(status).glyph}</g>'


class _Rules(Template):
    """A template whose names may contain hyphens."""

    braceidpattern = r"[a-z-]+"


def _declare(colours: Mapping[str, str]) -> str:
    """Return the declarations of these colours; JupyterLab's variables, where there are any, stand above them."""
    values = {name: f"var({_JUPYTER[name]},{value})" if name in _JUPYTER else value for name, value in colours.items()}
    return "".join(f"--tnb-{name}:{value};" for name, value in values.items())
