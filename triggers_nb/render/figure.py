"""What every SVG figure has in common: the frame around the drawing, ids, numbers, paths."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from typing import Final

import msgspec

from triggers_nb.render.theme import FONT, Theme, paint
from triggers_nb.render.wording import escaped

Point = tuple[float, float]

#: What stands for the figure's id in a drawing; no escaped text contains it.
ID: Final = "\0"

#: Figures wider than this, in pixels, are never scaled below this.
_WIDE: Final = 1000.0
_LEAST_SCALE: Final = 0.6

#: Rules of every figure.
_RULES: Final = """
S{font-family:FONT;font-size:11.5px;fill:${ink}}
S .bg{fill:${bg}}
S .name{font-size:13px;font-weight:600}
S .muted{fill:${muted}}
S .glyph{fill:none;stroke-width:1.8;stroke-linecap:round;stroke-linejoin:round}
"""


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """A drawing without its frame."""

    #: SVG elements; `ID` stands for the figure's id.
    body: str
    width: float
    height: float
    #: CSS rules, one a line; the ``S`` that each begins with stands for the figure, ``${name}`` for a colour.
    rules: str
    #: The statuses whose colours are used.
    statuses: tuple[str, ...]


def frame(drawing: Drawing, *, title: str, description: str, theme: Theme) -> str:
    """Return the drawing as an SVG document.

    The same drawing gives the same bytes. Ids are made from the content, so that figures do not disturb each other
    in one page, and the page's own styles are not touched.
    """
    rules = _RULES.replace("FONT", FONT) + "".join(map(_status_rules, drawing.statuses)) + drawing.rules
    facts = "\0".join((drawing.body, rules, title, description, theme)).encode("utf-8", "surrogatepass")
    scope = "tnb-" + hashlib.blake2s(facts, digest_size=5).hexdigest()
    css = paint(_scoped(rules, f".{scope}"), theme, f".{scope}", drawing.statuses)
    width, height = number(drawing.width), number(drawing.height)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{scope}" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img" aria-labelledby="{scope}-t {scope}-d">'
        f'<title id="{scope}-t">{escaped(title)}</title><desc id="{scope}-d">{escaped_lines(description)}</desc>'
        f'<style>{css}</style><rect class="bg" width="{width}" height="{height}"/>'
        f"{drawing.body.replace(ID, scope)}</svg>"
    )


def img_tag(svg: str, alt: str) -> str:
    """Return an SVG document as an ``<img>``, which scales, and which untrusted notebooks show.

    A wide figure is not scaled below what can be read; the page scrolls instead.

    >>> img_tag('<svg width="10">', 'a "b"')
    '<img src="data:image/svg+xml;base64,PHN2ZyB3aWR0aD0iMTAiPg==" style="max-width:100%" alt="a &quot;b&quot;">'
    """
    data = base64.b64encode(svg.encode()).decode()
    width = float(svg.partition(' width="')[2].partition('"')[0])
    least = f";min-width:{width * _LEAST_SCALE:.0f}px" if width > _WIDE else ""
    return f'<img src="data:image/svg+xml;base64,{data}" style="max-width:100%{least}" alt="{escaped(alt)}">'


def escaped_lines(text: str) -> str:
    """Return text for SVG in which line breaks are kept."""
    return "\n".join(escaped(line) for line in text.split("\n"))


def number(value: float) -> str:
    """Return a coordinate with one digit at most.

    >>> number(12.0), number(12.26), number(-0.01)
    ('12', '12.3', '0')
    """
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def rounded_path(points: Sequence[Point], radius: float = 6) -> str:
    """Return the path of a polyline with round corners.

    >>> rounded_path([(0, 0), (20, 0), (20, 20)])
    'M0,0L14,0Q20,0 20,6L20,20'
    """
    parts = [f"M{_point(points[0])}"]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, _distance(before, corner) / 2, _distance(corner, after) / 2)
        parts.append(f"L{_point(_towards(corner, before, r))}Q{_point(corner)} {_point(_towards(corner, after, r))}")
    return "".join([*parts, f"L{_point(points[-1])}"])


def text(content: str, x: float, y: float, css: str = "", *, title: str = "") -> str:
    """Return a line of text whose baseline begins at ``x, y``; the title is what a pointer over it shows."""
    attributes = f' class="{css}"' if css else ""
    tip = f"<title>{escaped_lines(title)}</title>" if title else ""
    return f'<text x="{number(x)}" y="{number(y)}"{attributes}>{escaped(content)}{tip}</text>'


def _status_rules(status: str) -> str:
    selector = f"S .s-{status}"
    return (
        f"{selector} .box{{fill:${{{status}-tint}};stroke:${{{status}}}}}\n{selector} .band{{fill:${{{status}}}}}\n"
        f"{selector} .glyph{{stroke:${{{status}}}}}\n{selector} .solid{{fill:${{{status}}}}}\n"
        f"{selector} .fact{{fill:${{{status}-text}}}}\n"
    )


def _scoped(rules: str, scope: str) -> str:
    return "".join(scope + line.removeprefix("S") for line in rules.split("\n") if line)


def _point(point: Point) -> str:
    return f"{number(point[0])},{number(point[1])}"


def _distance(one: Point, other: Point) -> float:
    return math.dist(one, other)


def _towards(start: Point, end: Point, length: float) -> Point:
    whole = _distance(start, end) or 1.0
    return (start[0] + (end[0] - start[0]) * length / whole, start[1] + (end[1] - start[1]) * length / whole)
