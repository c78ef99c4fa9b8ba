"""A server of its own for each test, and a manager that other processes find, too."""

# ruff: noqa: F811  (fixtures that take fixtures)

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.celery.workers import Session, Worker, distribution  # noqa: F401  (a fixture)
from tests.conftest import ROOT
from tests.storages.redis_servers import RedisServer, own_redis  # noqa: F401  (a fixture)


@pytest.fixture(autouse=True)
def environment(own_redis: RedisServer, distribution: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other server than the test's own, and periods so long that nothing is taken for lost which is only slow."""
    monkeypatch.setenv("TRIGGERS_URL", own_redis.url)
    monkeypatch.setenv("TRIGGERS_GRACE_S", "60")
    monkeypatch.setenv("TRIGGERS_LEASE_S", "120")


@pytest.fixture
def short_grace(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What has not started is soon handed over again: an instance perhaps several times."""
    monkeypatch.setenv("TRIGGERS_GRACE_S", "0.2")


@pytest.fixture
def short_lease(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is soon taken for lost: on a busy machine perhaps what runs."""
    monkeypatch.setenv("TRIGGERS_LEASE_S", "1")


@pytest.fixture
def session(own_redis: RedisServer, request: pytest.FixtureRequest) -> Session:
    """A session that does not exist yet."""
    return Session(own_redis, request.node.name)


@pytest.fixture
def start_worker(own_redis: RedisServer, distribution: Path, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers; they end with the test."""
    workers: list[Worker] = []

    def start(*options: str, **environment: str) -> Worker:
        log = tmp_path / f"worker{len(workers)}.log"
        workers.append(Worker(own_redis.url, distribution, log, *options, **environment))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()
        print(worker.log.read_text())


@pytest.fixture
def die(own_redis: RedisServer, distribution: Path) -> Callable[..., None]:
    """Runs a function of `tests.faults.children` in a process that is killed meanwhile; what it leaves is due soon."""

    def run(*arguments: str) -> None:
        path = os.pathsep.join([str(ROOT), str(distribution)])
        environment = {**os.environ, "PYTHONPATH": path, "TRIGGERS_GRACE_S": "0.2", "TRIGGERS_LEASE_S": "1"}
        command = [sys.executable, "-m", "tests.faults.children", own_redis.url, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr

    return run
