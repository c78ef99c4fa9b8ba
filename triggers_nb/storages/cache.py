"""The storage that most people use: a session at a URL."""

from __future__ import annotations

from typing import Any

from triggers_nb.errors import StorageError
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.store import Store
from triggers_nb.storages.urls import default_url, open_store


class CacheStorageBackend(BaseTriggerStorage):
    """A session kept at a URL; registered as ``cache``.

    Parameters
    ----------
    uid : str
        Names the session.
    cache : str, optional
        ``sqlite:///path`` and ``memory://name`` are *embedded* (this machine, this process); ``redis://…``,
        ``rediss://…``, ``unix://…`` and ``redis+cluster://…`` are *shared*. By default ``TRIGGERS_URL``, else
        ``sqlite:///triggers.db`` in the working directory (but not where Django is configured: there one has to say).
    timeout : float, optional
        Seconds after its last change at which the session expires, once nothing in it is unresolved and nothing is
        pending. None: never, or what the session already says.

    Raises
    ------
    StorageUrlError
        If the URL cannot be used.

    Examples
    --------
    >>> storage = CacheStorageBackend("order-17", "memory://example")
    >>> storage.exists()
    False
    """

    def __init__(self, uid: str, cache: str | Store | None = None, timeout: float | None = None) -> None:
        store = cache if isinstance(cache, Store) else open_store(default_url() if cache is None else cache)
        super().__init__(uid, store, timeout)

    @property
    def cache(self) -> SessionCache:
        """All sessions of the same store."""
        return SessionCache(self.store)


class SessionCache:
    """All sessions of a store, as one thing that can be cleared."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._store.url}>"

    def clear(self) -> None:
        """Delete all sessions of an embedded store.

        Raises
        ------
        StorageError
            If the store is shared: others work with those sessions.
        """
        if not self._store.embedded:
            raise StorageError(
                f"all sessions in {self._store.url} are shared with others and cannot be cleared from here; "
                "delete single sessions instead"
            )
        self._store.clear()

    def close(self, **kwargs: Any) -> None:
        """Close the store's connections; they open again when needed."""
        self._store.close()
