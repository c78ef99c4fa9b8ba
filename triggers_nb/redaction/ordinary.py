"""What stands behind the name of a secret and is none: placeholders, words of prose, types, source code."""

from __future__ import annotations

import itertools
import re

from triggers_nb.redaction.keys import Kind, split_names
from triggers_nb.redaction.places import Place

# What stands for a value, or says that there is none.
_PLACEHOLDER = re.compile(
    r"""(?:\[redacted:[0-9a-f]{12}\]|\[(?i:redacted|filtered|hidden|masked|removed)\]|<[\w .:-]*>?|\*+|[xX.•-]{3,}
        |\?|%s|%\(\w+\)s|:[A-Za-z_]\w*|\$\d+|\$[A-Z_][A-Z0-9_]*|\$\{[^{}]*\}?|%[A-Z_]+%|[\^~]\d[\w.-]*|\{{1,2}[^{}]*\}{0,2}
        |\$\{\{[^{}]*\}\})\Z""",
    re.VERBOSE,
)
_EMPTY = split_names(
    """none null nil nan true false yes no on off ok undefined empty unset missing required invalid incorrect wrong
    expired absent redacted hidden masked filtered unknown str int bytes bool float dict list tuple object any
    optional union string number boolean secretstr self cls type default not must should is are was were has have
    had to be the a an in of for from by with and or as if when error failed denied mismatch changed reset rejected
    revoked"""
)
_LETTERS = re.compile(r"[^\W\d]+\Z")
_GOES_ON = re.compile(r" ?\w| [|=]|:`")
_NAME = re.compile(r"[^\W\d]\w*\Z")
_PASSWORDS = ("word", "wd", "phrase", "code", "otp", "cvv", "cvc", "cvn", "wort", "pass")
_PATH = re.compile(r"[/~.]|[A-Za-z]:[\\/]")
_CALL = re.compile(r"[^\W\d][\w.]*[(\[]")
_ROOTS = ("self.", "cls.", "os.", "settings.", "config.", "conf.", "app.", "request.", "args.", "kwargs.")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+\Z")
_RANDOM = re.compile(r"[A-Za-z0-9+/_-]+=*\Z")


def is_password(place: Place) -> bool:
    """Say whether what follows such a name may be a mere word."""
    return place.kind is Kind.EXTRA or place.words.endswith(
        ("word", "wd", "phrase", "code", "otp", "cvv", "cvc", "cvn", "wort", "pass")
    )


def is_strong(place: Place) -> bool:
    """Say whether hardly anything but a secret follows such a name, unlike `token: …` or `auth: …`."""
    return is_password(place) or place.words.endswith(("secret", "key", "keyid"))


def is_told(place: Place, value: str) -> bool:
    """Say whether an unquoted `value` is told as one, by how it and the separator are written."""
    is_colon = ":" in place.separator and "=" not in place.separator
    if _LETTERS.match(value) and not is_password(place):
        return (place.is_tight and not is_colon and "_" not in value) or len(value) >= 20
    if place.is_tight and not is_colon:
        return True
    if place.is_quoted or is_random_enough(value):
        return ":" not in value if is_colon and place.is_tight and not is_strong(place) else True
    if not is_strong(place):
        return False
    following = place.text[place.at + len(value) : place.at + len(value) + 3]
    return not _LETTERS.match(value) or place.is_tight or not _GOES_ON.match(following)


def is_personal(place: Place, value: str) -> bool:
    """Say whether `value` has digits, as numbers of telephones and accounts and dates of birth have."""
    return place.kind is Kind.PERSONAL and any(c.isdigit() for c in value)


def is_random_enough(value: str) -> bool:
    """Say whether `value` is too long and has too many kinds of characters for a word of prose."""
    return len(value) >= 8 and any(c.isdigit() for c in value) and " " not in value


def is_random(value: str) -> bool:
    """Say whether `value` is long and changes between capitals, small letters and digits as random text does."""
    if not 24 <= len(value) <= 200 or not _RANDOM.match(value):
        return False
    classes = ["u" if c.isupper() else "l" if c.islower() else "d" if c.isdigit() else "-" for c in value]
    changes = sum(a != b for a, b in itertools.pairwise(classes))
    return {"u", "l", "d"} <= set(classes) and changes >= 0.4 * len(value) and len(set(value)) >= 12


def is_placeholder(value: str) -> bool:
    """Say whether `value` stands for a value, or masks one: `${TOKEN}`, `%s`, `<token>`, `***`."""
    return (len(value) < 4 and not any(c.isalnum() for c in value)) or _PLACEHOLDER.match(value.strip()) is not None


def is_ordinary_word(value: str) -> bool:
    """Say whether `value` says that there is none, is a type, or goes on with a sentence."""
    return value.strip(".:!?").lower() in _EMPTY


def is_directory(name: str, value: str) -> bool:
    """Say whether `pwd` is meant as the working directory, and not as a password."""
    return name.lower() in ("pwd", "oldpwd") and _PATH.match(value) is not None


def is_call(value: str) -> bool:
    """Say whether `value` begins with a call or an index: `getpass(`, `os.environ[`."""
    return _CALL.match(value) is not None


def is_code(place: Place, value: str, following: str) -> bool:
    """Say whether `value` is an expression: a call, an index, an attribute, or a variable named like the secret."""
    if is_call(value) or value.startswith(_ROOTS):
        return True
    if not _NAME.match(value) and not _DOTTED.match(value):
        return False
    last = value.rpartition(".")[2]
    has_digits = any(c.isdigit() for c in last)
    if following in ("(", "[") or (place.keys.kind(last) is not None and not has_digits):
        return True
    if place.is_quoted and "." not in value:
        return not has_digits
    return not place.is_tight and "=" in place.separator and "." in value


def is_source(text: str, at: int) -> bool:
    """Say whether `at` is in a line of Python source that a traceback shows: what is not quoted there is no value."""
    chunk = text[max(0, at - 1000) : at]
    file_at = chunk.rfind('File "')
    if file_at < 0:
        return False
    lines = chunk[file_at:].split("\n")
    is_shown = 2 <= len(lines) <= 8 and all(len(line) >= 4 and not line[:4].strip(" |+-") for line in lines[1:])
    return is_shown and not _is_in_string(lines[-1])


def _is_in_string(line: str) -> bool:
    """Say whether a string is open at the end of what is there of a line of source."""
    quote, escaped = "", False
    for char in line:
        if escaped or (char == "\\" and quote):
            escaped = not escaped
        elif quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
    return bool(quote)
