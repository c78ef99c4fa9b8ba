"""Untrusted text made fit to be shown, and numbers made fit to be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from html import escape
from typing import Final

#: Invisible characters that may stay: they join emoji and letters, and change nothing else.
_JOINERS: Final = "\u200c\u200d\ufe0e\ufe0f"
_PLAIN: Final = re.compile(r"[\x20-\x7e]*")


def printable(text: object) -> str:
    r"""Return text in which nothing acts unseen.

    Control characters become their pictures (``␛``); lone surrogates, direction marks and other invisible characters
    become ``�``. What is left is valid in XML and HTML once it is escaped.

    >>> printable("a\tb\x1b\u202ec\ud800")
    'a␉b␛�c�'
    """
    string = str(text)
    return string if _PLAIN.fullmatch(string) else "".join(map(_visible, string))


def escaped(text: object) -> str:
    """Return text for HTML and SVG, in elements and in quoted attributes.

    >>> escaped('<a title="x">')
    '&lt;a title=&quot;x&quot;&gt;'
    """
    return escape(printable(text))


def _visible(character: str) -> str:
    if character in _JOINERS:
        return character
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
        or character in "\u115f\u1160\u3164"
    ):
        return "�"
    return character


def shown_name(name: object) -> str:
    """Return a name that can be seen, even one of spaces.

    >>> shown_name("t_x"), shown_name(" ")
    ('t_x', '" "')
    """
    said = printable(name)
    return said if said.strip() else f'"{said}"'


def plural(n: int, noun: str) -> str:
    """Return a number with its noun.

    >>> plural(1, "task"), plural(1500, "task")
    ('1 task', '1,500 tasks')
    """
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def short(n: int) -> str:
    """Return a number in five characters at most, up to a billion.

    >>> short(930), short(9_300), short(93_000), short(1_500_000)
    ('930', '9,300', '93 k', '1.5 M')
    """
    if n < 10_000:
        return f"{n:,}"
    if n < 1_000_000:
        return f"{n // 1000} k"
    return f"{n / 1_000_000:.1f} M"


def listing(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and how many more there are.

    >>> listing(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def duration(span: timedelta) -> str:
    """Return a span of time in its two largest units.

    >>> duration(timedelta(milliseconds=12)), duration(timedelta(hours=3, minutes=4)), duration(timedelta(seconds=1.25))
    ('12 ms', '3 h 4 min', '1.2 s')
    """
    seconds = span.total_seconds()
    if seconds < 0:
        return "−" + duration(-span)
    if seconds < 0.9995:
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if 0 < milliseconds < 1 else f"{milliseconds:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    units = [("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60)]
    first = next(i for i, (_, n) in enumerate(units) if n)
    return " ".join(f"{n} {unit}" for unit, n in units[first : first + 2] if n)
