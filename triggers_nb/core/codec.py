"""Values as bytes: what JSON can hold, plus dates, decimals, UUIDs, bytes and sets, exactly as they went in.

msgpack, with one extension type for everything that msgpack does not know. Nothing is ever unpickled or evaluated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec.msgpack import Ext

from triggers_nb.errors import InvalidValue, StorageError, shown

F = TypeVar("F", float, Decimal)

#: How deep a value may nest.
MAX_DEPTH: Final = 100
#: How large a whole number may be: Python shows, and JSON writes, no larger one.
MAX_BITS: Final = 14_000

_EXPECTED: Final = (
    "expected what JSON can hold (dict with string keys, list, str, int, finite float, bool, None), "
    "datetime, date, time, timedelta, Decimal, UUID, bytes or set"
)

_encoder = msgspec.msgpack.Encoder()
_encode = _encoder.encode

DATETIME, DATE, TIME, TIMEDELTA, DECIMAL, UID, SET, FROZENSET, BIGINT = range(1, 10)

#: What decoding raises if bytes are damaged.
DAMAGE: Final = (msgspec.DecodeError, ValueError, ArithmeticError, LookupError, TypeError, RecursionError)

EMPTY_MAP: Final = b"\x80"
NIL: Final = b"\xc0"


def encode_value(value: object, path: str = "value", depth: int = 0) -> bytes:
    """Encode a value.

    Parameters
    ----------
    value : object
        What is to be stored. It is copied: changing it later changes nothing stored.
    path : str
        How to call it in an error.
    depth : int
        At which level it will stand; -1 for a mapping of values that were encoded on their own.

    Raises
    ------
    InvalidValue
        If something in it cannot be stored; the message has the path to it.

    Examples
    --------
    >>> decode_value(encode_value({"seats": 178, "on": date(2013, 2, 8)}))
    {'seats': 178, 'on': datetime.date(2013, 2, 8)}
    """
    return _encode(_plain(value, path, depth))


def encode_mapping(value: object, path: str, depth: int = 0) -> bytes:
    """Encode a mapping with string keys; None counts as an empty one.

    Raises
    ------
    InvalidValue
        If it is no mapping or holds something that cannot be stored.
    """
    if value is None:
        return EMPTY_MAP
    if not isinstance(value, dict):
        if not (hasattr(value, "keys") and hasattr(value, "__getitem__")):
            raise InvalidValue(path, value, "expected a mapping with string keys")
        value = dict(value)
    return encode_value(value, path, depth)


def decode_value(data: bytes | memoryview | msgspec.Raw) -> Any:
    """Decode what `encode_value` made.

    Raises
    ------
    StorageError
        If the bytes are damaged or come from a newer version.
    """
    try:
        return _decode(data)
    except DAMAGE as error:
        raise StorageError(f"a stored value cannot be read: {error}") from error


def _plain(value: Any, path: str, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else checked_text(value, path)
    if kind is dict:
        return _plain_dict(value, path, depth)
    if value is None or kind is bool:
        return value
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _big(value, path)
    if kind is float:
        return _finite(value, path)
    if kind is list:
        _check_depth(value, path, depth)
        return [_plain(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(value)]
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(value, path, depth)
    return _unusual(value, path, depth)


def _plain_dict(value: dict[Any, Any], path: str, depth: int) -> dict[str, Any]:
    _check_depth(value, path, depth)
    plain = {}
    for key, item in value.items():
        if type(key) is not str:
            raise InvalidValue(f"{path}[{shown(key)}]", key, "expected a string as key")
        if not key.isascii():
            checked_text(key, f"{path} key")
        # The commonest kinds are passed through without building the path to them.
        kind = type(item)
        if (
            (kind is str and item.isascii())
            or (kind is int and -(2**63) <= item < 2**64)
            or item is None
            or kind is bool
        ):
            plain[key] = item
        else:
            plain[key] = _plain(item, f"{path}[{key!r}]", depth + 1)
    return plain


def _check_depth(value: object, path: str, depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise InvalidValue(path[:200] + "…", type(value), f"expected at most {MAX_DEPTH} levels (is it a cycle?)")


def checked_text(value: str, path: str) -> str:
    """Raise `InvalidValue` if a text cannot be stored."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidValue(path, value, "expected text that UTF-8 can encode (it has a lone surrogate)") from None
    return value


def _big(value: int, path: str) -> Ext:
    if value.bit_length() > MAX_BITS:
        raise InvalidValue(path, type(value), f"expected a number of at most {MAX_BITS:,} bits")
    return _ext(BIGINT, hex(value))


def _finite(value: F, path: str) -> F:
    if not (value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)):
        raise InvalidValue(path, value, "expected a finite number; use None for what is missing")
    return value


