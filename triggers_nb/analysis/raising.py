"""What the line of code that raised an error tells about its message: which words it filled in.

``raise LookupError(f"No such user: {name}")`` says that ``anna`` is a value in *No such user: anna*, which the message
alone does not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from triggers_nb.analysis.messages import MASK, is_identifier, names_its_cause

_MAX_CODE: Final = 500
_RAISE: Final = re.compile(
    r"""raise [\w.]+\(\s*([rfuRFU]{0,2})("|')((?:(?!\2)[^\\]){4,})\2\s*([,)%]|\.format\(|\+|$)?"""
)
_TEXT: Final = re.compile(r"""("|')((?:(?!\1)[^\\{}%]){2,} (?:(?!\1)[^\\{}%]){2,})\1""")
_LAST_WORD: Final = re.compile(r"(|.*\s)([\w.-]+)$", re.DOTALL)
_HOLES: Final = {
    "f": re.compile(r"\{\{|\}\}|\{[^{}]*\}"),
    "%": re.compile(r"%%|%(?:\(\w+\))?[-#0 +]*\d*(?:\.\d+)?[sradifgeExX]"),
    ".": re.compile(r"\{\{|\}\}|\{[^{}]*\}"),
}
_STATUS: Final = re.compile(r"(?:status(?:[ _]code)?|http|http error)[ :=]*$", re.IGNORECASE)


def mask_filled_in(message: str, code: str, name: str) -> str:
    """Mask what was filled in to a message, as far as the line of code that raised the error shows it.

    Parameters
    ----------
    message : str
        The message of an error.
    code : str
        The line of code in which it came up; may be empty.
    name : str
        The error's class, without its module.

    Examples
    --------
    >>> mask_filled_in("No such user: anna", 'raise LookupError(f"No such user: {name}")', "LookupError")
    'No such user: <*>'
    """
    if code.startswith("raise "):
        masked = _mask_holes(message, _find_literals(code[:_MAX_CODE]), name)
        message = _mask_around(message, code) if masked is None else masked
    return _mask_last_word(message, code, name)


def _mask_holes(message: str, literals: tuple[str, ...], name: str) -> str | None:
    """Mask the words between the pieces of a text, or return None if a message is not made of them."""
    quote = message[:1] if message[:1] in ("'", '"') and not message.startswith(literals[:1]) else ""
    position = len(quote)
    done = []
    for before, literal in itertools.pairwise(literals):
        if not message.startswith(before, position):
            return None
        start = position + len(before)
        position = message.find(literal, start) if literal else len(message) - len(quote)
        if position < 0:
            return None
        value = message[start:position]
        done += [before, MASK if _fills(value, before, literal, name) else value]
    return quote + "".join(done) + message[position:] if done else None


def _fills(value: str, before: str, after: str, name: str) -> bool:
    """Tell whether what fills a hole names a thing, rather than a reason."""
    if before[-1:].isalpha() or after[:1].isalpha() or _STATUS.search(before):
        return False
    if names_its_cause(value, name) and is_identifier(value):
        return False
    words = value.split()
    return len(words) == 1 or (len(words) == 2 and any(map(str.isdigit, value)))


def _mask_around(message: str, code: str) -> str:
    """Mask what surrounds the texts that a statement hands to an exception, which writes its message itself."""
    texts = [found[2] for found in _TEXT.finditer(code[:_MAX_CODE]) if found[2] in message]
    return MASK + MASK.join(texts) if texts else message


def _mask_last_word(message: str, code: str, name: str) -> str:
    """Mask a word that is all of a message, or that it complains of, unless it stands in the line of code."""
    found = _LAST_WORD.match(message)
    if not code or not found or found[2] in code or names_its_cause(message, name):
        return message
    complains = not found[1] or (
        name in ("ValueError", "LookupError") and (found[1][-2:] == ": " or code[:5] != "raise")
    )
    return found[1] + MASK if complains else message


@lru_cache(maxsize=4096)
def _find_literals(code: str) -> tuple[str, ...]:
    """Return the pieces of text around the holes of the message in a raise statement."""
    found = _RAISE.match(code)
    if found is None:
        return ()
    prefix, text, after = found[1].lower(), found[3], found[4] or ""
    if after == "+":
        return (text, "")
    holes = _HOLES.get("f" if "f" in prefix else "%" if after == "," else after[:1])
    return tuple(_split(text, holes)) if holes else ()


def _split(text: str, holes: re.Pattern[str]) -> Iterator[str]:
    position = 0
    literal = ""
    for hole in holes.finditer(text):
        literal += text[position : hole.start()]
        position = hole.end()
        if len(set(hole[0])) == 1:  # a doubled sign stands for itself
            literal += hole[0][0]
        else:
            yield literal
            literal = ""
    yield literal + text[position:]
