"""Several threads and processes on one session: all or nothing, for every reader, whatever dies meanwhile."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

from tests.storages.contract import (
    Place,
    applied,
    change,
    change_after,
    commit_for_ever,
    increment,
    increment_at,
    make,
    seen,
)
from triggers_nb.storages.store import Committed, Store

N_THREADS = 6
spawn = multiprocessing.get_context("spawn")


def at_once(number: int, work: Callable[[int], object]) -> list[object]:
    """Let so many threads start at the same moment, and return what came of each."""
    barrier = Barrier(number)

    def run(index: int) -> object:
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


def test_of_threads_that_make_a_session_one_wins(place: Place) -> None:
    store = place.open()
    answers = at_once(N_THREADS, lambda index: store.commit("s", change(writes={"a": b"%d" % index})))
    [won] = [index for index, answer in enumerate(answers) if isinstance(answer, Committed)]
    assert seen(store, "s", "a").cells == {"a": (1, b"%d" % won)}


def test_of_threads_that_rest_on_one_cell_one_wins(place: Place) -> None:
    stores = [place.open() for _ in range(N_THREADS)]
    make(stores[0], "s", writes={"a": b""})
    for number in range(10):
        view = seen(stores[0], "s", "a")
        commits = [change_after(view, "a", writes={"a": b"%d" % index}) for index in range(N_THREADS)]

        def send(index: int, commits: list[object] = commits) -> object:
            return stores[index].commit("s", commits[index])  # type: ignore[arg-type]

        won = [index for index, answer in enumerate(at_once(N_THREADS, send)) if isinstance(answer, Committed)]
        assert len(won) == 1
        assert seen(stores[0], "s", "a").cells == {"a": (number + 2, b"%d" % won[0])}


def test_threads_that_compare_and_retry_lose_nothing(place: Place) -> None:
    stores = [place.open() for _ in range(N_THREADS)]
    at_once(N_THREADS, lambda index: increment(stores[index], "s", 50))
    check_number(stores[0], N_THREADS * 50)


def test_processes_that_compare_and_retry_lose_nothing(shared_place: Place) -> None:
    processes = [spawn.Process(target=increment_at, args=(shared_place.url, "s", 100)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    check_number(shared_place.open(), 400)


def check_number(store: Store, expected: int) -> None:
    assert int(seen(store, "s", "number").cells["number"].data) == expected
    assert store.counts("s") == {"n": expected}
    assert [event.seq for event in store.events("s")] == list(range(1, expected + 1))


def test_the_same_commit_sent_by_several_at_once_is_applied_once(place: Place) -> None:
    stores = [place.open() for _ in range(N_THREADS)]
    made = make(stores[0], "s", writes={"a": b""})
    for commit in (
        change(epoch=made.epoch, counts={"n": 1}),
        change(epoch=made.epoch, reads={"a": 1}, writes={"a": b"1"}, counts={"n": 1}),
    ):
        answers = at_once(N_THREADS, lambda index, commit=commit: stores[index].commit("s", commit))  # type: ignore[misc]
        assert len({*answers}) == 1
        applied(answers[0])  # type: ignore[arg-type]
    assert stores[0].counts("s") == {"n": 2}


def test_of_threads_that_postpone_an_item_one_wins(place: Place) -> None:
    stores = [place.open() for _ in range(N_THREADS)]
    make(stores[0], "s", due={"x": (0, b"")})
    for _ in range(10):
        [(_, _, item)] = stores[0].due()
        due_us = item.due_us
        answers = at_once(N_THREADS, lambda index, due_us=due_us: stores[index].postpone("s", "x", 0, due_us=due_us))  # type: ignore[misc]
        assert sorted(map(bool, answers)) == [False] * (N_THREADS - 1) + [True]
    assert sorted(map(bool, at_once(N_THREADS, lambda index: stores[index].settle("s", "x")))) == [
        *[False] * (N_THREADS - 1),
        True,
    ]


def test_of_threads_that_want_a_lock_one_gets_it(place: Place) -> None:
    stores = [place.open() for _ in range(N_THREADS)]
    for _ in range(5):
        waits = at_once(N_THREADS, lambda index: stores[index].acquire_lock("s", b"%d" % index, 1000.0))
        [holder] = [index for index, wait_s in enumerate(waits) if wait_s == 0]
        assert stores[0].release_lock("s", b"%d" % holder)


def test_readers_see_every_session_at_one_moment(place: Place) -> None:
    names = [f"c{number}" for number in range(40)]
    store, stop = place.open(), Event()
    for uid in "rs":
        make(store, uid, writes=dict.fromkeys(names, b"0"), counts={"n": 0}, due=dict.fromkeys(names, (0.0, b"0")))

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            data = b"%d" % number
            for uid in "rs":
                view = seen(store, uid, *names)
                items = dict.fromkeys(names, (0.0, data))
                parts = {"writes": dict.fromkeys(names, data), "counts": {"n": 1}, "due": items, "event": data}
                applied(store.commit(uid, change_after(view, names, **parts)))  # type: ignore[arg-type]

    def look(other: Store) -> None:
        view = seen(other, "r", *names)
        assert set(view.cells.values()) == {(view.seq, b"%d" % (view.seq - 1))}
        for _, state in other.states("rs"):
            assert state is not None
            data = b"%d" % (state.seq - 1)
            assert {*state.cells.values()} == {(state.seq, data)}
            assert {item.data for item in state.due.values()} == {data}
            assert state.counts == {"n": state.seq - 1}
        for summary in other.summaries():
            assert summary.counts == {"n": summary.seq - 1}

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            other, n_looks = place.open(), 0
            while n_looks < 60 or (seen(other, "r").seq < 10 and not writer.done()):
                look(other)
                n_looks += 1
        finally:
            stop.set()
        writer.result()
    assert seen(store, "r").seq >= 10


def test_waiting_for_events_ends_when_another_thread_commits(place: Place) -> None:
    store = place.open()
    make(store, "s")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(place.open().wait_for_events, {"s": 1, "none": 0}, 1000.0)
        applied(store.commit("s", change_after(seen(store, "s"))))
        assert waiting.result() == {"s"}


def test_a_process_that_is_killed_while_it_commits_leaves_all_or_nothing(shared_place: Place) -> None:
    store = shared_place.open()
    for uid in ("first", "second"):
        process = spawn.Process(target=commit_for_ever, args=(shared_place.url, uid))
        process.start()
        waited: set[str] = set()
        while not waited:
            waited = store.wait_for_events({uid: 30}, 10)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        check_whole(shared_place.open(), uid)


def check_whole(store: Store, uid: str) -> None:
    state = store.state(uid)
    assert state is not None
    expected = b"%d" % state.seq * 2000
    assert state.cells == {"a": (state.seq, expected), "b": (state.seq, expected)}
    assert state.counts == {"n": state.seq}
    numbers = range(max(state.seq - 6, 1), state.seq + 1)
    assert {item: entry.data for item, entry in state.due.items()} == {
        f"item {number % 7}": b"%d" % number * 2000 for number in numbers
    }
    assert [event.seq for event in store.events(uid)] == list(range(1, state.seq + 1))
    view = seen(store, uid, "a", "b")
    assert applied(store.commit(uid, change_after(view, ["a", "b"]))).seq == state.seq + 1
