"""What is recorded of a change.

Every commit appends one event: what happened, why, by whom, and what is needed to step back to the moment before.
"""

from __future__ import annotations

import msgspec

from triggers_nb.core.codec import DAMAGE, NIL
from triggers_nb.core.status import StatusCode
from triggers_nb.errors import StorageError

Raw = msgspec.Raw

#: The kwargs of a change that has none.
NO_KWARGS = Raw(NIL)


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Who changes a session, and why; kept on a storage handle and recorded with each of its commits."""

    #: Who: a person, or the worker that runs an instance.
    actor: str | None = None
    #: Why, in the person's words.
    reason: str | None = None
    #: Identifies one execution of a plan, or one shorthand call.
    action_id: str | None = None
    #: Identifies the plan that was executed.
    plan_id: str | None = None


class Change(msgspec.Struct, frozen=True, array_like=True):
    """One consequence of a commit.

    ``action`` is one of ``configure``, ``fire``, ``create``, ``apply``, ``status``, ``metadata``, ``logs``, ``session``
    or ``hook``; ``target`` is a task's, trigger's or instance's name (or empty).
    """

    action: str
    target: str
    #: Positions in ``STATUSES``.
    from_status: StatusCode | None = None
    to_status: StatusCode | None = None
    #: The trigger that was fired or taken.
    trigger: str | None = None
    #: Encoded kwargs of a firing.
    kwargs: Raw = NO_KWARGS
    #: The instance, or the hook, that brought it about.
    cause: str | None = None


class Undo(msgspec.Struct, frozen=True, array_like=True):
    """What a cell was before a commit."""

    cell: str
    #: 0 and None: it was not there.
    revision: int
    data: bytes | None


class Event(msgspec.Struct, frozen=True, array_like=True):
    """One commit. Its sequence number and its moment are the storage's."""

    #: What was called: ``configure``, ``fire``, ``claim``, ``finish``, ``fail``, ``skip``, ``replay``, ``retry``, …
    action: str
    #: Random, so that a storage recognises a commit whose answer was lost.
    commit_id: bytes
    changes: tuple[Change, ...]
    undo: tuple[Undo, ...]
    #: Differences of the session's counts.
    counts: dict[str, int]
    actor: str | None = None
    reason: str | None = None
    action_id: str | None = None
    plan_id: str | None = None
    #: What a hook raised.
    error: str | None = None


encode_event = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Event).decode


def decode_event(data: bytes) -> Event:
    """Decode an event.

    Raises
    ------
    StorageError
        If the bytes are damaged, or a newer version wrote them.
    """
    try:
        return _decode(data)
    except DAMAGE as error:
        raise StorageError(f"an event cannot be read: {error}") from error
