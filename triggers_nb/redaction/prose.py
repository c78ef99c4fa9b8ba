"""Passwords that a sentence tells: `the password is …`, `log in as bob with …`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from triggers_nb.redaction.markers import Span

#: Without one of these, a line tells of no password.
_HINTS: Final = ("passw", "passphrase", "passcode", "kennwort", "log", "sign", "authent")
_NAME: Final = r"(?:password|passphrase|passcode|passwort|kennwort)"
_VALUE: Final = r"""["'`“„]?([^\s"'`“”„<>\[\](){}]{6,64}+)"""
_TOLD: Final = re.compile(
    rf"(?i)(?<![\w-]){_NAME}(?: (?:of|for) [^\s]{{1,64}})? (?:(?:is|was)(?: now| still)?|to|lautet|ist|war) {_VALUE}"
    rf"|(?<![\w-])(?:with|using|mit)(?: the| my| dem)? {_NAME} {_VALUE}"
)
_LOGIN: Final = re.compile(
    r"(?i)(?<![\w-])(?:log(?:ged|ging)?[ -]?in|sign(?:ed|ing)?[ -]?in|authenticat(?:e|ed|ing))"
    rf"(?: to [^\s]{{1,64}}| at [^\s]{{1,64}})? as [^\s]{{1,64}} (?:with|using|and) {_VALUE}"
)
#: What has digits in it in prose, too: `SHA256-hashed`, `12-digit`, `3 days`.
_TECHNICAL: Final = re.compile(
    r"(?i)\d+-?[a-z]+[!?]?|(?:sha|md|base|utf|argon|pbkdf|scrypt|aes|[hrep]s)-?\d[\w/-]*[!?]?"
    r"|[\w-]*-(?:bits?|digits?|based|encoded|hashed|encrypted|signed)[!?]?"
)
#: What is called by a name and a version: `Python-3.11`, `OAuth2`, `Boeing-737-800`.
_VERSION: Final = re.compile(r"(?i)[a-z]+(?:[-/.]?v?\d+)*[!?]?")


def find_passwords(line: str) -> Iterator[Span]:
    """Yield the spans of passwords that a sentence in `line` tells, in linear time.

    Only what no word of prose looks like is taken for one: it has letters and digits, and behind `log in as bob with`
    also capitals and another character.
    """
    lowered = line.lower()
    if any(hint in lowered for hint in _HINTS):
        yield from _find(_TOLD, line, _is_mixed)
        yield from _find(_LOGIN, line, _is_complex)


def _find(pattern: re.Pattern[str], line: str, check: Callable[[str], bool]) -> Iterator[Span]:
    for found in pattern.finditer(line):
        start, end = found.span(found.lastindex or 0)
        end = start + len(line[start:end].rstrip(".,;:"))
        if check(line[start:end]):
            yield start, end


def _is_mixed(value: str) -> bool:
    has_both = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return has_both and "://" not in value and not _TECHNICAL.fullmatch(value)


def _is_complex(value: str) -> bool:
    has_cases = any(c.isupper() for c in value) and any(c.islower() for c in value)
    return len(value) >= 8 and has_cases and not value.isalnum() and _is_mixed(value) and not _VERSION.fullmatch(value)
