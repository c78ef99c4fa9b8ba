"""Any past state of a session can be rebuilt, exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.analysis.histories import UID, History, histories
from triggers_nb.analysis.history import rebuild
from triggers_nb.analysis.reading import Source
from triggers_nb.core.records import from_us
from triggers_nb.errors import HistoryTrimmed, ReadOnlyError, UnknownSession
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.store import SessionState
from triggers_nb.views import SessionView


def comparable(state: SessionState) -> SessionState:
    """Without what belongs to no event: due items, and counts that are 0 for being there."""
    counts = {name: n for name, n in state.counts.items() if n or name.startswith("n:")}
    return msgspec.structs.replace(state, counts=counts, due={})


@given(histories)
@settings(max_examples=100)
def test_the_session_at_an_event_is_what_was_stored_then(history: list[Any]) -> None:
    played = History().play(history)

    for seq, state in played.states.items():
        past = rebuild(played.store, UID, seq)
        found = past.store.state(UID)
        assert found is not None
        assert comparable(found) == comparable(state)
        assert past.at_us == state.modified_us
        assert [event.seq for event in past.store.events(UID)] == list(range(1, seq + 1))


@given(histories, st.integers(1, 10))
@settings(max_examples=50)
def test_after_trimming_the_rest_is_still_exact(history: list[Any], keep: int) -> None:
    played = History().play(history)
    last = max(played.states)
    played.store.trim_events(UID, keep)

    for seq, state in played.states.items():
        if seq > last - keep:
            assert comparable(rebuild(played.store, UID, seq).store.state(UID)) == comparable(state)  # type: ignore[arg-type]
        else:
            with pytest.raises(HistoryTrimmed, match=f"event {seq} .* no longer kept"):
                rebuild(played.store, UID, seq)


def spaced(history: list[Any]) -> History:
    """A history whose events are an hour apart."""
    from triggers_nb.storages.store import StoredEvent

    played = History().play(history)
    session = played.store._sessions[UID]
    start = session.events[0].at_us
    session.events = [StoredEvent(e.seq, start + 3_600_000_000 * (e.seq - 1), e.data) for e in session.events]
    session.modified_us = session.events[-1].at_us
    return played


FIVE = [("fire", 0, 1), ("run", 0, "fail"), ("replay", 0, 0), ("run", 0, "finish")]


def test_a_moment_means_the_last_event_at_or_before_it() -> None:
    played = spaced(FIVE)
    start = from_us(played.store.events(UID)[0].at_us)
    view = SessionView(Source(played.store), UID)

    assert view.at(start).seq == 1
    assert view.at(start + timedelta(minutes=59)).seq == 1
    assert view.at(start + timedelta(hours=1)).seq == 2
    assert view.at(pd.Timestamp(start + timedelta(hours=2.5))).seq == 3
    assert view.at((start + timedelta(hours=3)).isoformat()).seq == 4
    assert view.at(start + timedelta(days=9)).seq == max(played.states)


def test_before_the_first_event_there_was_no_session() -> None:
    played = spaced(FIVE)
    view = SessionView(Source(played.store), UID)

    with pytest.raises(ValueError, match="did not exist at"):
        view.at(datetime(2000, 1, 1, tzinfo=UTC))
    played.store.trim_events(UID, 2)
    with pytest.raises(HistoryTrimmed):
        view.at(datetime(2000, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("wrong", [0, -1, 999, True, "yesterday", None, 1.5])
def test_what_is_no_event_is_refused(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"no event|expected a datetime"):
        rebuild(History().play(FIVE).store, UID, wrong)


def test_a_session_that_is_not_there_has_no_past() -> None:
    with pytest.raises(UnknownSession):
        rebuild(MemoryStore(), "nobody", 1)


def test_a_past_session_is_read_like_one_of_today() -> None:
    played = spaced(FIVE)
    past = SessionView(Source(played.store), UID).at(4)

    assert past.instances()[["instance", "status"]].to_numpy().tolist() == [["t_first#0", "failed"]]
    assert past.failures()["blocked"].tolist() == [["t_second"]]
    assert past.events()["seq"].max() == 4
    assert past.triggers().set_index("trigger").loc["go", "fired"]
    assert past.occurred_at == from_us(played.store.events(UID)[3].at_us)
    assert set(past.instances()["observed_at"]) == {past.occurred_at}
    assert past.graph("instance").nodes["t_first#0"]["status"] == "failed"
    assert past.at(2).instances()["status"].tolist() == ["scheduled"]


def test_a_past_session_cannot_be_changed() -> None:
    past = SessionView(Source(History().play(FIVE).store), UID).at(4)

    with pytest.raises(ReadOnlyError):
        past.storage.transact("fire", lambda work: None)
    assert not hasattr(past, "fire")


def test_what_differs_is_told_field_by_field() -> None:
    played = History().play(FIVE)
    view = SessionView(Source(played.store), UID)

    frame = view.diff(4, 5)
    told = {(row.target, row.field): (row.before, row.after) for row in frame.itertuples()}
    assert told["t_first#0", "status"] == ("failed", "replayed")
    assert told["t_first#1", "status"] == (None, "scheduled")
    assert told["t_first#1", "parent"] == (None, "t_first#0")
    assert set(frame["kind"]) == {"instance"}
    assert view.diff(4, 4).empty
    assert set(view.diff(1)["kind"]) == {"trigger", "instance"}
    assert view.diff(5, 4).rename(columns={"before": "after", "after": "before"})[frame.columns].equals(frame)
