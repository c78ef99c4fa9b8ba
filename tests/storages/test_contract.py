"""What every store promises."""

import os
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tests.storages.contract import ODD_NAMES, Place, applied, change, change_after, make, refused, seen
from triggers_nb.core.records import TaskRecord, TriggerRecord, encode_record
from triggers_nb.storages.store import Committed, DueItem, SessionState, Store, StoredEvent

#: Long enough for no test to see the end of it, and short enough to wait for.
LONG_S, SHORT_S, PAUSE_S = 1000.0, 0.005, 0.02


def test_a_session_that_was_never_made_is_nowhere(store: Store) -> None:
    assert store.read("s", ["head"]) is None
    assert store.counts("s") is None
    assert store.state("s") is None
    assert list(store.states(["s", "s"])) == [("s", None), ("s", None)]
    assert list(store.states([])) == []
    assert list(store.summaries()) == list(store.summaries(uids=["s"])) == []
    assert store.events("s") == []
    assert store.first_event_seq("s") is None
    assert store.trim_events("s", 0) == 0
    assert store.due() == []
    assert store.next_due_us() is None
    assert not store.postpone("s", "item", 1)
    assert not store.settle("s", "item")
    assert not store.release_lock("s", b"token")
    assert not store.delete("s")
    assert store.wait_for_events({"s": 0}, 0) == set()


def test_what_was_committed_is_read(store: Store) -> None:
    first = applied(store.commit("s", change(writes={"head": b"h", "a": b"", "b": b"1"}, at_us=50)))
    second = applied(store.commit("s", change(epoch=first.epoch, reads={"b": 1}, writes={"b": b"2"}, at_us=60)))
    assert (first.seq, first.at_us) == (1, 50)
    assert (second.epoch, second.seq, second.at_us) == (first.epoch, 2, 60)
    assert first.epoch > 0
    view = seen(store, "s", "b", "a", "missing")
    assert (view.epoch, view.seq) == (first.epoch, 2)
    assert view.cells == {"a": (1, b""), "b": (2, b"2")}
    assert seen(store, "s").cells == {}


def test_other_handles_see_a_commit_at_once(place: Place) -> None:
    one, other = place.open(), place.open()
    make(one, "s", writes={"a": b"1"})
    assert seen(other, "s", "a").cells == {"a": (1, b"1")}
    applied(other.commit("s", change_after(seen(other, "s", "a"), "a", writes={"a": b"2"})))
    assert seen(one, "s", "a").cells == {"a": (2, b"2")}


def test_a_stale_commit_is_refused_whole_and_told_what_holds_now(store: Store) -> None:
    make(store, "s", writes={"a": b"1", "b": b"1"})
    old = seen(store, "s", "a", "b", "c")
    applied(store.commit("s", change_after(old, "ac", writes={"a": b"2", "c": b"2"}, due={"x": (0, b"x")})))
    before = store.state("s")
    for names in ("a", "c", "abc"):
        stale = change_after(
            old, names, writes={"b": b"3", "d": b"3"}, counts={"n": 1}, due={"x": None, "y": (0, b"y")}, timeout_s=1
        )
        conflict = refused(store.commit("s", stale))
        assert conflict.locked_s == 0
        assert conflict.view is not None
        assert (conflict.view.epoch, conflict.view.seq) == (old.epoch, 2)
        now = {"a": (2, b"2"), "b": (1, b"1"), "c": (2, b"2")}
        assert {name: now[name] for name in names if name != "b"}.items() <= conflict.view.cells.items()
        assert conflict.view.cells.items() <= {name: now[name] for name in names}.items()
    assert store.state("s") == before
    assert len(store.events("s")) == 2


def test_a_commit_that_rests_on_nothing_stale_goes_through(store: Store) -> None:
    made = make(store, "s", writes={"a": b"1", "b": b"1"})
    applied(store.commit("s", change(epoch=made.epoch, reads={"a": 1}, writes={"a": b"2"})))
    assert applied(store.commit("s", change(epoch=made.epoch, reads={"b": 1, "z": 0}, writes={"c": b"3"}))).seq == 3
    assert applied(store.commit("s", change(epoch=made.epoch))).seq == 4
    assert seen(store, "s", "a", "b", "c").cells == {"a": (2, b"2"), "b": (1, b"1"), "c": (3, b"3")}


