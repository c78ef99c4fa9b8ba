"""The connections of this process to Redis: one set for each URL, however many stores use it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from triggers_nb.storages.redis_client import RedisClient, ServerClient
from triggers_nb.storages.redis_cluster import ClusterClient
from triggers_nb.storages.redis_urls import parse_redis_url

_clients: dict[str, RedisClient] = {}
_opening = threading.Lock()


def open_client(url: str, check: Callable[[RedisClient], None]) -> RedisClient:
    """Return this process's connections to a URL; the first time, after `check` has looked at the server."""
    client = _clients.get(url)
    if client is not None:
        return client
    with _opening:
        if url not in _clients:
            parsed = parse_redis_url(url)
            fresh: RedisClient = ClusterClient(parsed) if parsed.nodes else ServerClient(parsed)
            check(fresh)
            _clients[url] = fresh
        return _clients[url]


def close_client(url: str) -> None:
    """Close this process's connections to a URL."""
    with _opening:
        client = _clients.pop(url, None)
    if client is not None:
        client.close()


def _forget_parents_connections() -> None:
    global _opening
    _clients.clear()
    _opening = threading.Lock()


os.register_at_fork(after_in_child=_forget_parents_connections)
