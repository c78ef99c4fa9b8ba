"""Redaction of nested values: a deep copy with the structure kept, whatever the values are."""

from __future__ import annotations

import datetime
import enum
import hashlib
import numbers
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from triggers_nb.redaction.keys import Kind, SensitiveKeys
from triggers_nb.redaction.markers import MARKER, encode
from triggers_nb.redaction.ordinary import is_directory
from triggers_nb.redaction.tokens import is_card

#: What is nested deeper than this becomes one marker.
DEEPEST = 100
_SCALARS = (
    numbers.Number, datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, uuid.UUID, enum.Enum,
    type(None), type(Ellipsis),
)  # fmt: skip
_SCHEME = re.compile(r"(?i:basic|bearer|token)\s+(?=\S)")
#: Triggers and tasks have such names: `{"send_email": {…}}` holds kwargs, not an address.
_DOES = re.compile(
    r"(?i:send|verify|validate|check|update|notify|create|delete|fetch|get|load|reset|confirm|charge|process|export"
    r"|import|queue|deliver|parse)(?:[_-]|(?=[A-Z]))"
)
_PENDING = object()


class Copier:
    """One walk through a value; every container is copied once, however often it is in there.

    Parameters
    ----------
    text : callable
        Redacts a text.
    keys : SensitiveKeys
        Which names are hidden.
    mark : callable
        Returns the marker for bytes.
    """

    def __init__(self, text: Callable[[str], str], keys: SensitiveKeys, mark: Callable[[bytes], str]) -> None:
        self._text, self._keys, self._mark = text, keys, mark
        self._copies: dict[int, Any] = {}

    def copy(self, obj: Any, name: str | None = None, depth: int = 0) -> Any:
        """Return the redacted copy of `obj`, which stands under `name`, `depth` containers deep."""
        if obj is None or obj is True or obj is False:
            return obj
        kind = self._keys.kind(name) if name else None
        if name and kind is not None and _is_hidden(obj, name, kind):
            return self._hide(obj)
        if isinstance(obj, str):
            plain = str.__str__(obj)
            redacted = self._text(plain)
            return obj if redacted == plain else redacted
        if type(obj) is int:
            return self._mark(digest(obj)) if 10**12 < obj < 10**19 and is_card(str(obj)) else obj
        if isinstance(obj, _SCALARS):
            return obj
        if isinstance(obj, bytes | bytearray):
            redacted = self._text(obj.decode("utf-8", "surrogateescape"))
            return type(obj)(redacted.encode("utf-8", "surrogateescape"))
        return self._copy_once(obj, depth)

    def _hide(self, obj: Any) -> str:
        if isinstance(obj, str):
            secret = _strip_scheme(str.__str__(obj))
            return secret if MARKER.fullmatch(secret) else self._mark(encode(secret))
        return self._mark(digest(obj))

    def _copy_once(self, obj: Any, depth: int) -> Any:
        known = self._copies.get(id(obj))
        if known is _PENDING or depth >= DEEPEST:
            return self._mark(b"\0nested too deep")
        if known is None:
            self._copies[id(obj)] = _PENDING
            known = self._copies[id(obj)] = self._copy_container(obj, depth + 1)
        return known

    def _copy_container(self, obj: Any, depth: int) -> Any:
        if isinstance(obj, Mapping):
            try:
                pairs = list(obj.items())
            except Exception:
                return self._text(describe(obj))
            return self._copy_pairs(pairs, depth)
        if isinstance(obj, list | tuple):
            return _rebuild(obj, self._copy_items(list(obj), depth))
        if isinstance(obj, set | frozenset):
            return _rebuild(obj, [self.copy(item, None, depth) for item in set(obj)])
        return self._text(describe(obj))

    def _copy_pairs(self, pairs: Iterable[tuple[Any, Any]], depth: int) -> dict[Any, Any]:
        copied: dict[Any, Any] = {}
        described = self._described_name(dict(pairs))
        for key, item in pairs:
            new_key = self.copy(key, None, depth)
            # The redacted name counts first: it is all that the next run sees.
            name = _as_name(new_key) if self._keys.kind(_as_name(new_key) or "") else _as_name(key)
            copied[new_key] = self.copy(item, described if key == "value" and described else name, depth)
        return copied

    def _described_name(self, item: Mapping[Any, Any]) -> str | None:
        """Return the name in an item such as `{"name": "DB_PASSWORD", "value": "…"}`."""
        name = _as_name(item.get("name") or item.get("key")) if "value" in item and len(item) <= 4 else None
        return name if name and self._keys.is_name(name) else None

    def _copy_items(self, items: list[Any], depth: int) -> list[Any]:
        copied = [self.copy(item, None, depth) for item in items]
        if len(items) == 2 and isinstance(items[1], str | bytes) and self._is_pair(_as_name(items[0]), items[1]):
            copied[1] = self.copy(items[1], _as_name(items[0]), depth)
        return copied

    def _is_pair(self, name: str | None, item: str | bytes) -> bool:
        """Say whether this is a header or a variable in a list of pairs; two names are two names."""
        if not name or name == "auth" or not self._keys.is_name(name) or self._keys.is_name(_as_name(item) or ""):
            return False
        return self._keys.kind(name) is not Kind.PERSONAL


