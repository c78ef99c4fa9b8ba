"""A plan on its way: how far it is, and how to end it early."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from triggers_nb.plan.results import NOT_DONE, Done, Result
from triggers_nb.redaction import Redactor
from triggers_nb.render.plans import counts_text

if TYPE_CHECKING:
    from triggers_nb.plan.plan import Plan

#: Most lines about what went wrong.
MAX_WRONG: Final = 5


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """The last action."""

    python: str
    #: ``130 done``.
    said: str
    is_clean: bool
    #: What went wrong, one line a target.
    wrong: tuple[str, ...] = ()
    #: How many more went wrong.
    n_more: int = 0


class Run:
    """One execution of a plan, which may take place in a thread of its own.

    Parameters
    ----------
    plan : Plan
        What to execute.
    python : str
        The line that does the same.
    reason, confirm : str
        What was typed.
    redactor : Redactor
        Hides secrets in whatever is shown.
    """

    def __init__(self, plan: Plan, python: str, reason: str, confirm: str, redactor: Redactor) -> None:
        self.plan, self.python, self.reason, self.confirm, self.redactor = plan, python, reason, confirm, redactor
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.n_wrong = 0
        self.result: Result | None = None
        self.error: Exception | None = None
        self._is_stopped = threading.Event()

    def execute(self, tell: Callable[[Run], None] = lambda run: None) -> None:
        """Do all steps; `result` says what became of them, or `error` why none was done.

        Parameters
        ----------
        tell : callable, optional
            Called after each step.
        """

        def note(row: Done) -> None:
            self._note(row)
            tell(self)
            if self._is_stopped.is_set():
                raise KeyboardInterrupt

        try:
            self.result = self.plan.execute(reason=self.reason or None, confirm=self.confirm or None, progress=note)
        except Exception as error:
            self.error = error

    def stop(self) -> None:
        """End it after the step that is being done."""
        self._is_stopped.set()

    def state(self) -> dict[str, Any]:
        """How far it is."""
        n_done = self.counts.total()
        return {
            "title": self.plan.title,
            "done": n_done,
            "total": len(self.plan),
            "said": counts_text(dict(self.counts)) if n_done else "",
            "wrong": list(self.wrong),
            "n_more": self.n_wrong - len(self.wrong),
            "stopping": self._is_stopped.is_set(),
        }

    def executed(self) -> Executed:
        """What has become of it.

        Raises
        ------
        Exception
            If nothing was done.
        """
        if self.error is not None:
            raise self.error
        assert self.result is not None
        rows = self.result.rows
        wrong = [row for row in rows if not row.is_clean and row.outcome != NOT_DONE]
        return Executed(
            python=self.python,
            said=counts_text(self.result.counts),
            is_clean=all(row.is_clean for row in rows),
            wrong=tuple(map(self._line, wrong[:MAX_WRONG])),
            n_more=max(len(wrong) - MAX_WRONG, 0),
        )

    def _note(self, row: Done) -> None:
        self.counts[row.outcome] += 1
        if not row.is_clean:
            self.n_wrong += 1
            if len(self.wrong) < MAX_WRONG:
                self.wrong.append(self._line(row))

    def _line(self, row: Done) -> str:
        return self.redactor.text(f"{row.session_uid} {row.target}: {row.outcome}: {row.error or ''}".rstrip(": "))
