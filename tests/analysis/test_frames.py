"""Frames say what is stored: columns, dtypes and facts."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings

from tests.analysis.histories import UID, History, Obey, histories
from triggers_nb.analysis import frames, schema
from triggers_nb.analysis.frames_instances import Wanted
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.selection import Selection, parse_age, parse_moment
from triggers_nb.core.status import CODES, STATUSES
from triggers_nb.errors import InvalidStatus, ReadingInterrupted, ResultsTruncated, UnreadableSession
from triggers_nb.manager import TriggerManager
from triggers_nb.redaction import Redactor
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.task import run_instance

SCHEMAS = schema.SCHEMAS
HISTORY = [("fire", 0, 1), ("run", 0, "fail"), ("fire", 2, 0), ("fire", 2, 0), ("run", 1, "finish")]


def source_of(store: MemoryStore, **options: Any) -> Source:
    return Source(store, **options)


def check_shape(frame: pd.DataFrame, expected: schema.Schema) -> None:
    assert list(frame.columns) == expected.names
    assert isinstance(frame.index, pd.RangeIndex)
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {c.name: c.dtype for c in expected.columns}


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_empty_frame_has_all_columns_and_dtypes(name: str) -> None:
    frame = SCHEMAS[name].frame({})

    assert len(frame) == 0
    check_shape(frame, SCHEMAS[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_columns_are_described(name: str) -> None:
    described = SCHEMAS[name].describe()

    assert described["column"].tolist() == SCHEMAS[name].names
    assert described["meaning"].str.len().gt(0).all()


@pytest.mark.parametrize("uids", [[], [UID]])
def test_filled_and_empty_frames_look_alike(uids: list[str]) -> None:
    source = source_of(History().play(HISTORY).store)

    check_shape(frames.read_sessions(source, Selection("*" if uids else "none*")), schema.SESSIONS)
    check_shape(frames.read_instances(source, uids, Wanted(payloads=True)), schema.INSTANCES)
    check_shape(frames.read_failures(source, uids), schema.FAILURES)
    check_shape(frames.read_events(source, uids), schema.EVENTS)
    check_shape(frames.read_stuck(source, uids, "0s"), schema.STUCK)
    check_shape(frames.read_tasks(source, UID), schema.TASKS)
    check_shape(frames.read_triggers(source, UID, payloads=True), schema.TRIGGERS)


@given(histories)
@settings(max_examples=60)
def test_a_row_says_what_the_instance_says(history: list[Any]) -> None:
    played = History().play(history)
    frame = frames.read_instances(source_of(played.store), [UID], Wanted(payloads=True))
    instances = list(played.storage)

    assert frame["instance"].tolist() == [i.name for i in instances]
    for row, instance in zip(frame.itertuples(), instances, strict=True):
        assert row.status == instance.status
        assert row.task == instance.config.name
        assert row.run == instance.config.run
        assert _or_none(row.runner) == instance.config.using
        assert _or_none(row.parent) == instance.metadata.get("parent")
        assert row.depth == instance.depth
        assert row.is_resolved == instance.is_resolved
        assert row.can_replay == instance.can_replay
        assert row.can_skip == instance.can_skip
        assert row.log_level == instance.log_level
        assert row.logs_resolved == instance.logs_resolved
        assert row.kwargs == instance.kwargs
        assert row.result == instance.metadata.get("result")
        assert _or_none(row.exception_type) == instance.metadata.get("exceptionType")
        assert _or_none(row.traceback) == instance.metadata.get("exceptionInfo")
        waits = instance.config.after - set(instance.kwargs) if instance.status == "unstarted" else set()
        assert row.missing_triggers == sorted(waits)
        check_times(row, instance.metadata["timestamps"])


def check_times(row: Any, stamps: dict[str, datetime]) -> None:
    columns = {
        "created_at": "created", "scheduled_at": "scheduled", "started_at": "running", "finished_at": "finished",
        "failed_at": "failed", "last_modified_at": "lastModified",
    }  # fmt: skip
    for column, stamp in columns.items():
        assert _or_none(getattr(row, column)) == stamps.get(stamp)
    waited = stamps["running"] - stamps["scheduled"] if {"running", "scheduled"} <= stamps.keys() else None
    assert _or_none(row.wait) == waited
    ends = [stamps[status] for status in ("finished", "failed", "skipped", "abandoned") if status in stamps]
    assert _or_none(row.duration) == (min(ends) - stamps["running"] if ends and "running" in stamps else None)


def _or_none(value: Any) -> Any:
    return None if value is None or value is pd.NA or value is pd.NaT else value


@given(histories)
@settings(max_examples=60)
def test_a_session_is_counted_right(history: list[Any]) -> None:
    played = History().play(history)
    [row] = frames.read_sessions(source_of(played.store), Selection()).to_dict("records")
    statuses = [i.status for i in played.storage]

    assert [row[status] for status in STATUSES] == [statuses.count(status) for status in STATUSES]
    assert row["n_instances"] == len(statuses)
    assert row["n_tasks"] == len(played.storage.tasks)
    assert row["n_unresolved"] == sum(not i.is_resolved for i in played.storage)
    assert row["max_log_level"] == max((i.log_level for i in played.storage), default=0)


@given(histories)
@settings(max_examples=40)
def test_tasks_are_resolved_as_the_storage_says(history: list[Any]) -> None:
    played = History().play(history)
    frame = frames.read_tasks(source_of(played.store), UID)

    unresolved = {task.name for task in played.storage.get_unresolved_tasks()}
    assert set(frame.loc[~frame["is_resolved"], "task"]) == unresolved
    assert frame["n_instances"].tolist() == [len(played.storage.instances_of_task(task)) for task in frame["task"]]
    assert frame["after"].tolist() == [sorted(task.after) for task in played.storage.tasks.values()]
    assert frame["extra"].tolist() == [task.extra for task in played.storage.tasks.values()]


@given(histories)
@settings(max_examples=40)
def test_every_commit_is_an_event_of_at_least_one_change(history: list[Any]) -> None:
    played = History().play(history)
    frame = frames.read_events(source_of(played.store), [UID])

    assert frame["seq"].drop_duplicates().tolist() == list(range(1, len(played.states) + 1))
    assert frame["occurred_at"].is_monotonic_increasing
    assert frame.groupby("seq")["change"].apply(lambda n: n.tolist() == list(range(len(n)))).all()
    last = frame.dropna(subset=["to_status"]).groupby("target")["to_status"].last()
    assert last.to_dict() == {i.name: i.status for i in played.storage}


@given(histories)
@settings(max_examples=40)
def test_failures_are_the_failed_instances_with_what_they_block(history: list[Any]) -> None:
    from triggers_nb.analysis.graph_impact import impact

    played = History().play(history)
    frame = frames.read_failures(source_of(played.store), [UID])
    storage = played.storage

    assert frame["instance"].tolist() == [i.name for i in storage if i.status == "failed"]
    for row in frame.itertuples():
        blocked = impact(storage.tasks, list(storage), set(storage.latest_kwargs), row.instance)
        assert row.blocked == [each.task for each in blocked]


def test_what_counts_as_the_application_can_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_of(History().play([("fire", 0, 1), ("run", 0, "fail")]).store)
    guessed = frames.read_failures(source, [UID], False).iloc[0]
    monkeypatch.setenv("TRIGGERS_APP_PREFIXES", "nowhere, tests.analysis")
    said = frames.read_failures(source, [UID], False).iloc[0]

    assert guessed["top_frame"] == "analysis.histories:_run"
    assert said["top_frame"] == "tests.analysis.histories:_run"
    assert said["fingerprint"] != guessed["fingerprint"]


def test_triggers_are_told_apart() -> None:
    played = History().play([("fire", 0, 3), ("fire", 5, 1), ("run", 0, "finish")])
    frame = frames.read_triggers(source_of(played.store), UID, payloads=True).set_index("trigger")

    assert frame["kind"].to_dict() == {
        "go": "external", "nobody": "unknown", "stop": "external", "t_first": "cascade", "tick": "external",
    }  # fmt: skip
    assert frame["fired"].to_dict() == {"go": True, "nobody": True, "stop": False, "t_first": True, "tick": False}
    assert frame.loc["t_first", "used_by"] == ["t_second"]
    assert frame.loc["go", "payload"] == {"n": 3, "password": "hunter2"}
    assert frame.loc["stop", "payload"] is None


def test_payloads_are_only_there_when_asked_for() -> None:
    source = source_of(History().play(HISTORY).store)

    without = frames.read_instances(source, [UID], Wanted())
    assert without[list(schema.PAYLOADS)].isna().all(axis=None)
    assert frames.read_triggers(source, UID)["payload"].isna().all()


def test_payloads_and_messages_are_redacted() -> None:
    played = History()
    played.manager.fire("go", {"password": "hunter2"})
    Obey.orders = "fail"
    run_instance(played.manager, "t_first#0", Obey)
    played.manager.update_instance_metadata("t_first#0", {"exceptionMessage": "login with password=hunter2 failed"})
    source = source_of(played.store, redactor=Redactor())

    frame = frames.read_instances(source, [UID], Wanted(payloads=True))
    triggers = frames.read_triggers(source, UID, payloads=True)
    assert "hunter2" not in frame.to_csv() + triggers.to_csv()
    assert "[redacted:" in frame["exception_message"].iloc[0]
    assert frame["kwargs"].iloc[0]["go"]["password"].startswith("[redacted:")


def test_reasons_are_redacted_and_ids_are_there() -> None:
    from triggers_nb.core.events import Provenance

    played = History()
    provenance = Provenance(actor="ada", reason="ask ada@example.org", action_id="a1", plan_id="p1")
    TriggerManager(played.storage.derive(provenance=provenance)).fire("go")
    last = frames.read_events(source_of(played.store, redactor=Redactor()), [UID]).iloc[-1]

    assert (last["actor"], last["action_id"], last["plan_id"], last["action"]) == ("ada", "a1", "p1", "fire")
    assert "example.org" not in last["reason"]


def test_moments_set_by_a_draft_are_shown() -> None:
    played = History().play([("fire", 0, 1)])
    moment = datetime(2013, 2, 8, 6, 30, tzinfo=UTC)
    with played.storage.acquire_lock() as writable:
        writable["t_first#0"].metadata["timestamps"]["created"] = moment
        writable.save()

    assert frames.read_instances(source_of(played.store), [UID], Wanted())["created_at"].iloc[0] == moment


def test_filters_choose_rows() -> None:
    source = source_of(History().play(HISTORY).store)

    def names(**wanted: Any) -> list[str]:
        return frames.read_instances(source, [UID], Wanted(**wanted))["instance"].tolist()

    everything = names()
    assert names(codes=(CODES["failed"],)) == ["t_first#0"]
    assert names(tasks={"t_each"}) == [name for name in everything if name.startswith("t_each")]
    assert names(tasks={"t_no"}) == []
    assert names(codes=(CODES["failed"],), tasks={"t_each"}) == []


def test_sessions_that_are_gone_are_left_out() -> None:
    source = source_of(History().play(HISTORY).store)

    assert set(frames.read_instances(source, ["gone", UID], Wanted())["session_uid"]) == {UID}


@pytest.mark.parametrize("cell", ["i:t_first#0", "c:t_second", "head"])
def test_one_damaged_session_does_not_hide_the_others(cell: str) -> None:
    from triggers_nb.storages.store import Cell

    store = History().play(HISTORY).store
    state = store.state(UID)
    assert state is not None
    store.load("damaged", msgspec.structs.replace(state, cells={**state.cells, cell: Cell(1, b"\xc1damaged")}))
    source = source_of(store)

    if cell == "head":
        with pytest.warns(UnreadableSession, match="'damaged'"):
            frame = frames.read_sessions(source, Selection())
        assert frame.set_index("session_uid")["manager"].isna().to_dict() == {"damaged": True, UID: False}
    else:
        for read in (partial(frames.read_instances, wanted=Wanted()), frames.read_failures, frames.read_stuck):
            with pytest.warns(UnreadableSession, match="'damaged'"):
                frame = read(
                    source, ["damaged", UID], **({"wanted": Wanted()} if read == frames.read_instances else {})
                )
            assert set(frame["session_uid"]) <= {UID}


def test_a_damaged_event_does_not_hide_the_others() -> None:
    store = History().play(HISTORY).store
    first, second, *others = store.events(UID)
    state = store.state(UID)
    assert state is not None
    store.load(UID, state, [first, second._replace(data=b"damaged"), *others])

    with pytest.warns(UnreadableSession, match="event 2 is damaged"):
        frame = frames.read_events(source_of(store), [UID])
    assert frame["seq"].unique().tolist() == [1, *(event.seq for event in others)]


# Stuck --------------------------------------------------------------------------------------------------------------


def move(store: MemoryStore, seconds: float) -> MemoryStore:
    """The same store, as it will be in a while."""
    now_us = store.now_us() + round(seconds * 1e6)
    store.now_us = lambda: now_us  # type: ignore[method-assign]
    return store


def test_what_is_on_its_way_is_not_stuck() -> None:
    source = source_of(History().play([("fire", 0, 1), ("fire", 2, 1), ("claim", 0, 0)]).store)

    assert frames.read_stuck(source, [UID]).empty
    assert not frames.read_instances(source, [UID], Wanted())["is_stuck"].any()


@pytest.mark.parametrize(
    ("seconds", "older_than", "expected"),
    [
        (100, "1h", {"t_first#0": "lease run out", "t_each#0": "pending hand-over"}),
        (10, "5s", {"t_first#0": "running too long", "t_each#0": "scheduled too long"}),
        (10, "1h", {}),
    ],
)
def test_stuck_instances_say_why(seconds: float, older_than: str, expected: dict[str, str]) -> None:
    played = History().play([("fire", 0, 1), ("claim", 0, 0), ("fire", 2, 1)])
    frame = frames.read_stuck(source_of(move(played.store, seconds)), [UID], older_than)

    assert dict(zip(frame["instance"], frame["why"], strict=True)) == expected
    assert frame["age"].ge(pd.Timedelta(seconds=seconds)).all()


def test_a_cooldown_is_not_stuck() -> None:
    played = History().play([("fire", 0, 1), ("run", 0, "retry")])
    clone = played.storage["t_first#1"]
    assert clone.cooldown == 5

    assert frames.read_stuck(source_of(move(played.store, 6)), [UID], "2s").empty
    assert frames.read_stuck(source_of(move(played.store, 8)), [UID], "2s")["instance"].tolist() == ["t_first#1"]


# Selection ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def fleet() -> MemoryStore:
    store = MemoryStore()
    for n in range(12):
        manager = TriggerManager(BaseTriggerStorage(f"flight/{n}", store).derive(handover="defer"))
        manager.update_configuration({"t_a": {"after": ["go"], "run": Obey.name}})
        if n % 2:
            manager.fire("go")
    return store


def test_sessions_come_last_changed_first(fleet: MemoryStore) -> None:
    frame = frames.read_sessions(source_of(fleet), Selection())

    assert frame["session_uid"].tolist() == [f"flight/{n}" for n in reversed(range(12))]
    assert frame["last_modified_at"].is_monotonic_decreasing


def test_sessions_are_chosen_by_pattern_status_and_time(fleet: MemoryStore) -> None:
    source = source_of(fleet)

    def uids(*args: Any, **kwargs: Any) -> list[str]:
        return frames.read_sessions(source, Selection(*args, **kwargs))["session_uid"].tolist()

    assert uids("flight/1?") == ["flight/11", "flight/10"]
    assert uids("FLIGHT*") == []
    assert uids(status="scheduled") == [f"flight/{n}" for n in (11, 9, 7, 5, 3, 1)]
    assert uids(status=["failed", "running"]) == []
    middle = fleet.state("flight/6").modified_us  # type: ignore[union-attr]
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=middle)
    assert uids(since=moment)[-1] == "flight/6"
    assert uids(until=moment)[0] == "flight/5"
    assert uids(since=pd.Timestamp(moment), until=moment + timedelta(microseconds=1)) == ["flight/6"]
    assert uids(since=moment.isoformat())[-1] == "flight/6"
    assert len(uids(since="1h")) == 12
    assert uids(until="1h") == []


def test_a_result_that_is_cut_says_so(fleet: MemoryStore) -> None:
    source = source_of(fleet)
    uids = [f"flight/{n}" for n in range(12)]

    with pytest.warns(ResultsTruncated, match=r"sessions\(\).*max_results=5.*max_results=None") as caught:
        assert len(frames.read_sessions(source, Selection(), 5)) == 5
    assert caught[0].filename == __file__
    with pytest.warns(ResultsTruncated, match="instances"):
        assert len(frames.read_instances(source, uids, Wanted(), 3)) == 3
    with pytest.warns(ResultsTruncated, match="events"):
        frame = frames.read_events(source, uids, 4)
    assert len(frame) == 4
    check_shape(frame, schema.EVENTS)


def test_a_result_that_just_fits_says_nothing(fleet: MemoryStore) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(frames.read_sessions(source_of(fleet), Selection(), 12)) == 12
        assert len(frames.read_instances(source_of(fleet), [f"flight/{n}" for n in range(12)], Wanted(), 6)) == 6


class Interrupted(MemoryStore):
    """A store whose reader loses patience."""

    patience = 7

    def states(self, uids: Any, prefixes: Any = ()) -> Any:
        for found in super().states(uids, prefixes):
            self.patience -= 1
            if self.patience < 0:
                raise KeyboardInterrupt
            yield found

    def summaries(self, **options: Any) -> Any:
        for summary in super().summaries(**options):
            self.patience -= 1
            if self.patience < 0:
                raise KeyboardInterrupt
            yield summary


def test_an_interrupted_read_keeps_what_was_read(fleet: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    impatient = Interrupted()
    impatient._sessions = fleet._sessions
    monkeypatch.setattr("triggers_nb.analysis.frames_instances.BATCH", 2)
    uids = [f"flight/{n}" for n in range(12)]

    with pytest.warns(ReadingInterrupted, match="6 of 12 sessions"):
        frame = frames.read_instances(source_of(impatient), uids, Wanted())
    assert frame["session_uid"].tolist() == ["flight/1", "flight/3", "flight/5"]

    impatient.patience = 3
    with pytest.warns(ReadingInterrupted, match="3 sessions"):
        assert len(frames.read_sessions(source_of(impatient), Selection())) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15min", 900), ("15m", 900), ("24h", 86400), ("7d", 604800), (" 2 w ", 1209600), ("1.5h", 5400)],
)
def test_ages_are_read(text: str, expected: int) -> None:
    assert parse_age(text) == timedelta(seconds=expected)


@pytest.mark.parametrize("wrong", ["", "h", "24", "24 hours", "-1h", "1h30m", None, 24, timedelta(-1), "nan h"])
def test_wrong_ages_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="expected an age such as"):
        parse_age(wrong)


@pytest.mark.parametrize("wrong", ["yesterday", "2013-02-08T06:00", datetime(2013, 2, 8), pd.NaT, 17, None, "24x"])
def test_wrong_moments_are_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match="since="):
        parse_moment(wrong, 0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"status": "faild"}, InvalidStatus),
        ({"status": ["failed", 3]}, InvalidStatus),
        ({"status": []}, ValueError),
        ({"pattern": 3}, TypeError),
    ],
)
def test_wrong_selections_are_refused(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        Selection(**arguments)


@pytest.mark.parametrize(("task", "error"), [([], ValueError), ([3], TypeError)])
def test_wrong_tasks_are_refused(task: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="task="):
        Wanted.parse(None, task, False)


def test_a_long_read_shows_its_progress_to_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    from triggers_nb.analysis import reading

    assert reading.progress_bar(10, "instances()").disable
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    shown = reading.progress_bar(10, "instances()")
    assert not shown.disable
    assert shown.delay == reading.PROGRESS_AFTER_S
    shown.close()
