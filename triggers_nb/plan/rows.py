"""The consequences of commits as rows, whether they were made or only tried out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from triggers_nb.core.codec import NIL, decode_value
from triggers_nb.core.events import Change, Event
from triggers_nb.core.status import STATUSES


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a preview."""

    #: Number of the plan's step that brings it about, from 0.
    step: int
    session_uid: str
    #: ``fire``, ``create``, ``apply``, ``status``, ``metadata``, ``logs``, ``configure``, ``session``, ``hook``; or
    #: ``blocked``, ``refused``, ``stopped``, ``note``, ``not simulated``.
    action: str
    target: str
    from_status: str | None = None
    to_status: str | None = None
    trigger: str | None = None
    #: ``certain``, or ``if_succeeds``: depends on the success of a task.
    certainty: str = "certain"
    #: ``direct``, ``cascade`` or ``hook``.
    origin: str = "direct"
    #: Kwargs of a firing; of an instance that is made or takes a trigger, those of all its triggers as they are then.
    #: None if they are unknown (they rest on the result of a task) or there are none.
    kwargs: dict[str, Any] | None = None
    #: What else there is to say.
    detail: str | None = None


#: Commits that only say that an instance is being worked on.
QUIET = frozenset({"claim"})


def consequences(
    event: Event,
    *,
    step: int,
    uid: str,
    certainty: str = "certain",
    origin: str = "direct",
    is_known: bool = True,
    instance_kwargs: Mapping[str, dict[str, Any] | None] | None = None,
) -> list[Consequence]:
    """Turn the changes of a commit into rows.

    Parameters
    ----------
    event : Event
        What was committed.
    step, uid, certainty, origin
        What the rows say; changes that follow from an instance's own firing are ``cascade`` unless a hook made them.
    is_known : bool
        Whether the kwargs of an instance's firing are known.
    instance_kwargs : mapping, optional
        Kwargs of the instances that the commit has made, or given a trigger.

    Returns
    -------
    list of Consequence
        In the order of the changes; several changes of one instance's status are one row.
    """
    if event.action in QUIET:
        return []
    rows: list[Consequence] = []
    for change in _joined(event.changes):
        by_instance = change.action == "fire" and change.cause is not None
        if by_instance and origin == "direct":
            origin = "cascade"
        if change.action == "fire":
            known = (is_known or not by_instance) and bytes(change.kwargs) != NIL
            kwargs = decode_value(change.kwargs) if known else None
        else:
            kwargs = (instance_kwargs or {}).get(change.target) if change.action in ("create", "apply") else None
        rows.append(
            Consequence(
                step=step,
                session_uid=uid,
                action=change.action,
                target=change.target,
                from_status=_status(change.from_status),
                to_status=_status(change.to_status),
                trigger=change.trigger,
                certainty=certainty,
                origin=origin,
                kwargs=kwargs,
                detail=event.error,
            )
        )
    return rows


def _joined(changes: Iterable[Change]) -> list[Change]:
    """Join what happens to one instance on its way: created and scheduled, took a trigger and was abandoned."""
    joined: list[Change] = []
    last: dict[str, int] = {}
    for change in changes:
        at = last.get(change.target)
        if at is not None and change.action == "status" and joined[at].action in ("create", "apply"):
            joined[at] = msgspec.structs.replace(joined[at], to_status=change.to_status)
            continue
        if change.action in ("create", "apply", "status"):
            last[change.target] = len(joined)
        joined.append(change)
    return joined


def _status(code: int | None) -> str | None:
    return None if code is None else STATUSES[code]


def as_columns(rows: Sequence[Consequence]) -> dict[str, list[Any]]:
    """The rows as columns, in the order of the fields."""
    return {field: [getattr(row, field) for row in rows] for field in Consequence.__struct_fields__}
