"""Instances that should have moved on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from triggers_nb import settings
from triggers_nb.core.status import CODES, RUNNING, SCHEDULED
from triggers_nb.core.work import HANDOVER, LEASE
from triggers_nb.storages.store import DueItem

PENDING: Final = "pending hand-over"
SCHEDULED_LONG: Final = "scheduled too long"
RUNNING_LONG: Final = "running too long"
LEASE_OUT: Final = "lease run out"

#: From when on an instance that is scheduled or running counts as stuck, unless asked otherwise.
OLDER_THAN: Final = "1h"

#: For how many microseconds recovery may be late before what is due counts as stuck.
OVERDUE_US: Final = 10_000_000

#: After how many periods of grace an instance that was handed over again and again counts as stuck.
MAX_GRACES: Final = 4

#: Statuses, by their codes, in which an instance can be stuck.
STUCK_CODES: Final = (CODES[SCHEDULED], CODES[RUNNING])


def why_stuck(
    name: str,
    status: int,
    since_us: int,
    cooldown_s: float,
    due: Mapping[str, DueItem],
    now_us: int,
    older_than_us: int,
) -> str | None:
    """Say why an instance is stuck, None if it is not.

    Parameters
    ----------
    name
        The instance.
    status
        Its status, as a position in ``STATUSES``.
    since_us
        When it came into that status.
    cooldown_s
        How long it was asked to wait before it starts.
    due
        The session's due items: a hand-over that nobody has claimed in time, or after several tries; a lease that was
        not renewed.
    now_us, older_than_us
        The moment, and the age from which it counts as stuck whatever the due items say.
    """
    if status == CODES[SCHEDULED]:
        item = due.get(HANDOVER + name)
        waiting_us = now_us - since_us - round(cooldown_s * 1e6)
        # Each hand-over makes it due later; what counts is for how long nobody has taken it.
        is_untaken = waiting_us >= round(MAX_GRACES * settings.grace_s() * 1e6) + OVERDUE_US
        if item is not None and (is_untaken or item.due_us + OVERDUE_US <= now_us):
            return PENDING
        return SCHEDULED_LONG if waiting_us > older_than_us else None
    if status == CODES[RUNNING]:
        item = due.get(LEASE + name)
        if item is not None and item.due_us + OVERDUE_US <= now_us:
            return LEASE_OUT
        return RUNNING_LONG if now_us - since_us > older_than_us else None
    return None
