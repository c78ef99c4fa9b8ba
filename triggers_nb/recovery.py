"""Taking up what crashes left behind, over all sessions of a store."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from triggers_nb.core import records as rec
from triggers_nb.core.events import Provenance
from triggers_nb.core.work import HANDOVER
from triggers_nb.errors import RegistryError, TriggersError
from triggers_nb.manager import OUT_OF_REACH, TriggerManager, trigger_managers
from triggers_nb.runners.base import task_runners
from triggers_nb.storages.cache import CacheStorageBackend
from triggers_nb.storages.store import DueItem, Store
from triggers_nb.storages.urls import default_url, open_store
from triggers_nb.task import worker_actor

logger = logging.getLogger("triggers_nb.recovery")

#: So many hand-overs in a row that fail mean that the broker is down: everything else waits for the next time.
MAX_FAILURES_IN_A_ROW = 10
#: How many items are read at once.
ITEMS_AT_ONCE = 1000


def recover(
    url: str | Store | None = None, *, limit: int | None = None, runner: str | None = None, celery_app: object = None
) -> dict[str, int]:
    """Take up everything that is due in all sessions; see ``TriggerManager.recover``.

    Costs next to nothing while nothing is due, whatever the number of sessions. Safe from several places at once. Stops
    early when one hand-over after the other fails, as happens while the broker is down.

    Parameters
    ----------
    url : str or Store, optional
        The store; by default that of ``CacheStorageBackend``.
    limit : int, optional
        At most this many items; all by default.
    runner : str, optional
        Key of the task runner for when nothing else says where work runs.
    celery_app : object, optional
        The Celery application that takes the work, or ``module:attribute`` of it.

    Raises
    ------
    ReadOnlyError
        If `url` is the store of a handle that may change nothing.
    UnknownKey
        If there is no such `runner`.

    Returns
    -------
    dict of str to int
        How many items were ``handed over``, had their ``hooks called``, whose ``worker lost`` it, ``failed``, needed
        ``nothing`` any more, or are ``out of reach``: their manager is not installed here, they are hooks of a class
        that is registered under no key, or a task class that would run here is not known here.

    Examples
    --------
    >>> import triggers_nb as tnb
    >>> tnb.recover("memory://recovery-example")  # nothing is due
    {}
    """
    if runner is not None:
        task_runners.get_class(runner)
    store = url if isinstance(url, Store) else open_store(default_url() if url is None else url)
    store.refuse_changes()
    done: Counter[str] = Counter()
    failures = 0
    for uid, item, due in islice(_due_items(store), limit):
        outcome = _recover_one(store, uid, item, due, runner, celery_app)
        done[outcome] += 1
        if item.startswith(HANDOVER) and outcome in ("failed", "handed over"):
            failures = failures + 1 if outcome == "failed" else 0
        if failures == MAX_FAILURES_IN_A_ROW:
            logger.error("%d hand-overs in a row have failed: everything else stays due", failures)
            break
    return dict(done)


def _due_items(store: Store) -> Iterator[tuple[str, str, DueItem]]:
    """Everything that is due, each once, longest due first."""
    seen: set[tuple[str, str, int]] = set()
    while True:
        # What could not be recovered may still be there.
        found = store.due(limit=ITEMS_AT_ONCE + len(seen))
        fresh = [each for each in found if (each[0], each[1], each[2].due_us) not in seen]
        if not fresh:
            return
        seen.update((uid, item, due.due_us) for uid, item, due in fresh)
        yield from fresh


def _recover_one(store: Store, uid: str, item: str, due: DueItem, runner: str | None, celery_app: object) -> str:
    try:
        manager = _manager_of(store, uid, runner, celery_app)
    except TriggersError as error:
        logger.error("session %r: %s cannot be recovered here: %s", uid, item, error)
        return OUT_OF_REACH
    if manager is None:
        store.settle(uid, item)
        return "nothing"
    return manager.recover_item(item, due).partition(":")[0]


def _manager_of(store: Store, uid: str, runner: str | None, celery_app: object) -> TriggerManager | None:
    """The session's own manager, None if the session is gone.

    Raises
    ------
    RegistryError
        If the session's manager is not installed here.
    """
    view = store.read(uid, (rec.HEAD,), follow=False)
    if view is None:
        return None
    head: rec.HeadRecord = rec.decode_record(rec.HEAD, view.cells[rec.HEAD].data)  # type: ignore[assignment]
    cls = trigger_managers.get_class(head.manager or "default")
    if head.manager is None and cls is not TriggerManager:
        raise RegistryError(f"session {uid!r} remembers no manager and 'default' is {cls!r}")
    storage = CacheStorageBackend(uid, store).derive(
        provenance=Provenance(actor=worker_actor("recover")), fallback_runner=runner, celery_app=celery_app
    )
    return cls(storage)
