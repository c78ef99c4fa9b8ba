"""Traceback text taken apart: what was raised, where, and because of what.

Text goes in as `traceback.format_exc` writes it, of any version of Python: chains, exception groups, syntax errors,
carets. Whatever else goes in, something comes out: nothing here raises, and everything is linear in the length.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

Link = Literal["", "cause", "context", "quoted"]

HEADER: Final = "Traceback (most recent call last):"
_HEADERS: Final = (HEADER, f"Exception Group {HEADER}")
_LINKS: Final[dict[str, Link]] = {
    "The above exception was the direct cause of the following exception:": "cause",
    "During handling of the above exception, another exception occurred:": "context",
}
_FRAME: Final = re.compile(r'  File "(.*)", line (\d{1,9})(?:, in (.*))?$')
_TYPE: Final = re.compile(r"([^\W\d][\w.<>]*)(?:: (.*)|:?)$", re.DOTALL)
_MARGIN: Final = re.compile(r"((?:  )+)([|+])(.*)$", re.DOTALL)
_MEMBER: Final = re.compile(r"-(\+?)-{10,} [\d.]+ -{10,}$|(-{10,})$")
_MAX_DEPTH: Final = 20
_START, _FRAMES, _MESSAGE = range(3)


class Frame(msgspec.Struct, frozen=True):
    """A line of code that was being run."""

    #: As it was printed, of whatever operating system.
    file: str
    line: int
    #: Empty for the place of a syntax error.
    function: str
    #: The first line of the statement; empty if it was not to be had.
    code: str = ""


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """One exception of a traceback."""

    #: As it was printed: with its module, unless that is `builtins` or `__main__`.
    type: str
    #: With the notes that were added to it: printed text does not tell them from further lines of the message.
    message: str
    #: The outermost call first.
    frames: tuple[Frame, ...]
    #: What the exception printed before this one is to it; `quoted`: it was found in the text of this one's message.
    link: Link = ""
    #: The exceptions in an exception group.
    members: tuple[Traceback, ...] = ()


class Traceback(msgspec.Struct, frozen=True):
    """What a traceback says, in the order in which it is printed: what happened first comes first."""

    exceptions: tuple[Raised, ...]

    @property
    def final(self) -> Raised:
        """The exception that was not caught."""
        return self.exceptions[-1] if self.exceptions else _NOTHING


_NOTHING: Final = Raised(type="", message="", frames=())


class _Reader:
    """Reads the lines of one traceback, or of one member of a group."""

    def __init__(self) -> None:
        self.done: list[Raised] = []
        self.around: list[Raised] = []
        self.begin("")

    def begin(self, link: Link) -> None:
        self.state = _START
        self.link: Link = link
        self.type = ""
        self.frames: list[Frame] = []
        self.message: list[str] = []
        self.members: list[Traceback] = []

    def read(self, line: str) -> None:
        if line in _HEADERS:
            self._read_header()
        elif line in _LINKS:
            self._finish_one() if self._in_quotes() else self._finish_all()
            self.begin(_LINKS[line])
        elif self.state == _MESSAGE:
            self._read_message(line)
        elif self.state == _FRAMES or line.startswith('  File "'):
            self._read_frame(line)
        elif line:
            self._read_type(line)

    def finish(self) -> Traceback:
        self._finish_all()
        return Traceback(tuple(self.done))

    def _in_quotes(self) -> bool:
        return bool(self.around) and self.around[-1].message.endswith('"""')

    def _read_header(self) -> None:
        """Begin a traceback; within a message, it is one that the message quotes."""
        link: Link = self.link
        if self.state == _MESSAGE:
            self.around.append(self._take())
            link = ""
        self.begin(link)
        self.state = _FRAMES

    def _read_frame(self, line: str) -> None:
        self.state = _FRAMES
        if not line.startswith("  "):
            if line:
                self._read_type(line)
        elif found := _FRAME.match(line):
            self.frames.append(Frame(found[1], int(found[2]), found[3] or ""))
        elif self.frames and not self.frames[-1].code and line.startswith("    ") and line.strip(" ^~"):
            self.frames[-1] = msgspec.structs.replace(self.frames[-1], code=line.strip())

    def _read_type(self, line: str) -> None:
        found = _TYPE.match(line)
        self.type, first = (found[1], found[2] or "") if found else ("", line)
        self.message = [first]
        self.state = _MESSAGE

    def _read_message(self, line: str) -> None:
        if line == '"""' and self._in_quotes():
            self._finish_all()
            self.begin(self.link)
        else:
            self.message.append(line)

    def _take(self) -> Raised:
        message = "\n".join(self.message).rstrip("\n")
        return Raised(
            type=self.type, message=message, frames=tuple(self.frames), link=self.link, members=tuple(self.members)
        )

    def _finish_one(self) -> None:
        if self.state != _START:
            self.done.append(self._take())

    def _finish_all(self) -> None:
        """Put down what was read; what a message quotes comes before the exception whose message it is."""
        self._finish_one()
        while self.around:
            self.done.append(msgspec.structs.replace(self.around.pop(), link="quoted"))


class _GroupReader:
    """Reads text with exception groups: a reader for each margin."""

    def __init__(self) -> None:
        self.readers = [_Reader()]

    def read(self, line: str) -> None:
        margin = _MARGIN.match(line)
        if margin is None:
            self.close(1)
            self.readers[0].read(line)
            return
        depth, rest = len(margin[1]) // 2, margin[3]
        if margin[2] == "+" and (member := _MEMBER.match(rest)):
            self.close(depth if member[1] else depth - 1)
            if member[1] is not None and len(self.readers) < _MAX_DEPTH:
                self.readers.append(_Reader())
        else:
            self.close(depth)
            self.readers[-1].read(rest[1:])

    def close(self, depth: int) -> None:
        """End the readers at `depth` and below; what they read are members of the exception above."""
        while len(self.readers) > max(depth, 1):
            member = self.readers.pop().finish()
            if member.final.type:
                self.readers[-1].members.append(member)

    def finish(self) -> Traceback:
        self.close(1)
        return self.readers[0].finish()


def parse(text: str) -> Traceback:
    r"""Take the text of a traceback apart.

    Parameters
    ----------
    text : str
        As `traceback.format_exc` returns it.

    Returns
    -------
    Traceback
        Without exceptions if nothing in the text looks like one.

    Examples
    --------
    >>> text = '''Traceback (most recent call last):
    ...   File "/srv/app/tasks/seats.py", line 21, in read_row
    ...     seats = row["seats"]
    ...             ~~~^^^^^^^^^
    ... KeyError: 'seats'
    ... '''
    >>> parse(text).final.frames
    (Frame(file='/srv/app/tasks/seats.py', line=21, function='read_row', code='seats = row["seats"]'),)
    >>> parse("").final.type
    ''
    """
    reader = _GroupReader() if _HEADERS[1] in text else _Reader()
    for line in text.split("\n"):
        reader.read(line.rstrip("\r"))
    return reader.finish()