def _is_hidden(obj: Any, name: str, kind: Kind) -> bool:
    if isinstance(obj, str | bytes | bytearray | Mapping | list | tuple | set | frozenset) and not len(obj):
        return False
    if isinstance(obj, str):
        return not is_directory(name, obj)
    if isinstance(obj, Mapping):
        return kind is not Kind.PERSONAL or not _DOES.match(name)
    if name.lower() == "pass" or name.lower().endswith("tokens"):  # how many passed, how many there are
        return not all(isinstance(item, numbers.Number) for item in (obj if isinstance(obj, list | tuple) else [obj]))
    return True


def _as_name(key: Any) -> str | None:
    if isinstance(key, bytes):
        return key.decode("latin-1")
    return key if isinstance(key, str) else None


def _strip_scheme(text: str) -> str:
    scheme = _SCHEME.match(text)
    return text[scheme.end() :] if scheme else text


def _rebuild(obj: Any, items: list[Any]) -> Any:
    """Return `items` in a container like `obj`; no constructor of a subclass is called."""
    for kind in (list, set, frozenset):
        if isinstance(obj, kind):
            return kind(items)
    try:
        return tuple.__new__(type(obj), items)
    except TypeError:  # types of C modules, such as struct_time
        return tuple(items)


def describe(obj: Any) -> str:
    """Return the repr of `obj`, whatever its class makes of that."""
    try:
        return str.__str__(repr(obj))
    except Exception:
        return f"<{type(obj).__name__}>"


def digest(obj: Any) -> bytes:
    """Return bytes that are equal for equal values: the order of dicts and sets, and 1 or 1.0, make no difference."""
    return _digest(obj, {}, 0)


def _digest(obj: Any, known: dict[int, bytes], depth: int) -> bytes:
    if isinstance(obj, str):
        return encode(str.__str__(obj))
    if isinstance(obj, bytes | bytearray):
        return bytes(obj)
    if isinstance(obj, int | float):
        return _digest_number(obj)
    if not isinstance(obj, Mapping | list | tuple | set | frozenset):
        return encode(str(obj) if isinstance(obj, _SCALARS) else describe(obj))
    if id(obj) not in known:
        known[id(obj)] = b"\0nested too deep"  # stays for a container that is in itself
        if depth < DEEPEST:
            known[id(obj)] = _digest_container(obj, known, depth + 1)
    return known[id(obj)]


def _digest_number(number: float) -> bytes:
    if isinstance(number, float) and not number.is_integer():
        return repr(float(number)).encode()
    whole = int(number)
    return (str(whole) if abs(whole) < 10**300 else hex(whole)).encode()


def _digest_container(obj: Any, known: dict[int, bytes], depth: int) -> bytes:
    kind = b"\0sequence"
    if isinstance(obj, Mapping):
        kind = b"\0mapping"
        try:
            pairs = list(obj.items())
        except Exception:
            return encode(describe(obj))
        parts = sorted(_join([_digest(key, known, depth), _digest(item, known, depth)]) for key, item in pairs)
    else:
        parts = [_digest(item, known, depth) for item in obj]
        if isinstance(obj, set | frozenset):
            kind, parts = b"\0set", sorted(parts)
    return kind + hashlib.blake2b(_join(parts), digest_size=16).digest()


def _join(parts: Iterable[bytes]) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)
