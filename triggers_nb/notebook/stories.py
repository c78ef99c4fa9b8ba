"""A traceback as HTML: the application's frames open and highlighted, the libraries' folded away."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Final

from triggers_nb.analysis.origins import Application, find_application
from triggers_nb.analysis.tracebacks import Frame, Raised, parse
from triggers_nb.render.wording import escaped, plural, printable

#: Most frames of one exception that are shown; a recursion has a thousand.
MAX_FRAMES: Final = 60
#: Most characters of a message.
MAX_MESSAGE: Final = 2000

_LINKS: Final = {
    "cause": "was the direct cause of",
    "context": "while it was handled, this happened",
    "quoted": "is quoted by",
}


def traceback_html(text: str) -> str:
    r"""Return the text of a (redacted) traceback as HTML.

    Examples
    --------
    >>> "ValueError" in traceback_html("Traceback (most recent call last):\nValueError: x")
    True
    """
    story = parse(text)
    if not story.final.type:
        return f'<pre class="tnb-trace">{_lines(text)}</pre>'
    application = find_application(story)
    parts = []
    for raised in story.exceptions:
        if raised.link:
            parts.append(f'<p class="tnb-muted">↓ {_LINKS[raised.link]}</p>')
        parts.append(_raised(raised, application))
    whole = f'<details class="tnb-raw"><summary>text</summary><pre>{_lines(text)}</pre></details>'
    return f'<div class="tnb-trace">{"".join(parts)}{whole}</div>'


def _raised(raised: Raised, application: Application) -> str:
    frames = raised.frames[-MAX_FRAMES:]
    left_out = len(raised.frames) - len(frames)
    parts = [f'<p class="tnb-muted">… {plural(left_out, "outer frame")}</p>'] if left_out else []
    # If nothing is the application's, the innermost frame says most.
    mine = [application.find_module(frame) is not None for frame in frames]
    if frames and not any(mine):
        mine[-1] = True
    for is_mine, group in groupby(zip(mine, frames, strict=True), key=lambda pair: pair[0]):
        members = [frame for _, frame in group]
        inner = "".join(map(_frame, members))
        noun = plural(len(members), "library frame")
        parts.append(inner if is_mine else f"<details><summary>{noun}</summary>{inner}</details>")
    message = raised.message[:MAX_MESSAGE] + ("…" if len(raised.message) > MAX_MESSAGE else "")
    said = f"{raised.type}: {message}" if message else raised.type
    parts.append(f'<pre class="tnb-raised">{_lines(said)}</pre>')
    parts += [f'<div class="tnb-member">{_raised(each, application)}</div>' for each in _members(raised)]
    return "".join(parts)


def _members(raised: Raised) -> Iterator[Raised]:
    for member in raised.members:
        yield from member.exceptions


def _frame(frame: Frame) -> str:
    place = "/".join(frame.file.replace("\\", "/").split("/")[-3:])
    function = f", <b>{escaped(frame.function)}</b>" if frame.function else ""
    head = f'<span title="{escaped(frame.file)}">{escaped(place)}</span>:{frame.line}{function}'
    code = f"<pre>{_highlighted(frame.code)}</pre>" if frame.code else ""
    return f'<div class="tnb-frame"><div>{head}</div>{code}</div>'


def _highlighted(code: str) -> str:
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    formatter = HtmlFormatter(nowrap=True, classprefix="tnb-c-")
    return highlight(printable(code), PythonLexer(stripnl=False), formatter).rstrip("\n")


def _lines(text: str) -> str:
    return "\n".join(escaped(line) for line in text.split("\n"))
