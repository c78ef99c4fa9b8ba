"""The marker that stands for a redacted value, and how to find one again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

#: Where in a text something is to be replaced: start and end, as for a slice.
Span = tuple[int, int]

MARKER = re.compile(r"\[redacted:[0-9a-f]{12}\]")
_IDENTIFIER = re.compile(r"[^\W\d]\w*\Z")


def make_marker(digest_key: bytes, value: bytes) -> str:
    """Return the marker for `value`; equal values have equal markers under equal keys."""
    return f"[redacted:{hashlib.blake2b(value, key=digest_key, digest_size=6).hexdigest()}]"


def encode(text: str) -> bytes:
    """Return `text` as bytes, whatever is in it, lone surrogates included."""
    return text.encode("utf-8", "surrogatepass")


def merge(text: str, spans: Iterable[Span]) -> list[Span]:
    """Return `spans` sorted and joined where they overlap; markers in `text` are never cut, and alone never taken."""
    markers = [m.span() for m in MARKER.finditer(text)] if "[redacted:" in text else []
    found: list[Span] = []
    for start, end in sorted([*spans, *markers]):
        if found and start < found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif start < end:
            found.append((start, end))
    alone = set(markers)
    return [span for span in found if span not in alone]


def contains_marker(obj: object) -> str | None:
    """Return the path of the first redaction marker in `obj`, or None if there is none.

    Looks through mappings (keys, too), lists, tuples, sets, text and bytes. A change that contains a marker would
    write the marker over the value that it stands for; the path says where to put the real value.

    Examples
    --------
    >>> contains_marker({"scheduled": {"seats": [1, "[redacted:0123456789ab]"]}})
    '$.scheduled.seats[1]'
    >>> contains_marker({"scheduled": {"seats": [1, 2]}}) is None
    True
    """
    pending: list[tuple[str, object]] = [("$", obj)]
    seen: set[int] = set()
    while pending:
        path, item = pending.pop()
        if isinstance(item, str | bytes | bytearray):
            if _is_marked(item):
                return path
        elif isinstance(item, Mapping | list | tuple | set | frozenset) and id(item) not in seen:
            seen.add(id(item))
            pending += reversed(_children(path, item))
    return None


def _children(path: str, item: Mapping[object, object] | Iterable[object]) -> list[tuple[str, object]]:
    if not isinstance(item, Mapping):
        return [(f"{path}[{index}]", child) for index, child in enumerate(item)]
    found: list[tuple[str, object]] = []
    for key, child in item.items():
        below = path + _step(key)
        found += [(below, key), (below, child)]
    return found


def _step(key: object) -> str:
    if isinstance(key, str) and _IDENTIFIER.match(key):
        return f".{key}"
    return f"[{key!r}]" if isinstance(key, str | bytes | int) else f"[{type(key).__name__}]"


def _is_marked(item: str | bytes | bytearray) -> bool:
    text = item if isinstance(item, str) else bytes(item).decode("latin-1")
    return "[redacted:" in text and MARKER.search(text) is not None