def test_what_was_current_is_compared_once_the_session_has_changed(store: Store) -> None:
    make(store, "s", writes={"a": b"1", "i:1": b"1"})
    old = seen(store, "s", "a", "i:1", "head")
    applied(store.commit("s", change(epoch=old.epoch, writes={"i:1": b"2"})))
    conflict = refused(store.commit("s", change_after(old, ["a", "i:1"], writes={"a": b"3"}, is_current=True)))
    assert conflict.view is not None
    assert conflict.view.cells["i:1"] == (2, b"2")
    applied(store.commit("s", change_after(old, ["a"], writes={"a": b"3"}, is_current=True)))
    assert seen(store, "s", "a", "i:1").cells == {"a": (3, b"3"), "i:1": (2, b"2")}


def test_a_session_is_made_by_a_commit_that_saw_none(store: Store) -> None:
    view = refused(store.commit("s", change(epoch=7, writes={"a": b""}))).view
    assert view is None
    assert refused(store.commit("s", change(reads={"a": 3}, writes={"a": b""}))).view is None
    assert store.state("s") is None
    made = make(store, "s", reads={"a": 0}, writes={"a": b"1"})
    conflict = refused(store.commit("s", change(reads={"a": 0}, writes={"a": b"2"})))
    assert conflict.view is not None
    assert conflict.view.epoch == made.epoch
    assert conflict.view.cells == {"a": (1, b"1")}


def test_a_session_that_was_deleted_and_made_again_is_another_one(store: Store) -> None:
    first = make(store, "s", writes={"a": b"1"}, counts={"n": 5}, due={"x": (0, b"")})
    assert store.delete("s")
    assert store.due() == []
    assert refused(store.commit("s", change(epoch=first.epoch, reads={"a": 1}))).view is None
    second = make(store, "s", writes={"a": b"2"})
    assert second.epoch != first.epoch
    assert second.seq == 1
    conflict = refused(store.commit("s", change(epoch=first.epoch, reads={"a": 1}, writes={"a": b"3"})))
    assert conflict.view is not None
    assert (conflict.view.epoch, conflict.view.cells) == (second.epoch, {"a": (1, b"2")})
    assert store.counts("s") == {}
    assert [event.seq for event in store.events("s")] == [1]


def test_counts_commute(store: Store) -> None:
    made = make(store, "s", counts={"n": 2, "zero": 0, "big": 2**40})
    for delta in (5, -3, 0):
        applied(store.commit("s", change(epoch=made.epoch, counts={"n": delta, "m": -1})))
    assert store.counts("s") == {"n": 4, "zero": 0, "m": -3, "big": 2**40}


def test_links_are_followed_two_steps_in_one_read(store: Store) -> None:
    trigger = encode_record(TriggerRecord(links=("t:1", "c:1", "t:none"), tasks=("1",)))
    task = encode_record(TaskRecord(links=("i:1#0", "t:2", "i:none")))
    further = encode_record(TaskRecord(links=("i:2#0",)))
    cells = {"g:x": trigger, "t:1": task, "t:2": further, "c:1": b"c", "i:1#0": b"1", "i:2#0": b"2"}
    make(store, "s", writes=cells)
    view = store.read("s", ["g:x"])
    assert view is not None
    assert view.cells == {name: (1, cells[name]) for name in ("g:x", "t:1", "c:1", "i:1#0", "t:2")}
    view = store.read("s", ["t:2", "c:1"])
    assert view is not None
    assert view.cells == {name: (1, cells[name]) for name in ("t:2", "c:1", "i:2#0")}
    assert seen(store, "s", "g:x", "t:1").cells == {"g:x": (1, trigger), "t:1": (1, task)}


# Commits whose answer was lost --------------------------------------------------------------------------------------


def test_the_same_commit_again_is_answered_as_it_was_then(place: Place) -> None:
    store, other = place.open(), place.open()
    making = change(writes={"a": b"1"}, counts={"n": 1}, at_us=5)
    made = applied(store.commit("s", making))
    assert other.commit("s", making) == made
    changing = change(epoch=made.epoch, reads={"a": 1}, writes={"a": b"2"}, counts={"n": 1}, at_us=6)
    changed = applied(store.commit("s", changing))
    blind = change(epoch=made.epoch, writes={"b": b"2"}, counts={"n": 1})
    blinded = applied(store.commit("s", blind))
    empty = change(epoch=made.epoch, counts={"n": 1}, due={"x": (0, b"")})
    emptied = applied(store.commit("s", empty))
    for _ in range(30):
        applied(store.commit("s", change_after(seen(store, "s", "a"), "a", writes={"a": b"3"})))
    before = store.state("s")
    assert other.commit("s", making) == made
    assert other.commit("s", changing) == changed
    assert other.commit("s", blind) == blinded
    assert other.commit("s", empty) == emptied
    assert store.state("s") == before
    assert store.counts("s") == {"n": 4}


