"""Values come back exactly as they went in, or are refused with the path to what cannot be stored."""

import contextlib
import math
import subprocess
import sys
from collections import OrderedDict, defaultdict
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from triggers_nb.core.codec import EMPTY_MAP, MAX_DEPTH, NIL, decode_value, encode_mapping, encode_value
from triggers_nb.errors import InvalidValue, StorageError

ZONES = sorted(available_timezones())[::30]


def exact(value: Any) -> Any:
    """Something equal only for values that are the same in every respect that a program can see."""
    if isinstance(value, dict):
        return dict, [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, list):
        return list, [exact(item) for item in value]
    if isinstance(value, set | frozenset):
        return type(value), frozenset(map(exact, value))
    if isinstance(value, float):
        return float, value.hex()
    if isinstance(value, datetime | time):
        plain = value.replace(tzinfo=None, fold=0)
        return type(value), plain, value.fold, exact_zone(value.tzinfo)
    if isinstance(value, Decimal):
        return Decimal, value.as_tuple()
    return type(value), value


def exact_zone(zone: tzinfo | None) -> Any:
    if isinstance(zone, ZoneInfo):
        return ZoneInfo, zone.key
    if isinstance(zone, timezone):
        return timezone, zone.utcoffset(None), zone.tzname(None)
    return zone


texts = st.text(st.characters(exclude_categories=["Cs"]))
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23))
zones = st.one_of(
    st.none(),
    st.just(UTC),
    st.sampled_from(ZONES).map(ZoneInfo),
    st.builds(timezone, offsets),
    st.builds(timezone, offsets, texts),
)
folds = st.integers(0, 1)
datetimes = st.builds(lambda moment, fold, zone: moment.replace(fold=fold, tzinfo=zone), st.datetimes(), folds, zones)
times = st.builds(lambda moment, fold, zone: moment.replace(fold=fold, tzinfo=zone), st.times(), folds, zones)
integers = st.one_of(
    st.integers(),
    st.integers(-(2**200), 2**200),
    st.sampled_from([-(2**63) - 1, -(2**63), 2**63 - 1, 2**63, 2**64 - 1, 2**64]),
)
hashables = st.recursive(
    st.one_of(
        st.none(), st.booleans(), integers, st.floats(allow_nan=False, allow_infinity=False), texts, st.binary(),
        datetimes, st.dates(), times, st.timedeltas(), st.uuids(),
        st.decimals(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.frozensets(inner, max_size=4),
    max_leaves=6,
)  # fmt: skip
values = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4), st.sets(hashables, max_size=4)
    ),
    max_leaves=12,
)


