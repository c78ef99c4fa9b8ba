"""A server, an application and a worker for all tests that leave them as they were."""

# ruff: noqa: F811  (fixtures that take fixtures)

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.celery.workers import Session, Worker, distribution  # noqa: F401  (a fixture)
from tests.storages.redis_servers import RedisServer, own_redis, redis_server  # noqa: F401  (fixtures)


@pytest.fixture(autouse=True)
def environment(redis_server: RedisServer, distribution: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process sends work where the tests' worker takes it."""
    monkeypatch.setenv("TRIGGERS_URL", redis_server.url)


@pytest.fixture(scope="session")
def worker(
    redis_server: RedisServer,
    distribution: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Worker]:
    """A worker that runs whatever is sent."""
    worker = Worker(redis_server.url, distribution, tmp_path_factory.mktemp("worker") / "worker.log")
    yield worker
    worker.stop()


@pytest.fixture
def session(redis_server: RedisServer, request: pytest.FixtureRequest) -> Session:
    """A session that does not exist yet."""
    return Session(redis_server, request.node.name)
