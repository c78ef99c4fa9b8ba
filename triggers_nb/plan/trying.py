"""What an action reads, learnt by trying it out where nothing is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from triggers_nb.core import records as rec
from triggers_nb.errors import CommitConflict
from triggers_nb.plan.actions import Action
from triggers_nb.plan.selection import manager_of
from triggers_nb.storages.overlay import MovedOn, OverlayStore
from triggers_nb.storages.transactions import Outcome, Watch

if TYPE_CHECKING:
    from triggers_nb.session import Session

#: How often a trial starts again because the session was changed meanwhile.
MAX_RESTARTS = 20


def learn_reads(session: Session, action: str, calls: Sequence[tuple[str, dict[str, Any]]]) -> list[Action]:
    """Make actions on a session, each with the revisions of what it reads of the session as it is now.

    Parameters
    ----------
    session : Session
        Which one; it need not exist.
    action : str
        A key of `triggers_nb.plan.actions.METHODS`.
    calls : sequence of (str, dict)
        Target and arguments of each.

    Raises
    ------
    CommitConflict
        If the session is changed by others all the time.
    Exception
        What the manager refuses.
    """
    for _ in range(MAX_RESTARTS):
        try:
            return _learn(session, OverlayStore(session.workspace.store, session.uid), action, calls)
        except MovedOn:
            continue
    raise moves_on(session.uid)


def moves_on(uid: str) -> CommitConflict:
    """Make the error for a session that is never quiet."""
    return CommitConflict(
        f"session {uid!r} changed {MAX_RESTARTS} times while the plan was tried out; try again when it is quieter"
    )


def _learn(
    session: Session, overlay: OverlayStore, action: str, calls: Sequence[tuple[str, dict[str, Any]]]
) -> list[Action]:
    view = overlay.read(session.uid, (rec.HEAD,), follow=False)
    key = manager_of(view) if view is not None else None
    manager = session.trial_manager(overlay, session.class_of(key))
    manager.storage.take, manager.storage.call_hooks = lambda _: None, False
    actions = []
    for target, arguments in calls:
        reads: dict[str, int] = {}

        def note(outcome: Outcome, reads: dict[str, int] = reads) -> None:
            # What an earlier one wrote has no revision in the session itself.
            reads.update((cell, at) for cell, at in outcome.session.reads.items() if at <= overlay.base_seq)

        manager.storage.watch = Watch(note)
        made = Action(
            uid=session.uid,
            action=action,
            target=target,
            arguments=arguments,
            epoch=overlay.base_epoch,
            seen=reads,
            manager=key,
            known=overlay.fetched,
            known_seq=overlay.base_seq,
        )
        made.call(manager)
        actions.append(made)
    return actions
