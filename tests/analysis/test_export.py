"""Parquet files hold what the frames hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.analysis.histories import UID, History
from triggers_nb.analysis import export as exporting
from triggers_nb.analysis import frames
from triggers_nb.analysis.export import export
from triggers_nb.analysis.frames_instances import Wanted
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.schema import OBJECT, SCHEMAS, Schema
from triggers_nb.analysis.selection import Selection
from triggers_nb.errors import ReadingInterrupted

HISTORY = [("fire", 0, 1), ("run", 0, "fail"), ("fire", 2, 0), ("run", 1, "finish"), ("replay", 0, 1)]


@pytest.fixture
def source() -> Source:
    store = History().play(HISTORY).store
    state = store.state(UID)
    assert state is not None
    for n in range(5):
        store.load(f"other/{n}", state, store.events(UID))
    return Source(store)


def read(path: Path, kind: str, schema: Schema) -> pd.DataFrame:
    frame = pd.read_parquet(path / kind).drop(columns="day")
    assert list(frame.columns) == schema.names
    return frame


@pytest.mark.parametrize("payloads", [False, True])
def test_files_hold_what_the_frames_hold(source: Source, tmp_path: Path, payloads: bool) -> None:
    written = export(source, Selection(), tmp_path / "fleet", payloads=payloads)

    uids = frames.read_sessions(source, Selection())["session_uid"].tolist()
    expected = {
        "sessions": frames.read_sessions(source, Selection()),
        "instances": frames.read_instances(source, uids, Wanted(payloads=payloads)),
        "events": frames.read_events(source, uids),
    }
    assert (written.sessions, written.instances, written.events) == tuple(map(len, expected.values()))
    for kind, frame in expected.items():
        found = read(written.path, kind, SCHEMAS[kind])
        for column in SCHEMAS[kind].columns:
            if column.name != "observed_at":
                assert plain(found[column.name]) == plain(frame[column.name], column.dtype == OBJECT), column.name


def plain(values: pd.Series[Any], is_json: bool = False) -> list[Any]:
    def one(value: Any) -> Any:
        if isinstance(value, dict):
            return json.dumps(value, ensure_ascii=False, default=str) if is_json else value
        if hasattr(value, "tolist"):
            return value.tolist()
        return value if isinstance(value, list) else None if pd.isna(value) else value

    return [one(value) for value in values]


def test_days_are_partitions(source: Source, tmp_path: Path) -> None:
    written = export(source, Selection(), tmp_path, payloads=False)

    day = frames.read_sessions(source, Selection())["last_modified_at"].dt.date.astype(str).iloc[0]
    assert {each.name for each in (written.path / "events").iterdir()} == {f"day={day}"}


def test_portions_are_small(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "MAX_INSTANCES", 7)
    monkeypatch.setattr(exporting, "MAX_EVENTS", 3)

    written = export(source, Selection(), tmp_path, payloads=False)
    parts = sorted((written.path / "events").rglob("*.parquet"))
    assert len(parts) > 6
    assert max(len(pd.read_parquet(part)["seq"].drop_duplicates()) for part in parts) <= 3
    assert written.sessions == 6
    assert len(list((written.path / "sessions").rglob("*.parquet"))) == 3


def test_sessions_can_be_chosen(source: Source, tmp_path: Path) -> None:
    assert export(source, Selection("other/[12]"), tmp_path, payloads=False).sessions == 2


@pytest.mark.parametrize("path", [3, None, b"fleet"])
def test_what_is_no_path_is_refused(source: Source, path: Any) -> None:
    with pytest.raises(TypeError, match=r"^path=.*expected the path of the directory"):
        export(source, Selection(), path, payloads=False)


def test_nothing_is_written_over(source: Source, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(FileExistsError, match="not empty"):
        export(source, Selection(), tmp_path, payloads=False)
    assert [each.name for each in tmp_path.iterdir()] == ["notes.txt"]


def test_without_pyarrow_it_says_what_to_install(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ImportError, match=r"triggers-nb\[parquet\]"):
        export(source, Selection(), tmp_path / "new", payloads=False)
    assert not (tmp_path / "new").exists()


def test_an_interrupted_export_keeps_what_was_written(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MAX_INSTANCES", 1)
    calls = iter(range(3))
    real = exporting._write

    def impatient(*args: Any, **kwargs: Any) -> None:
        if next(calls) == 2:
            raise KeyboardInterrupt
        real(*args, **kwargs)

    monkeypatch.setattr(exporting, "_write", impatient)
    with pytest.warns(ReadingInterrupted, match="2 sessions"):
        written = export(source, Selection(), tmp_path, payloads=False)
    assert written.sessions == 2
    assert len(pd.read_parquet(written.path / "sessions")) == 2