def test_the_same_commit_again_is_recognised_while_the_session_is_locked(store: Store) -> None:
    making = change(writes={"a": b"1"})
    made = applied(store.commit("s", making))
    assert store.acquire_lock("s", b"somebody", LONG_S) == 0
    assert store.commit("s", making) == made


def test_a_commit_is_not_taken_for_one_of_another_session(store: Store) -> None:
    commit = change(writes={"a": b"1"}, counts={"n": 1})
    assert applied(store.commit("s", commit)).epoch != applied(store.commit("r", commit)).epoch
    assert store.counts("s") == store.counts("r") == {"n": 1}


# Events -------------------------------------------------------------------------------------------------------------


def test_events_are_in_order_and_their_moments_never_go_back(store: Store) -> None:
    made = make(store, "s", at_us=100, event=b"1")
    for at_us, event in ((90, b"2"), (120, b""), (110, b"4" * 10_000)):
        applied(store.commit("s", change(epoch=made.epoch, at_us=at_us, event=event)))
    expected = [(1, 100, b"1"), (2, 100, b"2"), (3, 120, b""), (4, 120, b"4" * 10_000)]
    assert store.events("s") == expected
    assert all(isinstance(event, StoredEvent) for event in store.events("s"))
    assert store.events("s", after=2) == expected[2:]
    assert store.events("s", after=1, limit=2) == expected[1:3]
    assert store.events("s", limit=0) == store.events("s", after=4) == store.events("s", after=99) == []
    state = store.state("s")
    assert state is not None
    assert (state.created_us, state.modified_us, state.seq) == (100, 120, 4)


def test_the_first_events_of_many_sessions_are_those_of_each(store: Store) -> None:
    for n in range(120):
        made = make(store, f"s{n}")
        for _ in range(n % 4):
            applied(store.commit(f"s{n}", change(epoch=made.epoch)))
    store.trim_events("s7", 1)
    uids = ["nobody", *(f"s{n}" for n in reversed(range(120))), "s3"]

    assert list(store.first_events(uids, 3)) == [store.events(uid, limit=3) for uid in uids]
    assert list(store.first_events([], 3)) == []


def test_trimmed_events_are_gone_and_their_numbers_are_not_used_again(store: Store) -> None:
    made = make(store, "s")
    for _ in range(4):
        applied(store.commit("s", change(epoch=made.epoch)))
    before = store.state("s")
    assert store.first_event_seq("s") == 1
    assert store.trim_events("s", 10) == 0
    assert store.trim_events("s", 2) == 3
    assert store.trim_events("s", 2) == 0
    assert [event.seq for event in store.events("s")] == [4, 5]
    assert store.first_event_seq("s") == 4
    assert store.trim_events("s", 0) == 2
    assert store.events("s") == []
    assert store.first_event_seq("s") == 6
    assert store.state("s") == before
    assert applied(store.commit("s", change(epoch=made.epoch))).seq == 6
    assert store.first_event_seq("s") == 6


def test_whoever_waits_for_events_is_told_whose_there_are(place: Place) -> None:
    store = place.open()
    make(store, "s")
    applied(store.commit("s", change_after(seen(store, "s"))))
    make(store, "r")
    assert store.wait_for_events({"s": 1, "r": 1, "none": 0}, 0) == {"s"}
    assert store.wait_for_events({"s": 0, "r": 0}, LONG_S) == {"s", "r"}
    assert store.wait_for_events({"s": 2, "r": 1}, 0.01) == set()
    assert store.wait_for_events({}, 0) == set()


# Due items ----------------------------------------------------------------------------------------------------------


