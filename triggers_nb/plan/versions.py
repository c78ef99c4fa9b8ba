"""The versions that a plan has seen, and how they move on by the plan's own steps."""

from __future__ import annotations

from collections.abc import Iterable

from triggers_nb.plan.actions import TRIED, Action
from triggers_nb.storages.transactions import Outcome


class Versions:
    """Which revision each cell must have when a step of a plan is done.

    What the plan's own steps have written, their hooks included, counts as seen, unless somebody else had changed it
    in between. What the firings of a plan have read is compared once for each session, at its first step there: the
    work that they release changes it afterwards.

    Parameters
    ----------
    actions : iterable of Action
        The plan's steps.
    """

    def __init__(self, actions: Iterable[Action]) -> None:
        self._known: dict[str, dict[str, int]] = {}
        self._epochs: dict[str, int] = {}
        self._entered: set[str] = set()
        for action in actions:
            self._known.setdefault(action.uid, {}).update(action.seen)
            self._epochs.setdefault(action.uid, action.epoch)

    def enter(self, action: Action) -> tuple[dict[str, int], int]:
        """Return the revisions that a step's cells must have, and the session's epoch."""
        known = self._known[action.uid]
        if action.action in TRIED:
            expected = {} if action.uid in self._entered else dict(known)
        else:
            expected = {cell: known[cell] for cell in action.seen}
        self._entered.add(action.uid)
        return expected, self._epochs[action.uid]

    def note(self, uid: str, outcome: Outcome) -> None:
        """Note what a step, or a hook that it called, has written."""
        if outcome.committed is None:
            return
        self._epochs[uid] = self._epochs[uid] or outcome.committed.epoch
        if self._epochs[uid] != outcome.committed.epoch:
            return
        known, reads = self._known[uid], outcome.session.reads
        for cell in outcome.step.writes:
            if cell in known and known[cell] == reads.get(cell):
                known[cell] = outcome.committed.seq
