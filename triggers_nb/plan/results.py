"""What became of a plan."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from triggers_nb.core import records as rec
from triggers_nb.core.status import FAILED as FAILED_STATUS
from triggers_nb.core.status import RESOLVED, STATUSES
from triggers_nb.errors import TriggersError
from triggers_nb.plan.wording import Described
from triggers_nb.render.plans import MAX_LISTED, Facts, counts_text
from triggers_nb.storages.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.plan.plan import Plan
    from triggers_nb.workspace import Workspace

DONE, UNCHANGED, REFUSED, FAILED, NOT_DONE = "done", "unchanged", "refused", "failed", "not done"

#: Pause between two looks at what is under way.
POLL_S: Final = 0.1

#: Statuses of an instance that is no longer under way.
_OVER: Final = frozenset(STATUSES.index(status) for status in (*RESOLVED, FAILED_STATUS))


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one step of a plan."""

    session_uid: str
    action: str
    target: str
    #: ``done``; ``unchanged``: it was like this before; ``refused``: the target moved on, or cannot be changed like
    #: this; ``failed``: something went wrong; ``not done``: the execution ended before. Only ``done`` has changed
    #: anything.
    outcome: str
    #: What was raised. With ``done``: by a runner, a hook or the journal, after the change.
    error: str | None = None
    #: The instance that a replay made.
    new_instance: str | None = None
    #: Sequence number of the change in its session; missing if there was nothing to change.
    seq: int | None = None

    @property
    def is_clean(self) -> bool:
        """Whether it is done, or there was nothing to do, and nothing was raised."""
        return self.outcome in (DONE, UNCHANGED) and self.error is None


class PlanFailed(TriggersError):
    """Raised by ``Result.raise_for_errors`` when steps of a plan were not done, or left an error."""


class Result(Described):
    """What became of a plan.

    Attributes
    ----------
    frame : pandas.DataFrame
        A row for each step, in the order of the plan: session_uid, action, target, outcome, error (redacted),
        new_instance (string), seq (Int64).
    rows : tuple of Done
        The same, as records, errors in full.
    errors : tuple of Exception or SystemExit
        What was raised, in order.
    action_id : str
        Recorded with every change of this execution.
    was_interrupted : bool
        Whether it ended early by an interrupt.
    """

    def __init__(
        self,
        workspace: Workspace,
        plan: Plan,
        rows: Sequence[Done],
        action_id: str,
        errors: Sequence[Exception | SystemExit] = (),
        was_interrupted: bool = False,
    ) -> None:
        self.workspace, self.plan, self.rows, self.action_id = workspace, plan, tuple(rows), action_id
        self.errors = tuple(errors)
        self.was_interrupted = was_interrupted

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def frame(self) -> pd.DataFrame:
        """See the class."""
        from triggers_nb.plan.frames import RESULT

        columns = {field: [getattr(row, field) for row in self.rows] for field in Done.__struct_fields__}
        columns["error"] = [self.workspace.shown(error) for error in columns["error"]]
        return RESULT.frame(columns)

    @property
    def counts(self) -> dict[str, int]:
        """Number of steps by outcome, those that occur."""
        outcomes = [row.outcome for row in self.rows]
        return {each: outcomes.count(each) for each in (DONE, UNCHANGED, REFUSED, FAILED, NOT_DONE) if each in outcomes}

    def raise_for_errors(self, first: int = 3) -> None:
        """Raise if a step was not done, or left an error.

        Raises
        ------
        PlanFailed
            Naming the first few, and how many more there are.
        """
        wrong = [row for row in self.rows if not row.is_clean]
        if wrong:
            show = self.workspace.shown
            lines = [
                ": ".join(filter(None, (f"{row.session_uid} {row.target}".rstrip(), row.outcome, show(row.error))))
                for row in wrong[:first]
            ]
            more = [f"… and {len(wrong) - first:,} more"] if len(wrong) > first else []
            raise PlanFailed(f"{len(wrong):,} of {len(self.rows):,} steps went wrong:\n" + "\n".join([*lines, *more]))

    def follow(self, timeout_s: float = 30.0) -> pd.DataFrame:
        """Watch the instances that the plan's replays made, until none of them is under way.

        Parameters
        ----------
        timeout_s : float
            Seconds after which it returns all the same; an interrupt ends it, too.

        Returns
        -------
        pandas.DataFrame
            The instances' rows as `SessionView.instances` has them, in the order of the plan; empty if nothing was
            replayed.
        """
        names = [(row.session_uid, row.new_instance) for row in self.rows if row.new_instance is not None]
        pending: dict[str, set[str]] = {}
        for uid, name in names:
            pending.setdefault(uid, set()).add(name)
        deadline = time.monotonic() + timeout_s
        try:
            while pending := _under_way(self.workspace.store, pending):
                if time.monotonic() >= deadline:
                    break
                time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))
        except KeyboardInterrupt:
            pass
        return self.workspace.instances_named(names)

    def facts(self) -> Facts:
        """What its representations say: the counts, and the first rows that went wrong or else the first ones."""
        wrong = [row for row in self.rows if not row.is_clean]
        listed = (wrong or self.rows)[:MAX_LISTED]
        show = self.workspace.shown
        return Facts(
            title=f"{self.plan.title}: {counts_text(self.counts)}" if self.rows else self.plan.title,
            url=self.workspace.url,
            env=self.workspace.env,
            notes=["It was interrupted."] if self.was_interrupted else [],
            rows=[
                (row.session_uid, row.target, row.outcome, show(row.error) or row.new_instance or "") for row in listed
            ],
            n_rows=len(wrong or self.rows),
        )


def _under_way(store: Store, names: dict[str, set[str]]) -> dict[str, set[str]]:
    """Those of these instances that have not ended yet."""
    views = store.read_many({uid: [rec.INSTANCE + name for name in wanted] for uid, wanted in names.items()})
    found = {
        uid: {name[len(rec.INSTANCE) :] for name, cell in view.cells.items() if _status(cell.data) not in _OVER}
        for uid, view in views.items()
        if view is not None
    }
    return {uid: left for uid, left in found.items() if left}


def _status(data: bytes) -> int:
    return rec.decode_record(rec.INSTANCE, data).status  # type: ignore[union-attr]