def test_due_items_come_when_their_moment_has_come_longest_due_first(store: Store) -> None:
    started_us = store.now_us()
    make(store, "s", due={"second": (0.2, b"2"), "later": (LONG_S, b"later")})
    between_us = store.now_us()
    make(store, "r", due={"first": (0, b"1"), "third": (0.4, b"")})
    made_us = store.now_us()
    while len(found := store.due()) < 3:
        time.sleep(PAUSE_S)
    # It was first, unless both were made at leisure.
    assert found == sorted(found, key=lambda each: each[2].due_us)
    assert {item: (uid, entry.data) for uid, item, entry in found} == {
        "first": ("r", b"1"),
        "second": ("s", b"2"),
        "third": ("r", b""),
    }
    moments = {item: entry.due_us for _, item, entry in found}
    assert started_us <= moments["second"] - 200_000 <= between_us <= moments["first"] <= made_us
    assert moments["third"] == moments["first"] + 400_000
    assert all(isinstance(entry, DueItem) and started_us <= entry.due_us <= store.now_us() for _, _, entry in found)
    assert store.due(limit=2) == found[:2]
    assert store.next_due_us() == found[0][2].due_us
    state = store.state("s")
    assert state is not None
    assert {item: entry.data for item, entry in state.due.items()} == {"second": b"2", "later": b"later"}
    assert 0 <= state.due["later"].due_us - started_us - LONG_S * 1e6 <= store.now_us() - started_us


def test_commits_replace_and_remove_due_items(store: Store) -> None:
    made = make(store, "s", due={"a": (0, b"1"), "b": (0, b"1"), "c": (0, b"1")})
    applied(store.commit("s", change(epoch=made.epoch, due={"a": (LONG_S, b"2"), "b": None, "none": None})))
    assert [(item, entry.data) for _, item, entry in store.due()] == [("c", b"1")]
    assert store.settle("s", "c")
    assert not store.settle("s", "c")
    assert store.due() == []
    state = store.state("s")
    assert state is not None
    assert list(state.due) == ["a"]
    assert store.next_due_us() == state.due["a"].due_us
    assert (state.seq, len(store.events("s"))) == (2, 2)


def test_only_one_of_those_who_saw_an_item_may_postpone_it(store: Store) -> None:
    make(store, "s", due={"x": (0, b"data")})
    [(_, _, item)] = store.due()
    assert not store.postpone("s", "x", 0, due_us=item.due_us - 1)
    assert store.postpone("s", "x", 0, due_us=item.due_us)
    assert not store.postpone("s", "x", 0, due_us=item.due_us)
    time.sleep(0.001)
    [(_, _, again)] = store.due()
    assert again.due_us > item.due_us
    assert again.data == b"data"
    assert store.postpone("s", "x", LONG_S)
    assert store.due() == []
    assert store.postpone("s", "x", 0)
    assert not store.postpone("s", "y", 0)
    assert not store.postpone("r", "x", 0)
    assert len(store.events("s")) == 1


# Locks --------------------------------------------------------------------------------------------------------------


def test_a_lock_keeps_others_from_changing_the_session(place: Place) -> None:
    store, other = place.open(), place.open()
    made = make(store, "s", writes={"a": b"1"})
    assert store.acquire_lock("s", b"mine", LONG_S) == 0
    assert store.acquire_lock("s", b"mine", LONG_S) == 0
    assert LONG_S - 100 < other.acquire_lock("s", b"other", 1) <= LONG_S
    for lock in (b"", b"other"):
        conflict = refused(other.commit("s", change(epoch=made.epoch, reads={"a": 1}, writes={"a": b"2"}, lock=lock)))
        assert LONG_S - 100 < conflict.locked_s <= LONG_S
        assert conflict.view is not None
        assert conflict.view.epoch == made.epoch
    assert seen(other, "s", "a").cells == {"a": (1, b"1")}
    assert applied(store.commit("s", change(epoch=made.epoch, reads={"a": 1}, lock=b"mine"))).seq == 2
    stale = refused(store.commit("s", change(epoch=made.epoch, reads={"a": 7}, lock=b"mine")))
    assert stale.locked_s == 0
    assert not other.release_lock("s", b"other")
    assert store.release_lock("s", b"mine")
    assert not store.release_lock("s", b"mine")
    applied(other.commit("s", change(epoch=made.epoch, writes={"a": b"3"})))


def test_a_session_can_be_locked_before_it_is_made(store: Store) -> None:
    assert store.acquire_lock("s", b"mine", LONG_S) == 0
    conflict = refused(store.commit("s", change(writes={"a": b"1"})))
    assert conflict.view is None
    assert conflict.locked_s > 0
    assert store.state("s") is None
    make(store, "r")
    make(store, "s", lock=b"mine")


