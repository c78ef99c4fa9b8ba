"""Cells hold what was put into them, and say so when they cannot be read."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.core import records as rec
from triggers_nb.core.codec import encode_value
from triggers_nb.core.events import decode_event
from triggers_nb.core.records import (
    ConfigRecord,
    Group,
    HeadRecord,
    InstanceRecord,
    LatestRecord,
    Raw,
    TaskRecord,
    TriggerRecord,
)
from triggers_nb.core.status import STATUSES
from triggers_nb.errors import StorageError

STAMPS = rec.new_stamps(1_000_000, 0)
MAP = Raw(encode_value({"a": 1}))
RECORDS = {
    "head": HeadRecord(1, "default", 5, None, MAP),
    "c:t": ConfigRecord("app.Task", ("a", "b"), "b", ("x",), None, MAP, MAP),
    "g:a": TriggerRecord(("c:t", "t:t"), ("t",)),
    "t:t": TaskRecord(("i:t#0",), 2, (Group(("a",), (), (0, 1, 3, 5)),)),
    "k:a": LatestRecord(MAP, 3, 5),
    "i:t#0": InstanceRecord("t", 0, 4, STAMPS, "t#1", 2, 1, 40, True, "E", "m", ("x",), b"tok", {"a": MAP}, {"b": MAP}),
}


@pytest.mark.parametrize("cell", RECORDS)
def test_a_record_comes_back(cell: str) -> None:
    assert rec.decode_record(cell, rec.encode_record(RECORDS[cell])) == RECORDS[cell]


@pytest.mark.parametrize("cell", [*RECORDS, "z:unknown"])
@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01", b"\xa4text"])
def test_a_damaged_cell_is_an_error_that_names_it(cell: str, data: bytes) -> None:
    with pytest.raises(StorageError, match=f"cell '{cell}' cannot be read"):
        rec.decode_record(cell, data)


def test_a_newer_layout_is_refused() -> None:
    newer = rec.encode_record(HeadRecord(rec.SCHEMA_VERSION + 1, None, 5, None))
    with pytest.raises(StorageError, match=r"newer version.*upgrade"):
        rec.decode_record("head", newer)


def test_links_are_read_without_the_rest() -> None:
    assert rec.links_of("g:a", rec.encode_record(RECORDS["g:a"])) == ("c:t", "t:t")
    assert rec.links_of("t:t", rec.encode_record(RECORDS["t:t"])) == ("i:t#0",)
    assert rec.links_of("i:t#0", rec.encode_record(RECORDS["i:t#0"])) == ()


@pytest.mark.parametrize("n", [0, 1, 300])
def test_many_instances_are_read_at_once(n: int) -> None:
    cells = [rec.encode_record(InstanceRecord("t", index, 3, STAMPS)) for index in range(n)]
    assert [(row.task, row.index, row.status) for row in rec.decode_rows(cells)] == [("t", i, 3) for i in range(n)]


def test_rows_hold_what_comes_before_the_payloads() -> None:
    (row,) = rec.decode_rows([rec.encode_record(RECORDS["i:t#0"])])
    assert not hasattr(row, "kwargs")
    assert (row.parent, row.depth, row.retries, row.log_level, row.exception_type) == ("t#1", 2, 1, 40, "E")


def test_damaged_rows_are_an_error() -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        rec.decode_rows([b"\x93\x01"])


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("t#0", ("t", 0)),
        ("t#10", ("t", 10)),
        ("a#b#3", ("a#b", 3)),
        ("é ü#1", ("é ü", 1)),
        ("t#01", None),
        ("t#-1", None),
        ("t#", None),
        ("t", None),
        ("", None),
        ("t#1.0", None),
        ("t#²", None),
        ("t#١", None),
    ],
)
def test_names_of_instances(name: str, parts: tuple[str, int] | None) -> None:
    assert rec.split_instance_name(name) == parts
    if parts is not None:
        assert rec.instance_name(*parts) == name


@given(moment=st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)))
def test_moments_keep_their_microseconds(moment: datetime) -> None:
    assert rec.from_us(rec.to_us(moment)) == moment
    assert rec.from_us(rec.to_us(moment)).tzinfo is UTC


def test_a_block_of_moments_remembers_each_status_that_was_entered() -> None:
    block = rec.new_stamps(1, 0)
    for us, status in ((2, "scheduled"), (3, "running"), (4, "finished")):
        block = rec.touch_stamps(block, us, STATUSES.index(status))
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    named = {"created": 1, "lastModified": 4, "unstarted": 1, "scheduled": 2, "running": 3, "finished": 4}
    assert rec.read_stamps(block) == {name: epoch + timedelta(microseconds=us) for name, us in named.items()}


def test_a_change_of_metadata_enters_no_status() -> None:
    assert rec.read_stamps(rec.touch_stamps(rec.new_stamps(1, 0), 9)).keys() == {"created", "lastModified", "unstarted"}


@pytest.mark.parametrize("cell", ["g:a", "t:t"])
@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91" * 5000, b"\x91\x01"])
def test_links_of_a_damaged_cell_are_an_error_that_names_it(cell: str, data: bytes) -> None:
    with pytest.raises(StorageError, match=f"cell '{cell}' cannot be read"):
        rec.links_of(cell, data)


@pytest.mark.parametrize(
    "found",
    [{"status": -1}, {"status": 8}, {"index": -1}, {"log_level": 2**63}, {"stamps": b""}, {"stamps": STAMPS * 2}],
)
def test_what_no_instance_has_is_damage(found: dict[str, Any]) -> None:
    damaged = rec.encode_record(msgspec.structs.replace(RECORDS["i:t#0"], **found))
    with pytest.raises(StorageError, match="cannot be read"):
        rec.decode_record("i:t#0", damaged)
    with pytest.raises(StorageError, match="cannot be read"):
        rec.decode_rows([damaged])


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91" * 5000, b"\x93\xa1a\xc4\x00\x90"])
def test_a_damaged_event_is_an_error(data: bytes) -> None:
    with pytest.raises(StorageError, match="an event cannot be read"):
        decode_event(data)