@given(value=values)
@example(value=datetime(2013, 11, 3, 1, 30, fold=1, tzinfo=UTC))
@example(value=datetime(2013, 11, 3, 1, 30, fold=1, tzinfo=ZoneInfo("America/New_York")))
@example(value=[datetime.min, datetime.max, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
@example(value=[date.min, date.max, time.min, time.max, timedelta.min, timedelta.max])
@example(value=datetime(2013, 2, 8, tzinfo=ZoneInfo("UTC")))
@example(value=[True, 1, 1.0, -0.0, 0.0, 5e-324, math.nextafter(math.inf, 0)])
@example(value=[Decimal("-0"), Decimal("1E+3"), Decimal("1.000"), Decimal("1e-999")])
@example(value={"": {"": []}, "\0": "\U0010ffff", "a": {frozenset({frozenset()}), b"\xff"}})
def test_a_value_comes_back_exactly_as_it_went_in(value: Any) -> None:
    assert exact(decode_value(encode_value(value))) == exact(value)


@given(value=values)
def test_the_same_value_has_the_same_bytes_each_time(value: Any) -> None:
    assert encode_value(decode_value(encode_value(value))) == encode_value(value)


@given(value=values.filter(lambda value: isinstance(value, dict | list | set)))
def test_what_comes_back_shares_nothing(value: Any) -> None:
    data = encode_value(value)
    first, second = decode_value(data), decode_value(data)
    first.clear()
    assert exact(second) == exact(value)


@pytest.mark.parametrize("mapping", [OrderedDict(a=1), defaultdict(int, a=1), MappingProxyType({"a": 1})])
def test_a_mapping_becomes_a_dict(mapping: Any) -> None:
    assert exact(decode_value(encode_mapping(mapping, "kwargs"))) == exact({"a": 1})


def test_no_mapping_means_an_empty_one() -> None:
    assert encode_mapping(None, "kwargs") == EMPTY_MAP == encode_value({})
    assert encode_value(None) == NIL


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_a_value_may_nest_as_deep_as_the_limit_says() -> None:
    value = nested(MAX_DEPTH)
    assert decode_value(encode_value(value)) == value


CYCLE: dict[str, Any] = {}
CYCLE["again"] = [CYCLE]
CYCLIC_LIST: list[Any] = []
CYCLIC_LIST.append(CYCLIC_LIST)


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Text(str):
    pass


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"plane": [1, (2, 3)]}, "kwargs['plane'][1]"),
        ({"a": {"b": [0, {"c": math.nan}]}}, "kwargs['a']['b'][1]['c']"),
        ({"a": math.inf}, "kwargs['a']"),
        ({"a": -math.inf}, "kwargs['a']"),
        ({"a": Decimal("NaN")}, "kwargs['a']"),
        ({"a": Decimal("sNaN")}, "kwargs['a']"),
        ({"a": Decimal("-Infinity")}, "kwargs['a']"),
        ({1: "a"}, "kwargs[1]"),
        ({"a": {None: 1}}, "kwargs['a'][None]"),
        ({"a": {(1, 2): 1}}, "kwargs['a'][(1, 2)]"),
        ({"a": {b"key": 1}}, "kwargs['a'][b'key']"),
        ({"a": {Text("key"): 1}}, "kwargs['a']['key']"),
        ({"a": {Unshowable(): 1}}, "kwargs['a']"),
        ({"a": object()}, "kwargs['a']"),
        ({"a": Unshowable()}, "kwargs['a']"),
        ({"a": {Unshowable()}}, "kwargs['a']"),
        ({"a": {1, (2,)}}, "kwargs['a']{…}"),
        ({"a": 1j}, "kwargs['a']"),
        ({"a": bytearray(b"x")}, "kwargs['a']"),
        ({"a": memoryview(b"x")}, "kwargs['a']"),
        ({"a": range(3)}, "kwargs['a']"),
        ({"a": iter([])}, "kwargs['a']"),
        ({"a": int}, "kwargs['a']"),
        ({"a": "\ud800"}, "kwargs['a']"),
        ({"a": ["ok", "x\udfffy"]}, "kwargs['a'][1]"),
        ({"\ud800": 1}, "kwargs key"),
        ({"a": {"\ud800"}}, "kwargs['a']"),
        ({"a": np.array([1, 2])}, "kwargs['a']"),
        ({"a": np.array(5)}, "kwargs['a']"),
        ({"a": np.array(None)}, "kwargs['a']"),
        ({"a": np.float64("nan")}, "kwargs['a']"),
        ({"a": np.float32("inf")}, "kwargs['a']"),
        ({"a": np.complex128(1j)}, "kwargs['a']"),
        ({"a": np.datetime64("NaT")}, "kwargs['a']"),
        ({"a": np.timedelta64("NaT")}, "kwargs['a']"),
        ({"a": np.datetime64("2013-02-08T12:00:00.000000001", "ns")}, "kwargs['a']"),
        ({"a": np.timedelta64(1, "ns")}, "kwargs['a']"),
        ({"a": np.zeros(1, dtype="i4,i4")[0]}, "kwargs['a']"),
        ({"a": np.longdouble(1)}, "kwargs['a']"),
        ({"a": np.timedelta64(1, "Y")}, "kwargs['a']"),
        ({"a": np.datetime64("20000-01-01", "s")}, "kwargs['a']"),
        ({"a": pd.NaT}, "kwargs['a']"),
        ({"a": pd.NA}, "kwargs['a']"),
        ({"a": pd.Series([1])}, "kwargs['a']"),
        ({"a": pd.DataFrame()}, "kwargs['a']"),
        ({"a": pd.Timestamp("2013-02-08T12:00:00.000000001")}, "kwargs['a']"),
        ({"a": pd.Timedelta(1, "ns")}, "kwargs['a']"),
        ({"a": pd.Timedelta("NaT")}, "kwargs['a']"),
        ({"a": pd.Timedelta(np.timedelta64(10**14, "s"))}, "kwargs['a']"),
        ({"a": {"b": CYCLE}}, "kwargs['a']['b']['again'][0]['again'][0]"),
        ({"a": CYCLIC_LIST}, "kwargs['a'][0][0][0]"),
        (nested(MAX_DEPTH + 1), "kwargs['a']['a']"),
        (datetime(2013, 2, 8, tzinfo=timezone(timedelta(hours=1), "\ud800")), "kwargs"),
    ],
)
def test_what_cannot_be_stored_is_refused_with_the_path_to_it(value: Any, path: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        encode_value(value, "kwargs")
    assert caught.value.path.startswith(path)
    assert str(caught.value).startswith(path)
    assert "expected" in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert isinstance(caught.value, ValueError)


def test_a_refused_decimal_is_shown_as_it_is() -> None:
    with pytest.raises(InvalidValue, match=r"Decimal\('NaN'\)"):
        encode_value(Decimal("NaN"))


class Zone(tzinfo):
    def utcoffset(self, when: datetime | None) -> timedelta:
        return timedelta(hours=1)

    def dst(self, when: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, when: datetime | None) -> str:
        return "own"


def test_a_zone_that_cannot_be_named_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"kwargs\['at'\].*zoneinfo"):
        encode_value({"at": datetime(2013, 2, 8, tzinfo=Zone())}, "kwargs")