def test_a_lock_whose_lease_has_run_out_stops_nobody(store: Store) -> None:
    made = make(store, "s")
    assert store.acquire_lock("s", b"dead", SHORT_S) == 0
    time.sleep(PAUSE_S)
    applied(store.commit("s", change(epoch=made.epoch)))
    assert not store.release_lock("s", b"dead")
    assert store.acquire_lock("s", b"dead", SHORT_S) == 0
    time.sleep(PAUSE_S)
    assert not store.release_lock("s", b"dead")
    assert store.acquire_lock("s", b"dead", SHORT_S) == 0
    time.sleep(PAUSE_S)
    assert store.acquire_lock("s", b"next", LONG_S) == 0
    assert store.acquire_lock("s", b"dead", SHORT_S) > 0


def test_renewing_a_lock_prolongs_its_lease(store: Store) -> None:
    make(store, "s")
    assert store.acquire_lock("s", b"mine", SHORT_S) == 0
    assert store.acquire_lock("s", b"mine", LONG_S) == 0
    time.sleep(PAUSE_S)
    assert store.acquire_lock("s", b"other", 1) > LONG_S - 100


def test_items_can_be_settled_and_postponed_in_a_locked_session(store: Store) -> None:
    make(store, "s", due={"a": (0, b""), "b": (0, b"")})
    assert store.acquire_lock("s", b"mine", LONG_S) == 0
    assert store.postpone("s", "a", LONG_S)
    assert store.settle("s", "b")


def test_deleting_a_session_takes_its_lock_along(store: Store) -> None:
    make(store, "s")
    assert store.acquire_lock("s", b"mine", LONG_S) == 0
    assert store.delete("s")
    make(store, "s")


# Expiry -------------------------------------------------------------------------------------------------------------


def test_a_session_without_anything_unresolved_expires(place: Place) -> None:
    store = place.open()
    made = make(store, "s", counts={"unresolved": 0}, timeout_s=SHORT_S, writes={"a": b"1"})
    make(store, "stays")
    time.sleep(PAUSE_S)
    assert store.read("s", ["a"]) is None
    assert store.counts("s") is None
    assert store.state("s") is None
    assert store.events("s") == []
    assert store.first_event_seq("s") is None
    assert store.trim_events("s", 0) == 0
    assert [summary.uid for summary in store.summaries()] == ["stays"]
    assert not store.delete("s")
    assert refused(place.open().commit("s", change(epoch=made.epoch))).view is None
    again = make(store, "s", writes={"b": b"2"})
    assert (again.seq, seen(store, "s", "a", "b").cells) == (1, {"b": (1, b"2")})


def test_a_session_with_something_unresolved_or_pending_does_not_expire(store: Store) -> None:
    make(store, "unresolved", counts={"unresolved": 1}, timeout_s=SHORT_S)
    make(store, "pending", due={"x": (0, b"")}, timeout_s=SHORT_S)
    make(store, "settled", due={"x": (0, b"")}, timeout_s=LONG_S)
    time.sleep(PAUSE_S)
    make(store, "another")
    resolved = change_after(seen(store, "unresolved"), counts={"unresolved": -1}, timeout_s=SHORT_S)
    applied(store.commit("unresolved", resolved))
    assert store.settle("pending", "x")
    assert store.settle("settled", "x")
    time.sleep(PAUSE_S)
    assert store.counts("unresolved") is None
    assert store.counts("pending") is None
    # Its time begins when it is settled.
    assert store.counts("settled") == {}


def test_a_change_starts_the_time_anew_or_stops_it(store: Store) -> None:
    waits_s = [
        change_in_time(store, "longer", lambda _: {"timeout_s": LONG_S}),
        change_in_time(store, "never", lambda _: {"timeout_s": None}),
        change_in_time(store, "busy", lambda timeout_s: {"counts": {"unresolved": 1}, "timeout_s": timeout_s}),
    ]
    made = make(store, "shorter", timeout_s=LONG_S)
    applied(store.commit("shorter", change(epoch=made.epoch, timeout_s=SHORT_S)))
    time.sleep(max(waits_s) + PAUSE_S)
    assert {summary.uid for summary in store.summaries()} == {"longer", "never", "busy"}


