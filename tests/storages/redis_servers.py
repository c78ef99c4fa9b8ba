"""Redis servers that the tests start for themselves, on free ports, in a directory of their own; killed at the end."""

import contextlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from tests.ports import free_port
from triggers_nb.storages import redis_client
from triggers_nb.storages.redis import RedisStore
from triggers_nb.storages.store import Store

START_TIMEOUT_S = 240.0
#: How far above its port a cluster's server uses another one.
BUS = 10_000


class RedisServer:
    """One server, which keeps what it is given in an append-only file."""

    def __init__(self, *options: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self.options = options
        for _ in range(5):
            self.port = free_port(BUS)
            if self.starts():
                break
            # Somebody else has taken it meanwhile.
        else:
            raise RuntimeError((self.directory / "log").read_text())
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it again, and wait until it answers."""
        assert self.starts(), (self.directory / "log").read_text()

    def starts(self) -> bool:
        fixed = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory), "--save", "")
        command = ["redis-server", *fixed, "--appendonly", "yes", "--unixsocket", str(self.socket), *self.options]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        # Whatever it is asked, it may take its time.
        patient: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": None}
        self.admin = redis.Redis(port=self.port, protocol=2, retry=Retry(ConstantBackoff(0.02), 5), **patient)
        deadline = time.monotonic() + START_TIMEOUT_S
        while self.process.poll() is None:
            with contextlib.suppress(redis.ConnectionError):
                return int(self.admin.info("server")["process_id"]) == self.process.pid
            assert time.monotonic() < deadline, "the server does not answer"
        return False

    @property
    def socket(self) -> Path:
        return self.directory / "redis.sock"

    def kill(self) -> None:
        """End it as a power cut would."""
        self.admin.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def all_keys(self) -> set[bytes]:
        return set(self.admin.keys("*"))


class RedisCluster:
    """Three servers that share the slots."""

    # None is given up for dead because the machine is busy.
    OPTIONS = ("--cluster-enabled", "yes", "--cluster-node-timeout", "60000", "--cluster-require-full-coverage", "no")

    def __init__(self, *options: str) -> None:
        self.servers = [RedisServer(*self.OPTIONS, *options) for _ in range(3)]
        self.url = f"redis+cluster://{','.join(f'127.0.0.1:{server.port}' for server in self.servers)}"
        try:
            self._join()
        except BaseException:
            self.remove()
            raise

    def _join(self) -> None:
        first, *others = self.servers
        bounds = (0, 5461, 10923, 16384)
        for server, start, stop in zip(self.servers, bounds, bounds[1:], strict=False):
            server.admin.execute_command("CLUSTER ADDSLOTS", *range(start, stop))
        for server in others:
            first.admin.execute_command("CLUSTER MEET", "127.0.0.1", server.port)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not all(self._is_complete(server) for server in self.servers):
            assert time.monotonic() < deadline, "the cluster did not come together"
            time.sleep(0.02)

    def _is_complete(self, server: RedisServer) -> bool:
        """Whether a server knows the others, and where each slot is."""
        info: Any = server.admin.execute_command("CLUSTER INFO")
        n_servers = len(self.servers)
        return str(info["cluster_state"]) == "ok" and [
            int(info[f"cluster_{name}"]) for name in ("known_nodes", "size", "slots_ok")
        ] == [n_servers, n_servers, 16384]

    def remove(self) -> None:
        for server in self.servers:
            server.remove()


class RedisPlace:
    """An empty place on servers."""

    def __init__(self, url: str, servers: list[RedisServer]) -> None:
        self.url = url
        self.servers = servers
        for server in servers:
            server.admin.flushall()

    def open(self) -> Store:
        return RedisStore(self.url)


class Proxy:
    """Stands between a store and a server, counts the requests, and can lose an answer."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.n_requests = 0
        #: A request with these bytes is carried out, but its answer is lost.
        self.loses: bytes | None = None
        #: Called when that has happened, before the store notices.
        self.on_loss: Callable[[], object] = lambda: None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, socket.create_connection(("127.0.0.1", self.target)) as server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for source in ready:
                    data = source.recv(1 << 20)
                    if not data:
                        return
                    if source is server:
                        client.sendall(data)
                        continue
                    self.n_requests += 1
                    server.sendall(data)
                    if self.loses is not None and self.loses in data:
                        self.loses = None
                        assert server.recv(1 << 20)
                        self.on_loss()
                        return

    def close(self) -> None:
        self._listener.close()


def wait_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have stores try again until their server is there, however long that takes."""
    monkeypatch.setattr(redis_client, "PAUSES_S", (0.05,) * 10_000)
    monkeypatch.setattr(redis_client, "PATIENCE_S", START_TIMEOUT_S)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One server for all tests that leave it as it was."""
    server = RedisServer()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    cluster = RedisCluster()
    yield cluster
    cluster.remove()


@pytest.fixture
def redis_place(redis_server: RedisServer) -> RedisPlace:
    return RedisPlace(f"unix://{redis_server.socket}", [redis_server])


@pytest.fixture
def redis_cluster_place(redis_cluster: RedisCluster) -> RedisPlace:
    return RedisPlace(redis_cluster.url, redis_cluster.servers)


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that a test may kill, fill and misconfigure."""
    server = RedisServer("--appendfsync", "always")
    yield server
    server.remove()


@pytest.fixture
def proxy(redis_place: RedisPlace) -> Iterator[Proxy]:
    """A way to the shared server that can be cut."""
    found = Proxy(redis_place.servers[0].port)
    yield found
    found.close()
