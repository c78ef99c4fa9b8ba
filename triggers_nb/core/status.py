"""Statuses of an instance and the changes between them.

Examples
--------
>>> STATUSES
('unstarted', 'scheduled', 'running', 'finished', 'failed', 'replayed', 'skipped', 'abandoned')
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from triggers_nb.errors import InvalidStatus, brief, suggest

UNSTARTED: Final = "unstarted"
SCHEDULED: Final = "scheduled"
RUNNING: Final = "running"
FINISHED: Final = "finished"
FAILED: Final = "failed"
REPLAYED: Final = "replayed"
SKIPPED: Final = "skipped"
ABANDONED: Final = "abandoned"

#: All statuses in the order of an instance's life; an instance's cell stores the position in this tuple.
STATUSES: Final = (UNSTARTED, SCHEDULED, RUNNING, FINISHED, FAILED, REPLAYED, SKIPPED, ABANDONED)

#: The position of each status in `STATUSES`.
CODES: Final = {status: code for code, status in enumerate(STATUSES)}

#: A position in `STATUSES`, checked when it is decoded.
StatusCode = Annotated[int, msgspec.Meta(ge=0, lt=len(STATUSES))]

#: Statuses of an instance that can no longer be acted upon.
RESOLVED: Final = frozenset({FINISHED, REPLAYED, SKIPPED, ABANDONED})

#: What the engine itself may do.
TRANSITIONS: Final = {
    UNSTARTED: frozenset({SCHEDULED, ABANDONED}),
    SCHEDULED: frozenset({RUNNING, FAILED}),
    RUNNING: frozenset({FINISHED, FAILED, SKIPPED}),
    FAILED: frozenset({REPLAYED, SKIPPED}),
    FINISHED: frozenset(),
    REPLAYED: frozenset(),
    SKIPPED: frozenset(),
    ABANDONED: frozenset(),
}

#: What a person may do with any unresolved instance.
BY_HAND: Final = frozenset({FINISHED, FAILED, SKIPPED, ABANDONED})


def check_status(status: object) -> str:
    """Return `status` if it exists.

    Raises
    ------
    InvalidStatus
        If it does not.
    """
    if isinstance(status, str) and status in CODES:
        return status
    near = suggest(str(status), STATUSES) or "."
    raise InvalidStatus(f"no status {brief(status)}{near} Statuses are {', '.join(STATUSES)}.")


def check_transition(name: str, before: str, after: str) -> None:
    """Refuse a change that the engine never makes.

    Raises
    ------
    InvalidStatus
        If an instance in status `before` cannot become `after`.
    """
    if after not in TRANSITIONS[before]:
        raise illegal(name, before, after, TRANSITIONS[before])


def check_by_hand(name: str, before: str, after: str) -> None:
    """Refuse a change that a person cannot make; repeating a status is fine.

    Raises
    ------
    InvalidStatus
        If an instance in status `before` cannot be made `after` by hand.
    """
    allowed = frozenset() if before in RESOLVED else BY_HAND
    if after != before and after not in allowed:
        raise illegal(name, before, after, allowed)


def illegal(name: str, before: str, after: str, allowed: frozenset[str]) -> InvalidStatus:
    """Build the error for a change of status that is not allowed."""
    if allowed:
        possible = "from there it can become " + ", ".join(sorted(allowed))
    else:
        possible = "it is resolved, nothing changes its status any more"
    return InvalidStatus(f"instance {name!r} is {before}, it cannot become {after}; {possible}.")