def change_in_time(store: Store, uid: str, parts: Callable[[float], dict[str, Any]]) -> float:
    """Make a session and change it before its time has run out; where that takes long, it has more. Return how much."""
    for timeout_s in (0.05, 0.5, 5.0):
        made = make(store, uid, timeout_s=timeout_s)
        answer = store.commit(uid, change(epoch=made.epoch, **parts(timeout_s)))
        if isinstance(answer, Committed):
            return timeout_s
    raise AssertionError(f"{uid} has expired before it could be changed")


def test_settling_one_of_several_items_lets_nothing_expire(store: Store) -> None:
    make(store, "s", due={"x": (0, b""), "y": (LONG_S, b"")}, timeout_s=SHORT_S)
    assert store.settle("s", "x")
    time.sleep(PAUSE_S)
    assert store.counts("s") == {}


# Listings -----------------------------------------------------------------------------------------------------------


def test_summaries_come_last_changed_first(store: Store) -> None:
    for uid, at_us in (("b", 20), ("a", 20), ("old", 10), ("new", 30)):
        make(store, uid, writes={"head": uid.encode(), "other": b"x"}, counts={"n": at_us}, at_us=at_us)
    assert [summary.uid for summary in store.summaries()] == ["new", "a", "b", "old"]
    applied(store.commit("old", change_after(seen(store, "old"), at_us=40)))
    [first, *rest] = store.summaries()
    assert [summary.uid for summary in rest] == ["new", "a", "b"]
    assert (first.uid, first.seq, first.created_us, first.modified_us) == ("old", 2, 10, 40)
    assert (first.counts, first.head, first.epoch) == ({"n": 10}, b"old", seen(store, "old").epoch)


def test_summaries_can_be_chosen_by_time_and_by_uid(store: Store) -> None:
    for number in range(5):
        make(store, f"s{number}", writes={"x": b""}, at_us=number)
    assert [summary.uid for summary in store.summaries(since_us=1, until_us=4)] == ["s3", "s2", "s1"]
    assert [summary.uid for summary in store.summaries(since_us=4)] == ["s4"]
    assert [summary.uid for summary in store.summaries(until_us=0)] == []
    chosen = store.summaries(uids=["s1", "none", "s4", "s0"])
    assert [(summary.uid, summary.head) for summary in chosen] == [("s1", b""), ("s4", b""), ("s0", b"")]
    assert list(store.summaries(uids=[])) == []


def test_states_come_in_the_order_given(store: Store) -> None:
    uids = [f"s{number}" for number in range(150)]
    for uid in uids:
        make(store, uid, writes={"head": uid.encode()}, counts={"n": 1}, due={"x": (LONG_S, b"")})
    asked = [*reversed(uids), "none", "s0"]
    found = list(store.states(asked))
    assert [uid for uid, _ in found] == asked
    for uid, state in found:
        assert state == store.state(uid)
        assert (state is None) == (uid == "none")
        if state is not None:
            assert state.cells == {"head": (1, uid.encode())}
            assert list(state.due) == ["x"]
    assert len({uid: state.epoch for uid, state in found if state}) == 150


def test_states_can_be_limited_to_cells_by_prefix(store: Store) -> None:
    names = ("head", "c:1", "c:2", "c", "d:1", "i:\U0010ffff", "i:\U0010ffffx", "\U0010ffffy", "i:\ud7ff", "i:%")
    make(store, "s", writes=dict.fromkeys(names, b""), counts={"n": 1}, due={"c:due": (LONG_S, b"")})

    def chosen(*prefixes: str) -> set[str]:
        [(_, state)] = store.states(["s"], prefixes)
        assert state is not None
        assert (state.counts, list(state.due)) == ({"n": 1}, ["c:due"])
        return set(state.cells)

    for prefixes in (
        ("c:",),
        ("head", "c"),
        ("i:",),
        ("i:\U0010ffff",),
        ("\U0010ffff",),
        ("i:\ud7ff",),
        ("i:%",),
        ("z",),
    ):
        assert chosen(*prefixes) == {name for name in names if name.startswith(prefixes)}
    assert chosen() == chosen("") == set(names)


def test_clearing_deletes_all_sessions(store: Store) -> None:
    for uid in ("s", "r"):
        make(store, uid, due={"x": (0, b"")})
        assert store.acquire_lock(uid, b"mine", LONG_S) == 0
    store.clear()
    assert list(store.summaries()) == store.due() == store.events("s") == []
    assert store.next_due_us() is None
    make(store, "s")


# Size and names -----------------------------------------------------------------------------------------------------


