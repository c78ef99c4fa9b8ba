"""The nodes of a cascade: what they say, how large they are, how they are drawn."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from triggers_nb.core.status import FINISHED
from triggers_nb.render.figure import ID, number, text
from triggers_nb.render.text_measure import cut_end, cut_middle, is_measured, text_width
from triggers_nb.render.theme import glyph, style_of
from triggers_nb.render.wording import duration, escaped, plural, printable, short, shown_name

#: Sizes, in pixels.
_NAME_PX: Final = 13.0
_FACT_PX: Final = 11.5
_TRIGGER_PX: Final = 12.5
_TASK_HEIGHT: Final = 44.0
_TRIGGER_HEIGHT: Final = 26.0
_WIDEST_TEXT: Final = 220.0
_TEXT_LEFT: Final = 35.0
_TEXT_LEFT_EMPTY: Final = 14.0
_PILL_LEFT: Final = 25.0
_RIGHT: Final = 14.0
_STACK: Final = 3.0
_APART: Final = 7.0
_COUNT_LEFT: Final = 12.0
_COUNT_RIGHT: Final = 9.0
_PORT_ROOM: Final = 9.0

NO_INSTANCE: Final = "no instance yet"

#: CSS rules of nodes.
NODE_RULES: Final = """
S .box{stroke-width:1.4}
S .s-failed .box{stroke-width:2.4}
S .none .box{fill:${bg};stroke:${faint};stroke-dasharray:4 3}
S .none .fact{fill:${muted}}
S .mixed .box{fill:${bg}}
S .mixed>.fact{fill:${muted}}
S .pill .box{fill:${raised};stroke:${line}}
S .pill .dot{fill:${ink};stroke:${ink};stroke-width:1.4}
S .pill .label{font-size:12.5px}
S .pill .fact{font-size:11.5px;fill:${muted}}
S .wait .box{fill:${bg};stroke:${faint};stroke-width:1}
S .wait .dot{fill:none;stroke:${muted}}
S .wait .label{fill:${muted}}
"""


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it will be drawn."""

    #: The node's key in the graph.
    key: str
    #: ``"task"``, ``"instance"`` or ``"trigger"``.
    kind: str
    #: The status whose colours it has; None for triggers, and for a task without instances.
    status: str | None
    #: Whether a trigger has fired.
    fired: bool
    #: Both lines, cut to what fits; a trigger has its second line beside the first.
    name: str
    fact: str
    #: Instead of the second line, if there are instances of several statuses: how many of which.
    counts: tuple[tuple[str, str], ...]
    #: All of it, uncut.
    title: str
    width: float
    height: float
    #: Whether it stands for several nodes.
    is_stack: bool
    #: Whether its text contains characters whose width is not known for sure.
    is_clipped: bool


def measure(key: str, facts: Mapping[str, Any], degree: int) -> Box:
    """Return the box of a node with `degree` edges on its busier side."""
    is_trigger = facts["kind"] == "trigger"
    counts = tuple((status, short(n)) for status, n in facts["counts"].items()) if len(facts["counts"]) > 1 else ()
    said = shown_name(facts["label"]), _beside(facts) if counts else fact_of(facts)
    name, fact, text_px = _cut_pill(*said) if is_trigger else _cut_task(*said, _counts_px(counts))
    is_stack = len(facts.get("members", ())) > 1
    left = _PILL_LEFT if is_trigger else _TEXT_LEFT if facts["status"] else _TEXT_LEFT_EMPTY
    height = max(_TRIGGER_HEIGHT if is_trigger else _TASK_HEIGHT, _PORT_ROOM * degree)
    return Box(
        key=key,
        kind=facts["kind"],
        status=facts["status"],
        fired=bool(facts["fired"]),
        name=name,
        fact=fact,
        counts=counts,
        title=describe_node(facts),
        width=left + text_px + _RIGHT + _STACK * is_stack,
        height=height + _STACK * is_stack,
        is_stack=is_stack,
        is_clipped=not is_measured(name + fact),
    )


