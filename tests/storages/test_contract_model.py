"""Random operations on every store, and on a model that is too simple to be wrong."""

import time
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.storages.contract import Model, Place, change
from triggers_nb.storages.store import Commit, Committed, Store, View

UIDS = st.sampled_from(["s", "r", "q\0{}%"])
CELLS = st.sampled_from(["a", "b", "head", "i:1", "é'"])
ITEMS = st.sampled_from(["x", "y"])
TOKENS = st.sampled_from([b"one", b"two"])
LONG_S = 1000.0
SHORT_S = 0.001


class StoreMachine(RuleBasedStateMachine):
    store: Store

    @initialize()
    def start(self) -> None:
        self.store.clear()
        self.model = Model()
        #: What was read, and when: the ground that commits rest on.
        self.views: dict[str, list[View]] = {}
        self.commits: list[tuple[str, Commit]] = []

    @rule(uid=UIDS, names=st.lists(CELLS))
    def read(self, uid: str, names: list[str]) -> None:
        view, session = self.store.read(uid, names), self.model.sessions.get(uid)
        assert (view is None) == (session is None)
        if view is not None and session is not None:
            assert (view.epoch, view.seq) == (session.epoch, session.seq)
            assert view.cells == {name: session.cells[name] for name in names if name in session.cells}

    @rule(uid=UIDS)
    def look(self, uid: str) -> None:
        view = self.store.read(uid, ["a", "b", "head", "i:1", "é'"])
        if view is not None:
            self.views.setdefault(uid, []).append(view)

    @rule(data=st.data(), uid=UIDS)
    def commit(self, data: st.DataObject, uid: str) -> None:
        grounds = self.views.get(uid, [])
        view = data.draw(st.sampled_from([None, *grounds[-3:]]), label="view")
        names = data.draw(st.sets(CELLS), label="reads")
        known = data.draw(st.booleans(), label="known") if view is not None else False
        commit = change(
            **({"base_seq": view.seq, "is_current": True} if known and view is not None else {}),
            epoch=0 if view is None else view.epoch,
            reads={name: view.cells[name].revision if view is not None and name in view.cells else 0 for name in names},
            writes=data.draw(st.dictionaries(CELLS, st.binary(max_size=5)), label="writes"),
            counts=data.draw(st.dictionaries(st.sampled_from(["n", "unresolved"]), st.integers(-1, 1)), label="counts"),
            due=data.draw(st.dictionaries(ITEMS, st.none() | st.tuples(st.sampled_from([0.0, LONG_S]), st.binary()))),
            event=data.draw(st.binary(max_size=5), label="event"),
            at_us=data.draw(st.integers(1, 50), label="at"),
            timeout_s=data.draw(st.sampled_from([None, None, LONG_S, SHORT_S]), label="timeout"),
            lock=data.draw(st.just(b"") | TOKENS, label="lock"),
        )
        self.commits.append((uid, commit))
        self._send(uid, commit)

    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        if self.commits:
            self._send(*data.draw(st.sampled_from(self.commits)))

    def _send(self, uid: str, commit: Commit) -> None:
        kind, facts = self.model.answer(uid, commit)
        answer = self.store.commit(uid, commit)
        session = self.model.sessions.get(uid)
        if kind == "applied":
            assert isinstance(answer, Committed)
            assert session is not None
            session.epoch = session.epoch or answer.epoch
            assert answer == (session.epoch, *facts)
            self._let_expire()
            return
        assert not isinstance(answer, Committed)
        assert (answer.locked_s > 0) == facts
        assert (answer.view is None) == (session is None)
        if answer.view is not None and session is not None:
            assert (answer.view.epoch, answer.view.seq) == (session.epoch, session.seq)
            current = {name: session.cells.get(name) for name in commit.reads}
            assert all(current[name] == cell for name, cell in answer.view.cells.items())
            moved = {name for name, found in current.items() if (found or (0,))[0] != commit.reads[name]}
            assert moved - {name for name, found in current.items() if found is None} <= answer.view.cells.keys()

    def _let_expire(self) -> None:
        if any(session.expires() and session.timeout_s == SHORT_S for session in self.model.sessions.values()):
            time.sleep(0.003)
        for uid, session in list(self.model.sessions.items()):
            if session.expires() and session.timeout_s == SHORT_S:
                del self.model.sessions[uid]

    @rule(uid=UIDS, item=ITEMS)
    def settle(self, uid: str, item: str) -> None:
        session = self.model.sessions.get(uid)
        assert self.store.settle(uid, item) == (session is not None and session.due.pop(item, None) is not None)
        self._let_expire()

    @rule(uid=UIDS, item=ITEMS, delay_s=st.sampled_from([0.0, LONG_S]), as_seen=st.sampled_from([None, True, False]))
    def postpone(self, uid: str, item: str, delay_s: float, as_seen: bool | None) -> None:
        session, state = self.model.sessions.get(uid), self.store.state(uid)
        is_there = session is not None and item in session.due
        due_us = state.due[item].due_us if state is not None and is_there else 1
        due_us = due_us if as_seen else due_us + 1
        done = self.store.postpone(uid, item, delay_s, **({} if as_seen is None else {"due_us": due_us}))
        assert done == (is_there and as_seen is not False)
        if done and session is not None:
            session.due[item] = (delay_s == 0, session.due[item][1])

    @rule(uid=UIDS, token=TOKENS)
    def acquire_lock(self, uid: str, token: bytes) -> None:
        wait_s = self.store.acquire_lock(uid, token, LONG_S)
        assert (wait_s == 0) == (self.model.locks.setdefault(uid, token) == token)
        assert 0 <= wait_s <= LONG_S

    @rule(uid=UIDS, token=TOKENS)
    def release_lock(self, uid: str, token: bytes) -> None:
        held = self.model.locks.get(uid) == token
        assert self.store.release_lock(uid, token) == held
        if held:
            del self.model.locks[uid]

    @rule(uid=UIDS, keep=st.integers(0, 3))
    def trim(self, uid: str, keep: int) -> None:
        session = self.model.sessions.get(uid)
        n_trimmed = max(len(session.events) - keep, 0) if session is not None else 0
        assert self.store.trim_events(uid, keep) == n_trimmed
        if session is not None:
            del session.events[:n_trimmed]

    @rule(uid=UIDS)
    def delete(self, uid: str) -> None:
        assert self.store.delete(uid) == (self.model.sessions.pop(uid, None) is not None)
        self.model.locks.pop(uid, None)

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        sessions = self.model.sessions
        expected = sorted(sessions, key=lambda uid: (-sessions[uid].times[1], uid))
        assert [summary.uid for summary in self.store.summaries()] == expected
        for summary in self.store.summaries():
            assert _facts(summary) == _facts(sessions[summary.uid])
            assert summary.head == sessions[summary.uid].cells.get("head", (0, b""))[1]
        for uid, state in self.store.states([*expected]):
            session = sessions[uid]
            assert state is not None
            assert _facts(state) == _facts(session)
            assert state.cells == session.cells
            assert {item: entry.data for item, entry in state.due.items()} == {k: v[1] for k, v in session.due.items()}
            events = [(event.seq, event.at_us, event.data) for event in self.store.events(uid)]
            assert events == [(seq, at_us, data) for seq, at_us, _, data in session.events]
        come = {(uid, item) for uid, session in sessions.items() for item, (is_due, _) in session.due.items() if is_due}
        assert {(uid, item) for uid, item, _ in self.store.due()} == come
        assert (self.store.next_due_us() is None) == (not any(session.due for session in sessions.values()))


def _facts(found: Any) -> tuple[Any, ...]:
    times = found.times if hasattr(found, "times") else (found.created_us, found.modified_us)
    return found.epoch, found.seq, times, found.counts


def test_random_operations_leave_what_the_model_has(place: Place) -> None:
    class Machine(StoreMachine):
        store = place.open()

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
