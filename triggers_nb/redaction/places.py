"""Places in a text where a value stands behind a name: `password=`, `"token": "`, `('cookie', '`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from triggers_nb.redaction.keys import Kind, SensitiveKeys, join_words
from triggers_nb.redaction.markers import Span

_LONGEST_NAME = 40

# What follows the part of a name that was found: the rest of it, its closing quote, a separator, an opening quote.
_AFTER = re.compile(
    r"""(?P<rest>[\w-]{0,40}+)
        (?P<close>\\{0,3}["'`]?\]?)
        (?P<sep>[ \t]{0,8}(?:[=!]=|=>|:=|=|:|%3[dD])[ \t]{0,8}|,[ ]{0,4}(?=[bBuU]?\\{0,3}["'])|>|[ \t]{1,4})
        (?P<prefix>[bBuUrRfF]{1,2}(?=\\{0,3}["']))?
        (?P<quote>\\{0,3}["'])?""",
    re.VERBOSE,
)
# Without one of these, a line has no value behind a name.
_SEPARATED = re.compile(r"""[=:>]|, {0,4}[bBuU]?\\{0,3}["']|--[A-Za-z]|%3[dD]""")
_NAME_BACKWARDS = re.compile(r"[\w-]*+")
_PHRASE_BACKWARDS = re.compile(r"[\w-]*+(?: [\w-]++){0,2}")

# What a repr and JSON write for line breaks and tabs: the letter is no part of a name.
_ESCAPES = frozenset({r"\n", r"\r", r"\t"})


class Place(NamedTuple):
    """Where a value may stand, and what is known about it before it is read."""

    text: str
    #: The name that the value stands under, and where it begins.
    name: str
    name_at: int
    kind: Kind | None
    #: Whether the name is in quotes, as keys of data are.
    is_quoted: bool
    separator: str
    #: The quote that opens the value, with the backslashes before it; empty if there is none.
    quote: str
    #: Where the value begins, behind the quote.
    at: int
    is_format: bool
    keys: SensitiveKeys

    @property
    def is_tight(self) -> bool:
        """Whether no space stands around the separator, as in shells, queries and keyword arguments."""
        return self.separator == self.separator.strip()

    @property
    def words(self) -> str:
        """The name's words run together."""
        return join_words(self.name)


def find_names(line: str, keys: SensitiveKeys) -> list[Span]:
    """Return the spans of what in a line belongs to one of the `keys` and has a separator behind it."""
    if not _SEPARATED.search(line):
        return []
    lowered = line.lower() if line.isascii() else line.replace("İ", "i").lower()
    cores = [core for core in keys.cores if core in lowered]
    return [span for span in sorted(_find_cores(lowered, cores)) if read_place(line, *span, keys)] if cores else []


def read_place(text: str, start: int, end: int, keys: SensitiveKeys) -> Place | None:
    """Return the place behind the part of a name at `start` to `end`; None if no value can stand there."""
    after = _AFTER.match(text, end)
    if after is None:
        return None
    before = text[max(0, start - _LONGEST_NAME) : start]
    name_at = start - _length_backwards(_NAME_BACKWARDS, before)
    if text[max(0, name_at - 1) : name_at + 1] in _ESCAPES:
        name_at += 1
    name = text[name_at : after.end("rest")]
    kind = keys.kind(name)
    if kind is None and text[name_at - 1 : name_at] == " ":
        kind = keys.kind_of_phrase(text[start - _length_backwards(_PHRASE_BACKWARDS, before) : after.end("rest")])
    if (kind is None and "key" not in name.lower()) or text.startswith("://", max(0, name_at - 3)):
        return None
    return Place(
        text, name, name_at, kind, bool(after["close"]), after["sep"], after["quote"] or "", after.end(),
        "f" in (after["prefix"] or "").lower(), keys,
    )  # fmt: skip


def _length_backwards(pattern: re.Pattern[str], before: str) -> int:
    found = pattern.match(before[::-1])
    return found.end() if found else 0


def _find_cores(lowered: str, cores: list[str]) -> Iterator[Span]:
    for core in cores:
        at = lowered.find(core)
        while at >= 0:
            yield at, at + len(core)
            at = lowered.find(core, at + len(core))