def fact_of(facts: Mapping[str, Any]) -> str:
    """Return the second line of a node: its status, and the one fact that matters.

    >>> facts = {"kind": "task", "label": "t_x", "status": "failed", "counts": {"failed": 1}, "total": 1}
    >>> fact_of(facts | {"detail": "KeyError"})
    'failed · KeyError'
    >>> fact_of(facts | {"counts": {"failed": 2, "finished": 9}, "total": 11, "detail": "KeyError"})
    '2 failed · 9 finished'
    """
    if facts["kind"] == "trigger":
        return printable(facts["detail"])
    if not facts["counts"]:
        statuses = [NO_INSTANCE]
    elif facts["total"] == 1:
        statuses = [style_of(facts["status"]).word]
    else:
        statuses = [f"{n:,} {style_of(status).word}" for status, n in facts["counts"].items()]
    reason = facts["detail"] or _time_taken(facts) if len(facts["counts"]) == 1 else ""
    return printable(" · ".join(filter(None, [*statuses, reason, _beside(facts)])))


def _beside(facts: Mapping[str, Any]) -> str:
    """Return what is to be said besides statuses: how many tasks a node stands for, how often one fails."""
    members = len(facts.get("members", ()))
    several = plural(members, facts["kind"]) if members > 1 and facts["kind"] == "task" else ""
    several = "" if several == facts["label"] else several
    rate = facts["detail"] if facts.get("failure_rate") and len(facts["counts"]) > 1 else ""
    return " · ".join(filter(None, [several, rate]))


def describe_node(facts: Mapping[str, Any]) -> str:
    """Return all that is known of a node, as lines of text."""
    name, fact = shown_name(facts["label"]), fact_of(facts)
    if facts["kind"] == "trigger":
        state = "fired" if facts["fired"] else "not fired"
        lines = [f"trigger {name}: {state}" + (f", {fact}" if fact else "")]
    else:
        lines = [f"{facts['kind']} {name}: {fact}"]
    if len(facts["exceptions"]) > 1:
        lines.append(", ".join(f"{n:,} × {printable(error)}" for error, n in facts["exceptions"].items()))
    if facts["waits_for"] and "waits for" not in fact:
        lines.append("waits for " + ", ".join(map(printable, facts["waits_for"])))
    return "\n".join(lines)


def draw_node(box: Box, x: float, y: float) -> str:
    """Return a node as SVG, with its upper left corner at ``x, y``."""
    inner = _draw_pill(box) if box.kind == "trigger" else _draw_task(box)
    attributes = f'class="{_css(box)}" data-node="{escaped(node_attribute(box.key))}" data-kind="{box.kind}"'
    return f'<g {attributes} transform="translate({number(x)} {number(y)})">{_tip(box.title)}{inner}</g>'


def node_attribute(key: str) -> str:
    r"""Return what the attribute ``data-node`` says: the node's key; as JSON if it is no harmless text.

    What begins with a quotation mark is JSON.

    >>> node_attribute("t_x"), node_attribute("\x00")
    ('t_x', '"\\u0000"')
    """
    return key if printable(key) == key and not key.startswith('"') else json.dumps(key)


def clip_paths(boxes: list[Box]) -> str:
    """Return what keeps text of unknown width within its box."""
    sizes = sorted({(box.width, box.height) for box in boxes if box.is_clipped})
    shapes = ((_clip_id(*size), f'width="{number(size[0] - 4)}" height="{number(size[1])}"') for size in sizes)
    return "".join(f'<clipPath id="{name}"><rect {shape}/></clipPath>' for name, shape in shapes)


def _clip_id(width: float, height: float) -> str:
    return f"{ID}-{number(width)}x{number(height)}"


def _cut_task(name: str, fact: str, counts_px: float) -> tuple[str, str, float]:
    """Return both lines of a task, one below the other, and the width of the longer one."""
    name = cut_middle(name, _WIDEST_TEXT, _NAME_PX, bold=True)
    fact = cut_end(fact, _WIDEST_TEXT, _FACT_PX)
    return name, fact, max(text_width(name, _NAME_PX, bold=True), counts_px + text_width(fact, _FACT_PX))


