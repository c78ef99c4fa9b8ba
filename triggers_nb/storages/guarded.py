"""A store as handles have it that may not change it."""

# ruff: noqa: D102  (what the methods do is told by `Store`)

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from triggers_nb.storages.store import (
    Commit,
    Committed,
    Conflict,
    DueItem,
    SessionState,
    Store,
    StoredEvent,
    Summary,
    View,
)


class GuardedStore(Store):
    """Another store, to be read as it is; each change is asked for first.

    Parameters
    ----------
    base : Store
        The store.
    refuse : callable
        Called before each change; raises if it is not allowed.
    """

    def __init__(self, base: Store, refuse: Callable[[], object]) -> None:
        self.embedded = base.embedded  # type: ignore[misc]
        self.url = base.url
        self._base, self._refuse = base, refuse

    @property
    def storage_id(self) -> str:  # type: ignore[override]  # a store may read it when it is first needed
        return self._base.storage_id

    def refuse_changes(self) -> None:
        self._refuse()
        self._base.refuse_changes()

    # Reading ------------------------------------------------------------------------------------------------------

    def read(self, uid: str, names: Iterable[str], *, follow: bool = True) -> View | None:
        return self._base.read(uid, names, follow=follow)

    def read_many(self, names: Mapping[str, Sequence[str]]) -> dict[str, View | None]:
        return self._base.read_many(names)

    def counts(self, uid: str) -> dict[str, int] | None:
        return self._base.counts(uid)

    def state(self, uid: str) -> SessionState | None:
        return self._base.state(uid)

    def states(self, uids: Sequence[str], prefixes: Sequence[str] = ()) -> Iterator[tuple[str, SessionState | None]]:
        return self._base.states(uids, prefixes)

    def summaries(
        self, *, since_us: int | None = None, until_us: int | None = None, uids: Sequence[str] | None = None
    ) -> Iterator[Summary]:
        return self._base.summaries(since_us=since_us, until_us=until_us, uids=uids)

    def uids(self, *, since_us: int | None = None, until_us: int | None = None) -> list[str]:
        return self._base.uids(since_us=since_us, until_us=until_us)

    def events(self, uid: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        return self._base.events(uid, after=after, limit=limit)

    def first_events(self, uids: Sequence[str], limit: int) -> Iterator[list[StoredEvent]]:
        return self._base.first_events(uids, limit)

    def first_event_seq(self, uid: str) -> int | None:
        return self._base.first_event_seq(uid)

    def due(self, *, limit: int = 1000) -> list[tuple[str, str, DueItem]]:
        return self._base.due(limit=limit)

    def next_due_us(self) -> int | None:
        return self._base.next_due_us()

    def now_us(self) -> int:
        return self._base.now_us()

    def wait_for_events(self, uids: Mapping[str, int], timeout_s: float) -> set[str]:
        return self._base.wait_for_events(uids, timeout_s)

    def close(self) -> None:
        self._base.close()

    # Changing -----------------------------------------------------------------------------------------------------

    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        self._refuse()
        return self._base.commit(uid, commit)

    def trim_events(self, uid: str, keep: int) -> int:
        self._refuse()
        return self._base.trim_events(uid, keep)

    def postpone(self, uid: str, item: str, delay_s: float, *, due_us: int | None = None) -> bool:
        self._refuse()
        return self._base.postpone(uid, item, delay_s, due_us=due_us)

    def settle(self, uid: str, item: str) -> bool:
        self._refuse()
        return self._base.settle(uid, item)

    def acquire_lock(self, uid: str, token: bytes, lease_s: float) -> float:
        self._refuse()
        return self._base.acquire_lock(uid, token, lease_s)

    def release_lock(self, uid: str, token: bytes) -> bool:
        return self._base.release_lock(uid, token)  # only whoever took it knows the token; it does not have to wait

    def delete(self, uid: str) -> bool:
        self._refuse()
        return self._base.delete(uid)

    def clear(self) -> None:
        self._refuse()
        self._base.clear()


def unguarded(store: Store) -> Store:
    """Return the store itself, for what works on whatever becomes of the handle that it was reached by."""
    while isinstance(store, GuardedStore):
        store = store._base
    return store
