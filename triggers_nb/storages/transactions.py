"""A change of a session: decided on what a handle has seen, and decided again if that was not what is there."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from triggers_nb.core import records as rec
from triggers_nb.core.records import InstanceRecord
from triggers_nb.core.status import CODES
from triggers_nb.core.work import Loaded, Missing, Slice, Step, Work
from triggers_nb.errors import CommitConflict, StaleTarget
from triggers_nb.storages.store import Commit, Committed, Conflict

if TYPE_CHECKING:
    from triggers_nb.storages.base import BaseTriggerStorage

#: For how long a change tries to win against others.
COMMIT_TIMEOUT_S = 30.0
#: Conflicts after which a change waits a little before it tries again.
IMMEDIATE_RETRIES: Final = 3
#: How many cells a handle keeps for its next change.
MAX_KEPT_CELLS: Final = 2000

_SCHEDULED: Final = CODES["scheduled"]


class Outcome(NamedTuple):
    """What came of a decision."""

    #: What was decided.
    step: Step
    #: None if there was nothing to commit.
    committed: Committed | None
    #: The session that the decision looked at.
    session: Slice
    #: Identifies the commit.
    commit_id: bytes


class Watch:
    """What one thread wants of the changes that it makes through a handle, as a step of a plan does.

    Changes that other threads make through the same handle (a timer's that a hook has started) are no concern of it.

    Parameters
    ----------
    observe : callable
        Called with the outcome of each change.
    expected : mapping of str to int
        Revisions that cells must have, in place of the handle's.
    epoch : int, optional
        The epoch that the session must have.
    """

    __slots__ = ("epoch", "expected", "observe", "thread")

    def __init__(
        self, observe: Callable[[Outcome], object], expected: Mapping[str, int] | None = None, epoch: int | None = None
    ) -> None:
        self.observe, self.expected, self.epoch = observe, expected or {}, epoch
        self.thread = threading.get_ident()

    @property
    def is_step(self) -> bool:
        """Whether the change that comes is the one that was asked for, and not another thread's, or a hook's."""
        return self.epoch is not None and self.thread == threading.get_ident()


class KeptCells:
    """Cells that a handle has seen, of one epoch (-1: nothing seen yet, 0: no session)."""

    __slots__ = ("cells", "epoch", "fresh", "seq")

    def __init__(self, epoch: int = -1) -> None:
        self.epoch = epoch
        #: Sequence number of the session when it was last looked at.
        self.seq = 0
        self.cells: dict[str, Loaded] = {}
        #: Names of those that are known to be what they were at `seq`.
        self.fresh: set[str] = set()

    def see(self, seq: int, names: Iterable[str]) -> None:
        """Note that these cells were looked at when the session was at `seq`."""
        if seq != self.seq:
            self.seq = seq
            self.fresh.clear()
        self.fresh.update(names)

    def forget(self, cell: str) -> None:
        """Do without a cell: what a handle keeps and never needs costs time with each change."""
        self.cells.pop(cell, None)
        self.fresh.discard(cell)


class SessionTransaction:
    """One run of `BaseTriggerStorage.transact`."""

    def __init__(
        self,
        storage: BaseTriggerStorage,
        action: str,
        decide: Callable[[Work], object],
        needs: Sequence[str],
        prepare: Callable[[Step, Slice], object] | None,
        hooked: frozenset[str],
        grace_s: float,
        error: str | None,
    ) -> None:
        self.storage, self.action, self.decide, self.needs, self.prepare = storage, action, decide, needs, prepare
        self.hooked, self.grace_s, self.error = hooked, grace_s, error
        try:
            self.kept = storage.kept.pop()
        except IndexError:
            self.kept = KeptCells()
        watch = storage.watch
        self.watch = watch if watch is not None and watch.thread == threading.get_ident() else None
        #: Whether the session has been looked at since this transaction began.
        self.has_looked = False
        self.deadline = time.monotonic() + COMMIT_TIMEOUT_S
        self.conflicts = 0

    def run(self) -> Outcome:
        """Decide until a decision was made on the current state and, unless it is empty, committed."""
        while True:
            outcome = self._attempt()
            if outcome is not None:
                if len(self.kept.cells) <= MAX_KEPT_CELLS:
                    self.storage.kept.append(self.kept)
                if self.watch is not None:
                    self.watch.observe(outcome)
                return outcome

    def _attempt(self) -> Outcome | None:
        storage, kept = self.storage, self.kept
        session = Slice(storage.uid, kept.epoch, kept.cells)
        try:
            session.need(self.needs)
            self._check_expected(session)
            commit_id = os.urandom(16)
            now_us = time.time_ns() // 1000
            is_deferred = storage.handover == "defer"
            work = Work(session, self.action, now_us, grace_s=self.grace_s, hooked=self.hooked, is_deferred=is_deferred)
            self.decide(work)
            step = work.step(commit_id)
            if not step.is_empty() and self.prepare is not None:
                self.prepare(step, session)
        except Missing as missing:
            self._load(missing.names)
            return None
        except Exception:
            # What was kept from an earlier change may be stale; a refusal must rest on the current state.
            if self._refresh(session):
                return None
            raise
        if step.is_empty():
            return None if self._refresh(session) else Outcome(step, None, session, commit_id)
        return self._commit(session, step, commit_id, now_us)

    def _check_expected(self, session: Slice) -> None:
        watch = self.watch
        expected, epoch = (self.storage.expected, None) if watch is None else (watch.expected, watch.epoch)
        if epoch is not None:
            session.need((rec.HEAD,))
            if session.epoch != epoch:
                raise StaleTarget(session.uid, rec.HEAD, epoch, session.epoch, is_epoch=True)
        if not expected:
            return
        session.need(expected)
        for cell, revision in expected.items():
            session.get(cell)
            if session.reads[cell] != revision:
                raise StaleTarget(session.uid, cell, revision, session.reads[cell])

    def _load(self, names: Iterable[str]) -> None:
        names = list(names)
        view = self.storage.store.read(self.storage.uid, names)
        self.has_looked = True
        self._enter(view.epoch if view is not None else 0)
        kept = self.kept
        kept.see(view.seq if view is not None else 0, names)
        for name in names:
            kept.cells[name] = Loaded(name, 0, None)
        if view is None:
            return
        kept.fresh.update(view.cells)
        for name, cell in view.cells.items():
            kept.cells[name] = Loaded(name, cell.revision, cell.data)
        # The store followed the links of what was asked for: a link that it did not bring is not there.
        for name in names:
            for link in rec.links_of(name, view.cells[name].data) if name in view.cells else ():
                if link not in view.cells:
                    kept.cells[link] = Loaded(link, 0, None)
                    kept.fresh.add(link)

    def _enter(self, epoch: int) -> None:
        if epoch != self.kept.epoch:
            self.kept = KeptCells(epoch)

    def _refresh(self, session: Slice) -> bool:
        """Read again what this decision took from earlier changes; False if it took nothing from there."""
        is_current = self.has_looked and (not session.epoch or self.kept.fresh.issuperset(session.reads))
        if is_current or not session.reads:
            return False
        self._load({*session.reads, rec.HEAD})
        return True

    def _commit(self, session: Slice, step: Step, commit_id: bytes, now_us: int) -> Outcome | None:
        storage = self.storage
        commit = Commit(
            commit_id=commit_id,
            epoch=session.epoch,
            base_seq=self.kept.seq,
            is_current=self.kept.fresh.issuperset(step.reads),
            reads=step.reads,
            writes=step.writes,
            counts=step.counts,
            due=step.due,
            event=step.event(commit_id, storage.provenance, self.error),
            at_us=now_us,
            timeout_s=step.timeout_s,
            lock=storage.lock_token,
        )
        answer = storage.store.commit(storage.uid, commit)
        if isinstance(answer, Committed):
            self._enter(answer.epoch)
            kept = self.kept
            if answer.seq == kept.seq + 1:  # nobody else has changed anything
                kept.seq += 1
            else:
                kept.see(answer.seq, step.reads)
            for cell, record in step.records.items():
                if isinstance(record, InstanceRecord) and (record.is_resolved or record.status == _SCHEDULED):
                    kept.forget(cell)  # it is for others to go on with it
                else:
                    kept.cells[cell] = Loaded(cell, answer.seq, step.writes[cell], record)
                    kept.fresh.add(cell)
            return Outcome(step, answer, session, commit_id)
        self._learn(session, answer)
        return None

    def _learn(self, session: Slice, conflict: Conflict) -> None:
        self.conflicts += 1
        if time.monotonic() > self.deadline:
            raise CommitConflict(
                f"session {session.uid!r}: {self.action} lost against other changes {self.conflicts} times in "
                f"{COMMIT_TIMEOUT_S:.0f} s"
                + (" (its lock is held by another)" if conflict.locked_s else "")
                + "; nothing of it was written"
            )
        view = conflict.view
        if view is None or view.epoch != session.epoch:
            self.kept = KeptCells()
        else:
            self.has_looked = True
            self.kept.see(view.seq, session.reads)
            for name, cell in view.cells.items():
                self.kept.cells[name] = Loaded(name, cell.revision, cell.data)
        if conflict.locked_s or self.conflicts > IMMEDIATE_RETRIES:
            wait_s = random.uniform(0.001, min(0.002 * 2 ** min(self.conflicts, 6), 0.1))
            time.sleep(max(wait_s, min(conflict.locked_s, 0.02)))
            self.kept = KeptCells()