def _counts_px(counts: tuple[tuple[str, str], ...]) -> float:
    return sum(_COUNT_LEFT + text_width(n, _FACT_PX) + _COUNT_RIGHT for _, n in counts)


def _cut_pill(name: str, fact: str) -> tuple[str, str, float]:
    """Return both parts of a trigger, one beside the other, and their width."""
    name = cut_middle(name, _WIDEST_TEXT, _TRIGGER_PX)
    fact = cut_end(fact, _WIDEST_TEXT, _FACT_PX)
    return name, fact, text_width(name, _TRIGGER_PX) + text_width(fact, _FACT_PX) + _APART * bool(fact)


def _time_taken(facts: Mapping[str, Any]) -> str:
    started, ended = facts.get("started_at"), facts.get("ended_at")
    if facts["status"] == FINISHED and isinstance(started, datetime) and isinstance(ended, datetime):
        return duration(ended - started)
    return ""


def _css(box: Box) -> str:
    if box.kind == "trigger":
        return "pill" if box.fired else "pill wait"
    return "task none" if box.status is None else "task mixed" if box.counts else f"task s-{style_of(box.status).css}"


def _draw_pill(box: Box) -> str:
    width, height = box.width - _STACK * box.is_stack, box.height - _STACK * box.is_stack
    radius = min(height, _TRIGGER_HEIGHT) / 2
    shape = f'width="{number(width)}" height="{number(height)}" rx="{number(radius)}"'
    middle = height / 2
    fact = f'<tspan class="fact" dx="{_APART:g}">{escaped(box.fact)}</tspan>' if box.fact else ""
    label = f'<text class="label" x="{_PILL_LEFT:g}" y="{number(middle + 4.5)}">{escaped(box.name)}{fact}</text>'
    dot = f'<circle class="dot" cx="14.5" cy="{number(middle)}" r="3.6"/>'
    return f'{_stack(box, shape)}<rect class="box" {shape}/>{dot}{_clipped(box, label)}'


def _draw_task(box: Box) -> str:
    width, height = box.width - _STACK * box.is_stack, box.height - _STACK * box.is_stack
    shape = f'width="{number(width)}" height="{number(height)}" rx="4"'
    left = _TEXT_LEFT if box.status else _TEXT_LEFT_EMPTY
    middle = height / 2
    band = f'<path class="band" d="M5,0H4A4,4 0 0 0 0,4V{number(height - 4)}A4,4 0 0 0 4,{number(height)}H5z"/>'
    mark = band + glyph(box.status, 20.5, middle) if box.status else ""
    frame = f'{_stack(box, shape)}<rect class="box" {shape}/>{mark}'
    if box.counts:
        frame = f'<g class="s-{style_of(box.status).css}">{frame}</g>'
    counts = _draw_counts(box.counts, left, middle + 14)
    fact = text(box.fact, left + _counts_px(box.counts), middle + 14, "fact") if box.fact else ""
    return frame + _clipped(box, text(box.name, left, middle - 1.5, "name") + counts + fact)


def _draw_counts(counts: tuple[tuple[str, str], ...], x: float, y: float) -> str:
    parts = []
    for status, n in counts:
        mark = f'<g transform="translate({number(x + 5)} {number(y - 4)}) scale(.75)">{glyph(status)}</g>'
        label = text(n, x + _COUNT_LEFT, y, "fact")
        parts.append(f'<g class="s-{style_of(status).css}">{mark}{label}</g>')
        x += _counts_px(((status, n),))
    return "".join(parts)


def _stack(box: Box, shape: str) -> str:
    """Return the second sheet behind a node that stands for several."""
    return f'<rect class="box" {shape} transform="translate({_STACK:g} {_STACK:g})"/>' if box.is_stack else ""


def _clipped(box: Box, content: str) -> str:
    if not box.is_clipped:
        return content
    return f'<g clip-path="url(#{_clip_id(box.width, box.height)})">{content}</g>'


def _tip(title: str) -> str:
    return "<title>" + "\n".join(escaped(line) for line in title.split("\n")) + "</title>"
