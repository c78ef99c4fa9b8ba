"""Secrets that a text names: `password=…`, `"token": "…"`, `X-Api-Key: …`, `--client-secret …`, `('cookie', '…')`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from triggers_nb.redaction.keys import Kind, SensitiveKeys
from triggers_nb.redaction.markers import Span
from triggers_nb.redaction.ordinary import (
    is_call,
    is_code,
    is_directory,
    is_ordinary_word,
    is_personal,
    is_placeholder,
    is_random,
    is_random_enough,
    is_source,
    is_strong,
    is_told,
)
from triggers_nb.redaction.places import Place, read_place

#: What is read of an unquoted value to decide about it; once decided, it is replaced to its end.
_DECIDED_ON = 512

# Separators and closing brackets belong to an unquoted value if more of it follows, and not the next assignment.
_UNQUOTED = re.compile(
    r"""(?:[^\s,;&"'`<>()\[\]{}\\]++
        |[,;&)\]}](?=[^\s,;:.&"'`<>()\[\]{}\\])(?![\w.-]{1,40}[=:]|(?<=;)[\w .-]{1,40}=)
        |[(\[{<](?=\w))++""",
    re.VERBOSE,
)
_HEADER_LINE = re.compile(r"""[^\r\n"'\\]++""")
_LINE = re.compile(r"[^\r\n]++")
_NUMBERS = re.compile(r"[+(]?\d[\d ().\-/]*+")
_SCHEME = re.compile(r"(?:(?i:basic|bearer|digest|token|negotiate|apikey|key|aws4-hmac-sha256|oauth)\s+)")
#: What stands between a word and a quotation in prose and in comparisons, too.
_WEAK_SEPARATORS = frozenset({":", "==", "!="})
_HEADERS = frozenset({"authorization", "proxyauthorization", "cookie", "setcookie"})

_BRACKETS = re.compile(r"""[\[({]|[\])}]|"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?""")
_ONLY_NUMBERS = re.compile(r"[\d\s,.-]+\Z")
_CLOSED = re.compile(r"\s*[)\],}+%.;:]|\s+\S")
_LITERAL = re.compile(r"""[bBuU]?["']""")
_ELEMENT = re.compile(r"([^<>\s][^<>]{0,2000}+)</")
_OPENED = re.compile(r"""[(\[][bBuU]?\\{0,3}["']\Z""")


def find_values(text: str, names: Iterable[Span], keys: SensitiveKeys) -> Iterator[Span]:
    """Yield the spans of the values in `text` that stand behind `names`, in linear time."""
    done = 0
    for start, end in names:
        if start >= done and (place := read_place(text, start, end, keys)) is not None:
            span = _find_value(place)
            if span is not None and span[0] < span[1]:
                done = span[1]
                yield span


def _find_value(place: Place) -> Span | None:
    """Return the span of the value at `place`, or None if it is ordinary."""
    if place.kind is None:
        return _find_random(place)
    separator = place.separator.strip()
    if not separator:
        return _find_argument(place)
    if separator == ",":
        return _find_pair(place)
    if separator == ">":
        return _find_element(place)
    if place.quote:
        return _find_quoted(place)
    if place.words in _HEADERS and not place.is_quoted:
        return _find_header(place)
    if place.kind is not Kind.PERSONAL and place.text[place.at : place.at + 1] in ("[", "{", "("):
        return _find_container(place)
    return _find_plain(place)


# --- the forms of a value -----------------------------------------------------------------------------------------


def _quoted_span(place: Place) -> Span:
    """Return what stands in quotes; to the end of the line if they are not closed."""
    text, at, quote = place.text, place.at, place.quote
    while (end := text.find(quote, at)) >= 0:
        slashes = end - len(text[max(place.at, end - 64) : end].rstrip("\\")) - max(place.at, end - 64)
        if slashes == 0 or (slashes % 2 == 0 and len(quote) == 1):
            return place.at, end
        at = end + len(quote)
    line = _LINE.match(text, place.at)
    return (place.at, line.end()) if line else (place.at, place.at)


def _find_quoted(place: Place) -> Span | None:
    start, end = _quoted_span(place)
    value = place.text[start:end]
    if is_placeholder(value) or (place.is_format and "{" in value):
        return None
    if place.words in _HEADERS and (scheme := _SCHEME.match(value)):
        return None if is_placeholder(value[scheme.end() :]) else (start + scheme.end(), end)
    if place.is_quoted:
        return start, end
    if _closes_a_string(place) and _CLOSED.match(value):
        return None
    if place.separator.strip() in _WEAK_SEPARATORS and (place.kind is Kind.PERSONAL or not is_strong(place)):
        return (start, end) if is_random_enough(value) or is_personal(place, value) else None
    return None if is_directory(place.name, value) else (start, end)


def _closes_a_string(place: Place) -> bool:
    """Say whether the quote at `place` closes a string that begins before the name, as in `input("Password: ")`."""
    line = place.text.rfind("\n", max(0, place.name_at - 400), place.name_at)
    return place.text.count(place.quote, max(line, place.name_at - 400, 0), place.name_at) % 2 == 1


def _find_header(place: Place) -> Span | None:
    """Return the value of a header to the end of its line, without the scheme of an authorization."""
    text, at = place.text, place.at
    value = text[at : _end_of_header(text, at, at + _DECIDED_ON)]
    if is_ordinary_word(value) or is_call(value) or is_source(text, place.name_at):
        return None
    if "cookie" in place.words and "=" not in value:
        return None
    if scheme := _SCHEME.match(value):
        at += scheme.end()
    has_parts = scheme is not None and scheme[0].lower().startswith(("digest", "aws4", "oauth"))
    end = _end_of_header(text, at, len(text), _LINE if has_parts else _HEADER_LINE)
    return None if is_placeholder(text[at:end]) or is_ordinary_word(text[at:end]) else (at, end)


def _end_of_header(text: str, at: int, limit: int, pattern: re.Pattern[str] = _HEADER_LINE) -> int:
    line = pattern.match(text, at, limit)
    return at + len(line[0].rstrip()) if line else at


def _find_container(place: Place) -> Span | None:
    """Return the span of a list, tuple or dict; to the end of the line if it is not closed."""
    text, at = place.text, place.at
    is_data = place.is_quoted or (place.is_tight and place.words != "tokens" and _LITERAL.match(text, at + 1))
    if not is_data:
        return None
    line = _LINE.match(text, at)
    depth, end = 0, line.end() if line else at
    for found in _BRACKETS.finditer(text, at):
        depth += (found[0] in "[({") - (found[0] in "])}")
        if depth == 0:
            end = found.end()
            break
    inside = text[at + 1 : end - 1].strip()
    return None if not inside or _ONLY_NUMBERS.match(inside) else (at, end)


def _find_element(place: Place) -> Span | None:
    """Return the text of an XML element: `<password>…</password>`."""
    found = _ELEMENT.match(place.text, place.at - len(place.quote))
    is_element = place.text[place.name_at - 1 : place.name_at] in ("<", ":") and not place.is_quoted
    return found.span(1) if found and is_element and not is_placeholder(found[1]) else None


def _find_pair(place: Place) -> Span | None:
    """Return the second of a pair such as `('cookie', 'a=b')`; two names, and applications, are no such pairs."""
    start, end = _quoted_span(place)
    value = place.text[start:end]
    if place.kind is Kind.PERSONAL or place.words == "auth" or is_placeholder(value) or place.keys.is_name(value):
        return None
    is_opened = _OPENED.search(place.text[max(0, place.name_at - 8) : place.name_at]) is not None
    is_closed = place.text[end + len(place.quote) : end + len(place.quote) + 1] in (")", "]")
    return (start, end) if is_opened and is_closed else None


def _find_argument(place: Place) -> Span | None:
    """Return the value of an option of a command line: `--password hunter2`."""
    if not place.name.startswith("--") or place.is_quoted:
        return None
    if place.quote:
        return _find_quoted(place)
    start, end = _plain_span(place)
    value = place.text[start:end]
    if value.startswith("-") or is_placeholder(value) or is_ordinary_word(value) or place.keys.is_name(value):
        return None
    return start, _extend(place, end)


def _find_random(place: Place) -> Span | None:
    """Return the value behind a name with `key` in it if it looks random: `key = "Zm9vYmFy…"`."""
    if not place.separator.strip(" \t,") or (place.separator.strip() == "," and not place.quote):
        return None
    start, end = _quoted_span(place) if place.quote else _plain_span(place)
    return (start, end) if is_random(place.text[start : end if end - start < 300 else start]) else None


def _plain_span(place: Place) -> Span:
    """Return what stands there without quotes, as far as it is needed to decide about it."""
    found = _UNQUOTED.match(place.text, place.at, place.at + _DECIDED_ON)
    if found is None:
        return place.at, place.at
    return place.at, place.at + len(found[0].rstrip(".:!?") or found[0])


def _extend(place: Place, end: int) -> int:
    """Return where the unquoted value ends of which no more than the first part was read."""
    if end - place.at < _DECIDED_ON - 64:
        return end
    found = _UNQUOTED.match(place.text, place.at)
    return found.end() if found else end


def _find_plain(place: Place) -> Span | None:
    text = place.text
    start, end = _plain_span(place)
    if text.startswith("[redacted:", start) or start == end or is_source(text, place.name_at):
        return None
    value = text[start:end]
    if is_placeholder(value) or is_ordinary_word(value) or is_code(place, value, text[end : end + 1]):
        return None
    if place.kind is Kind.PERSONAL:
        return _find_personal(place, value, (start, end))
    if is_directory(place.name, value):
        return None
    if value.isdigit() and place.words.endswith(("token", "tokens", "pass", "key", "auth", "cookie", "cred")):
        return (start, end) if len(value) >= 6 and not place.words.endswith("s") else None
    return (start, _extend(place, end)) if is_told(place, value) else None


def _find_personal(place: Place, value: str, span: Span) -> Span | None:
    """Return numbers (of telephones, accounts, days of birth) with the spaces in them; what is words may be prose."""
    if not any(c.isdigit() for c in value) or "addr" in place.words or "ip" in place.words:
        is_told = place.is_tight and "=" in place.separator and "addr" not in place.words and "_" not in value
        return span if is_told else None
    numbers = _NUMBERS.match(place.text, place.at)
    return (span[0], max(span[1], span[0] + len(numbers[0].rstrip(" (.-/")))) if numbers else span
