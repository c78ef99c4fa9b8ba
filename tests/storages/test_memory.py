"""What is special about sessions in memory."""

from pathlib import Path

import pytest

from tests.storages.contract import applied, change, change_after, make, refused, seen
from triggers_nb.storages.memory import MemoryStore, open_memory
from triggers_nb.storages.sqlite import SqliteStore


def test_a_store_with_a_name_is_the_same_for_all() -> None:
    assert open_memory("test memory") is open_memory("test memory")
    assert open_memory("test memory") is not open_memory("another")
    assert repr(open_memory("test memory")) == "<MemoryStore memory://test memory>"


def test_a_store_without_a_name_belongs_to_whoever_made_it() -> None:
    one, other = MemoryStore(), MemoryStore()
    make(one, "s")
    assert other.state("s") is None


@pytest.mark.parametrize("with_events", [True, False])
def test_a_session_is_loaded_as_it_was_elsewhere(tmp_path: Path, with_events: bool) -> None:
    origin, copy = SqliteStore(tmp_path / "origin.db"), MemoryStore()
    made = make(origin, "s", writes={"a": b"1"}, counts={"n": 2}, due={"x": (0, b"x"), "y": (1000, b"y")}, at_us=7)
    applied(origin.commit("s", change_after(seen(origin, "s", "a"), "a", writes={"b": b"2"}, at_us=9)))
    state, events = origin.state("s"), origin.events("s")
    assert state is not None

    make(copy, "s", writes={"gone": b""}, due={"gone": (0, b"")})
    copy.load("s", state, events if with_events else ())

    assert copy.state("s") == state
    assert copy.events("s") == (events if with_events else [])
    assert copy.first_event_seq("s") == (1 if with_events else 3)
    assert copy.due() == origin.due()
    assert [summary.uid for summary in copy.summaries()] == ["s"]
    refused(copy.commit("s", change(epoch=made.epoch, reads={"b": 1}, writes={"b": b""})))
    answer = applied(copy.commit("s", change_after(seen(copy, "s", "a", "b"), "ab", writes={"a": b"3"}, at_us=8)))
    assert (answer.epoch, answer.seq, answer.at_us) == (state.epoch, 3, 9)
    assert origin.state("s") == state
    origin.close()


@pytest.mark.parametrize("kind", [MemoryStore, SqliteStore])
def test_only_one_may_postpone_an_item_even_if_the_clock_stands_still(
    kind: type[MemoryStore | SqliteStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore() if kind is MemoryStore else SqliteStore(tmp_path / "sessions.db")
    monkeypatch.setattr(store, "now_us", lambda: 1_000_000)
    make(store, "s", due={"x": (0, b"")})
    assert store.postpone("s", "x", 0, due_us=1_000_000)
    assert not store.postpone("s", "x", 0, due_us=1_000_000)
    store.close()
