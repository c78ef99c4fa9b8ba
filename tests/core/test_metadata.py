"""Metadata of instances: known keys are checked, the rest is kept as it is."""

from datetime import UTC, datetime
from typing import Any

import pytest

from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value
from triggers_nb.core.instances import read_metadata
from triggers_nb.core.metadata import OwnFields, parse_draft, parse_metadata
from triggers_nb.core.records import InstanceRecord
from triggers_nb.errors import InvalidValue

RECORD = InstanceRecord("t", 0, 0, rec.new_stamps(1_000_000, 0))


def stored(own: OwnFields, record: InstanceRecord = RECORD) -> InstanceRecord:
    fields = {name: getattr(record, name) for name in record.__struct_fields__}
    return InstanceRecord(**{**fields, "metadata": {**record.metadata, **own.metadata}, **own.fields})


def test_known_and_own_keys_come_back() -> None:
    metadata = {
        "parent": "t#1", "depth": 2, "logLevel": 40, "logsResolved": True, "exceptionType": "E",
        "exceptionMessage": "m", "note": {"a": {1}}, "result": None,
    }  # fmt: skip
    found = read_metadata(stored(parse_metadata(metadata)))
    moments = found.pop("timestamps")
    assert found == metadata
    assert moments.keys() == {"created", "lastModified", "unstarted"}


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        (5, "metadata"),
        ([("a", 1)], "metadata"),
        ({5: 1}, "metadata[5]"),
        ({"note": object}, "metadata['note']"),
        ({"note": {"a": [float("nan")]}}, "metadata['note']['a'][0]"),
        ({"logLevel": "40"}, "metadata['logLevel']"),
        ({"logLevel": 2**70}, "metadata['logLevel']"),
        ({"logLevel": -1}, "metadata['logLevel']"),
        ({"depth": True}, "metadata['depth']"),
        ({"depth": 1.0}, "metadata['depth']"),
        ({"logsResolved": 1}, "metadata['logsResolved']"),
        ({"exceptionType": ValueError}, "metadata['exceptionType']"),
        ({"exceptionMessage": "\ud800"}, "metadata['exceptionMessage']"),
        ({"parent": None}, "metadata['parent']"),
        ({"timestamps": 5}, "metadata['timestamps']"),
        ({"timestamps": {"scheduled": "soon"}}, "metadata['timestamps']['scheduled']"),
        ({"timestamps": {"running": None}}, "metadata['timestamps']['running']"),
        ({"cooldown": "soon"}, "metadata['cooldown']"),
        ({"cooldown": -1}, "metadata['cooldown']"),
        ({"cooldown": True}, "metadata['cooldown']"),
        ({"cooldown": 1e9}, "metadata['cooldown']"),
        ({"timestamps": {"created": object}}, "metadata['timestamps']['created']"),
    ],
)
def test_metadata_that_cannot_be_stored_is_refused(metadata: Any, path: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parse_metadata(metadata)
    assert caught.value.path == path


def test_a_drafts_metadata_comes_back_as_it_was_left() -> None:
    # given an instance with metadata of its own
    before = stored(parse_metadata({"note": 1, "depth": 3, "logLevel": 40}))
    # when a draft takes some of it away and changes some
    draft = read_metadata(before)
    del draft["note"]
    draft["depth"] = 0
    draft["naive"] = datetime(2018, 1, 1)
    own = parse_draft(draft, before)
    # then exactly that is stored
    after = read_metadata(InstanceRecord("t", 0, 0, before.stamps, metadata=own.metadata, **own.fields))
    assert after == {"naive": datetime(2018, 1, 1), "logLevel": 40, "timestamps": draft["timestamps"]}


def test_moments_that_a_draft_sets_stand_above_the_engines() -> None:
    draft = read_metadata(RECORD)
    draft["timestamps"] = {"lastModified": datetime(2018, 1, 1), "finished": datetime(2018, 1, 2)}
    after = stored(parse_draft(draft, RECORD))
    assert read_metadata(after)["timestamps"] == {
        "created": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "unstarted": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
        "lastModified": datetime(2018, 1, 1),
        "finished": datetime(2018, 1, 2),
    }
    # and are kept by the next draft, but for the moment of the last change
    again = read_metadata(after)
    again["note"] = 1
    own = parse_draft(again, after)
    assert decode_value(own.metadata["timestamps"]) == {"finished": datetime(2018, 1, 2)}