@pytest.mark.parametrize("value", [5, "text", [("a", 1)], {"a"}, object()])
def test_kwargs_are_a_mapping(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"trigger_kwargs.*mapping"):
        encode_mapping(value, "trigger_kwargs")


@pytest.mark.parametrize(
    ("scalar", "plain"),
    [
        (np.int8(-5), -5),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.str_("text"), "text"),
        (np.bytes_(b"text"), b"text"),
        (np.datetime64("2013-02-08T12:00", "s"), datetime(2013, 2, 8, 12)),
        (np.datetime64("2013-02-08T12:00:00.000001", "us"), datetime(2013, 2, 8, 12, 0, 0, 1)),
        (np.datetime64("2013-02-08", "D"), date(2013, 2, 8)),
        (np.datetime64("2013-02-08T12:00", "ns"), datetime(2013, 2, 8, 12)),
        (np.timedelta64(90, "s"), timedelta(seconds=90)),
        (np.timedelta64(90_000, "ns"), timedelta(microseconds=90)),
        (pd.Timestamp("2013-02-08 12:00"), datetime(2013, 2, 8, 12)),
        (pd.Timestamp("2013-02-08 12:00", tz="UTC"), datetime(2013, 2, 8, 12, tzinfo=UTC)),
        (pd.Timedelta(days=-1, microseconds=5), timedelta(days=-1, microseconds=5)),
        (pd.Series([timedelta(minutes=90)]).iloc[0], timedelta(minutes=90)),
        (
            pd.Timestamp("2013-11-03 06:30", tz="UTC").tz_convert("America/New_York"),
            datetime(2013, 11, 3, 1, 30, fold=1, tzinfo=ZoneInfo("America/New_York")),
        ),
        (np.array([7])[0], 7),
        (pd.Series([1.5]).iloc[0], 1.5),
    ],
)
def test_scalars_of_numpy_and_pandas_become_pythons_own(scalar: Any, plain: Any) -> None:
    assert exact(decode_value(encode_value({"a": [scalar]}))) == exact({"a": [plain]})


def test_the_codec_imports_neither_numpy_nor_pandas() -> None:
    code = (
        "import sys; from triggers_nb.core.codec import encode_value, decode_value;"
        "decode_value(encode_value({'a': [1, {2}]}));"
        "print([name for name in ('numpy', 'pandas') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\x81\xa1a",
        msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"\xc0")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(1, msgspec.msgpack.encode(["2013-13-45", 0, None]))),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(1, msgspec.msgpack.encode(["2013-02-08", 0, "Nowhere/Land"]))),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(1, msgspec.msgpack.encode("2013-02-08"))),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(4, msgspec.msgpack.encode([10**12, 0, 0]))),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(5, msgspec.msgpack.encode("no number"))),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(6, b"short")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(7, msgspec.msgpack.encode([[1]]))),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(9, msgspec.msgpack.encode("xyz"))),
    ],
)
def test_damaged_bytes_are_an_error_of_the_storage(data: bytes) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        decode_value(data)


@given(data=st.binary(max_size=60))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(StorageError):
        decode_value(data)


def test_damaged_bytes_that_nest_without_end_are_an_error_of_the_storage() -> None:
    with pytest.raises(StorageError):
        decode_value(b"\x91" * 100_000 + b"\xc0")


def test_uuids_and_decimals_of_a_dict_keep_their_places() -> None:
    value = {"z": UUID(int=1), "a": [Decimal("1.10"), {date(2013, 2, 8)}]}
    assert list(decode_value(encode_value(value))) == ["z", "a"]
