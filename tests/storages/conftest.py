"""The places where the contract of a store is tested.

A place is a fixture ``<name>_place``. Name it in `EVERYWHERE`, and in `SHARED` if several processes can use it at once.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.storages.contract import Place
from tests.storages.redis_servers import (  # noqa: F401  (fixtures)
    own_redis,
    proxy,
    redis_cluster,
    redis_cluster_place,
    redis_place,
    redis_server,
)
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.sqlite import SqliteStore
from triggers_nb.storages.store import Store

EVERYWHERE = ("memory", "sqlite", "redis", "redis_cluster")
SHARED = ("sqlite", "redis", "redis_cluster")


class MemoryPlace:
    url = "memory://"

    def __init__(self) -> None:
        self._store = MemoryStore()

    def open(self) -> Store:
        return self._store


class SqlitePlace:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.opened: list[SqliteStore] = []

    def open(self) -> Store:
        store = SqliteStore(self.path)
        self.opened.append(store)
        return store


@pytest.fixture
def memory_place() -> MemoryPlace:
    return MemoryPlace()


@pytest.fixture
def sqlite_place(tmp_path: Path) -> Iterator[SqlitePlace]:
    place = SqlitePlace(tmp_path / "sessions.db")
    yield place
    for store in place.opened:
        store.close()


@pytest.fixture(params=EVERYWHERE)
def place(request: pytest.FixtureRequest) -> Place:
    """An empty place of each kind."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture(params=SHARED)
def shared_place(request: pytest.FixtureRequest) -> Place:
    """An empty place of each kind that several processes can use."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture
def store(place: Place) -> Store:
    return place.open()