def test_a_session_of_ten_thousand_cells(store: Store) -> None:
    names = [f"i:task#{number}" for number in range(10_000)]
    made = make(store, "s", reads=dict.fromkeys(names, 0), writes={name: name.encode() * 5 for name in names})
    state = store.state("s")
    assert state is not None
    assert state.cells == {name: (1, name.encode() * 5) for name in names}
    view = seen(store, "s", *names)
    assert view.cells == state.cells
    applied(store.commit("s", change_after(view, names, writes={names[77]: b"new"})))
    conflict = refused(store.commit("s", change_after(view, names, writes={names[78]: b"new"})))
    assert conflict.view is not None
    assert conflict.view.cells[names[77]] == (2, b"new")
    items = dict.fromkeys(names, (0.0, b"x"))
    applied(store.commit("s", change(epoch=made.epoch, due=items, counts=dict.fromkeys(names, 1))))
    assert len(store.due(limit=20_000)) == len(store.counts("s") or ()) == 10_000
    applied(store.commit("s", change(epoch=made.epoch, due=dict.fromkeys(names))))
    assert store.due() == []
    assert store.delete("s")


def test_names_hold_any_characters(store: Store) -> None:
    for uid in ODD_NAMES:
        cells = {name: f"{len(uid)} {name}".encode() for name in ODD_NAMES}
        items = {name: (0.0, data) for name, data in cells.items()}
        made = make(store, uid, writes=cells, counts=dict.fromkeys(ODD_NAMES, len(uid)), due=items)
        reads = dict.fromkeys(ODD_NAMES, 1)
        applied(store.commit(uid, change(epoch=made.epoch, reads=reads, counts=dict.fromkeys(ODD_NAMES, 1))))
    assert {summary.uid for summary in store.summaries()} == set(ODD_NAMES)
    assert {(uid, item) for uid, item, _ in store.due()} == {(uid, item) for uid in ODD_NAMES for item in ODD_NAMES}
    for uid, state in store.states(ODD_NAMES):
        assert state is not None
        cells = {name: f"{len(uid)} {name}".encode() for name in ODD_NAMES}
        assert {name: cell.data for name, cell in state.cells.items()} == cells
        assert {name: item.data for name, item in state.due.items()} == cells
        assert state.counts == dict.fromkeys(ODD_NAMES, len(uid) + 1)
        assert store.acquire_lock(uid, b"mine", LONG_S) == 0
        assert store.settle(uid, uid)
        assert store.postpone(uid, ODD_NAMES[uid == ODD_NAMES[0]], LONG_S)
        [(_, only)] = store.states([uid], [uid])
        assert only is not None
        assert only.cells == {name: cell for name, cell in state.cells.items() if name.startswith(uid)}
    for uid in ODD_NAMES:
        assert store.delete(uid)
    assert list(store.summaries()) == []


def test_values_may_be_big_and_hold_any_bytes(store: Store) -> None:
    big, every = os.urandom(5_000_000), bytes(range(256))
    make(store, "s", writes={"big": big, "every": every}, due={"x": (0, every)}, event=big)
    assert seen(store, "s", "big", "every").cells == {"big": (1, big), "every": (1, every)}
    assert store.events("s")[0].data == big
    assert store.due()[0][2].data == every


def test_a_state_is_a_record_that_can_be_copied(store: Store) -> None:
    make(store, "s", writes={"a": b"1"}, counts={"n": 1}, due={"x": (LONG_S, b"x")})
    state = store.state("s")
    assert isinstance(state, SessionState)
    copied = msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=SessionState)
    assert copied == state
    state.cells.clear()
    state.counts.clear()
    assert store.state("s") == copied


def test_a_closed_store_opens_again(place: Place) -> None:
    store = place.open()
    make(store, "s")
    store.close()
    store.close()
    assert store.counts("s") == {}


def test_cells_of_many_sessions_are_read_together(store: Store) -> None:
    uids = [f"s{number}" for number in range(250)]
    for number, uid in enumerate(uids[:-1]):
        make(store, uid, writes={"head": b"h", "a": str(number).encode()})

    views = store.read_many({uid: ["a", "absent"] for uid in reversed(uids)})

    assert list(views) == uids[::-1]
    assert views["s249"] is None
    for number, uid in enumerate(uids[:-1]):
        view = views[uid]
        assert view is not None
        assert view == store.read(uid, ["a", "absent"], follow=False)
        assert view.cells["a"].data == str(number).encode()
    assert store.read_many({}) == {}