def _unusual(value: Any, path: str, depth: int) -> Any:
    """Subclasses, and the scalars of numpy and pandas, which are recognised without importing either."""
    module = type(value).__module__.partition(".")[0]
    if module == "numpy" and any(base.__name__ == "generic" for base in type(value).__mro__):
        plain = _python_scalar(value)
        if plain is not value:
            return _plain(plain, path, depth)
    if module == "pandas" and isinstance(value, datetime) and value == value and hasattr(value, "to_pydatetime"):
        if getattr(value, "nanosecond", 0):
            raise InvalidValue(path, value, "expected at most microseconds")
        return _plain(value.to_pydatetime(), path, depth)
    if module == "pandas" and isinstance(value, timedelta) and value == value and hasattr(value, "to_pytimedelta"):
        return _plain(_python_timedelta(value, path), path, depth)
    if isinstance(value, dict):
        return _plain_dict(value, path, depth)
    raise InvalidValue(path, value, _EXPECTED)


def _python_timedelta(value: Any, path: str) -> timedelta:
    """Python's own value of a pandas.Timedelta."""
    try:
        if not value.nanoseconds:
            plain: timedelta = value.to_pytimedelta()
            return plain
    except (ValueError, OverflowError):  # longer than Python's can be
        pass
    raise InvalidValue(path, value, "expected what a datetime.timedelta can hold: at most microseconds")


def _python_scalar(value: Any) -> Any:
    """Python's own value of a numpy scalar; the scalar itself if there is none that says the same."""
    if str(value.dtype) in ("datetime64[ns]", "timedelta64[ns]"):
        coarse = value.astype(str(value.dtype).replace("ns", "us"))
        plain = coarse.item() if coarse == value else None
    else:
        plain = value.item()
    if value.dtype.kind in "mM":
        return plain if isinstance(plain, date | timedelta) else value
    return value if type(plain).__module__.partition(".")[0] == "numpy" else plain


def _ext(code: int, value: object) -> Ext:
    return Ext(code, _encode(value))


def _plain_datetime(value: datetime, path: str, depth: int) -> Any:
    if value.tzinfo is UTC and not value.fold:
        return value
    return Ext(DATETIME, _encode([value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo, path)]))


def _zone(zone: tzinfo | None, path: str) -> object:
    """Name a time zone: None (naive), a key, or an offset in microseconds with its name."""
    if zone is None:
        return None
    if isinstance(zone, ZoneInfo) and zone.key:
        return zone.key
    if isinstance(zone, timezone):
        offset = zone.utcoffset(None) // timedelta(microseconds=1)
        name = checked_text(zone.tzname(None), path)
        return [offset, None if name == timezone(zone.utcoffset(None)).tzname(None) else name]
    raise InvalidValue(path, zone, "expected a time zone from zoneinfo or datetime.timezone")


def _plain_set(value: Iterable[Any], path: str, code: int, depth: int) -> Ext:
    _check_depth(value, path, depth)
    items = sorted(_encode(_plain(item, f"{path}{{…}}", depth + 1)) for item in value)
    return Ext(code, _encode([msgspec.Raw(item) for item in items]))


_SPECIAL: Final[dict[type, Callable[[Any, str, int], Any]]] = {
    datetime: _plain_datetime,
    date: lambda value, path, depth: _ext(DATE, value.isoformat()),
    time: lambda value, path, depth: _ext(
        TIME, [value.replace(tzinfo=None).isoformat(), value.fold, _zone(value.tzinfo, path)]
    ),
    timedelta: lambda value, path, depth: _ext(TIMEDELTA, [value.days, value.seconds, value.microseconds]),
    Decimal: lambda value, path, depth: _ext(DECIMAL, str(_finite(value, path))),
    UUID: lambda value, path, depth: Ext(UID, value.bytes),
    bytes: lambda value, path, depth: value,
    set: lambda value, path, depth: _plain_set(value, path, SET, depth),
    frozenset: lambda value, path, depth: _plain_set(value, path, FROZENSET, depth),
}


def _with_zone(moment: Any, zone: object) -> Any:
    if zone is None:
        return moment
    if isinstance(zone, str):
        return moment.replace(tzinfo=ZoneInfo(zone))
    assert isinstance(zone, list)
    offset, name = zone
    delta = timedelta(microseconds=offset)
    return moment.replace(tzinfo=timezone(delta) if name is None else timezone(delta, name))


def _big_number(text: str) -> int:
    number = int(text, 16)
    if number.bit_length() > MAX_BITS:
        raise ValueError(f"a number of {number.bit_length():,} bits, expected at most {MAX_BITS:,}")
    return number


def _unpack(code: int, data: memoryview) -> Any:
    if code == UID:
        return UUID(bytes=bytes(data))
    value = _decode(data)
    if code == DATETIME:
        text, fold, zone = value
        return _with_zone(datetime.fromisoformat(text).replace(fold=fold), zone)
    if code == DATE:
        return date.fromisoformat(value)
    if code == TIME:
        text, fold, zone = value
        return _with_zone(time.fromisoformat(text).replace(fold=fold), zone)
    if code == TIMEDELTA:
        return timedelta(value[0], value[1], value[2])
    if code == DECIMAL:
        return Decimal(value)
    if code == SET:
        return set(value)
    if code == FROZENSET:
        return frozenset(value)
    if code == BIGINT:
        return _big_number(value)
    raise ValueError(f"extension type {code} is unknown: written by a newer version?")


_decode = msgspec.msgpack.Decoder(ext_hook=_unpack).decode
