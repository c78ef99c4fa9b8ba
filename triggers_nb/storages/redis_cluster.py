"""Sending commands to the servers of a Redis Cluster."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import AskError, AuthenticationError, ClusterDownError, MovedError, TryAgainError
from redis.retry import Retry

from triggers_nb.storages.redis_client import RedisClient
from triggers_nb.storages.redis_connections import LOST, Command, Server, connection_options
from triggers_nb.storages.redis_urls import RedisUrl

_Node: Final[Any] = redis.cluster.ClusterNode
_MOVING: Final = (MovedError, TryAgainError, ClusterDownError)
_FIXED_FOR_NODES: Final = {"retry": Retry(NoBackoff(), 0)}


class ClusterClient(RedisClient):
    """Keys are spread over the servers of a cluster; each command goes to the one that has its first key."""

    is_cluster = True

    def __init__(self, url: RedisUrl) -> None:
        super().__init__(url)
        self._topology: Any = None
        self._known: dict[str, Server] = {}

    def _servers(self) -> Iterable[Server]:
        return [self._server(node) for node in (self._topology or self._discover()).get_primaries()]

    def _exchange(self, commands: Sequence[Command], wait_s: float | None) -> list[Any]:
        replies: list[Any] = [None] * len(commands)
        pending = list(range(len(commands)))

        def settle_some() -> list[Any]:
            nonlocal pending
            pending, error = self._try(commands, pending, replies, wait_s)
            if error is not None:
                raise error if isinstance(error, LOST) else redis.ConnectionError(str(error))
            return replies

        return self._attempt(settle_some)

    def _try(
        self, commands: Sequence[Command], pending: Iterable[int], replies: list[Any], wait_s: float | None
    ) -> tuple[list[int], Exception | None]:
        """Fill in replies, and return what has to be tried again and why."""
        failed: list[int] = []
        why: Exception | None = None
        for server, indices in self._group(commands, pending):
            try:
                got = server.exchange([commands[i] for i in indices], wait_s)
            except LOST as error:
                if isinstance(error, AuthenticationError):
                    raise
                got = [error] * len(indices)
            for i, reply in zip(indices, got, strict=True):
                if isinstance(reply, AskError) and not isinstance(reply, MovedError):
                    reply = self._ask(reply, commands[i], wait_s)
                replies[i] = reply
                if isinstance(reply, (*LOST, *_MOVING)):
                    failed.append(i)
                    why = reply
        return failed, why

    def _group(self, commands: Sequence[Command], pending: Iterable[int]) -> list[tuple[Server, list[int]]]:
        topology = self._topology or self._discover()
        groups: dict[str, tuple[Server, list[int]]] = {}
        for i in pending:
            node = topology.get_node_from_key(_first_key(commands[i]))
            if node is None:
                raise redis.ConnectionError("the cluster has no server for a key")
            groups.setdefault(node.name, (self._server(node), []))[1].append(i)
        return list(groups.values())

    def _discover(self) -> Any:
        options = connection_options(self._url.options)
        for name in ("host", "port", "db"):
            options.pop(name, None)
        nodes = [_Node(host, port) for host, port in self._url.nodes]
        self._topology = redis.RedisCluster(startup_nodes=nodes, **options)
        return self._topology

    def _server(self, node: Any) -> Server:
        server = self._known.get(node.name)
        if server is None:
            pool = node.redis_connection.connection_pool
            options = {**pool.connection_kwargs, **_FIXED_FOR_NODES}
            server = self._known.setdefault(node.name, Server(lambda: pool.connection_class(**options)))
        return server

    def _ask(self, error: AskError, command: Command, wait_s: float | None) -> Any:
        """Follow the redirection of a slot that is being moved."""
        topology = self._topology or self._discover()
        node = topology.get_node(host=error.host, port=error.port)
        if node is None:
            return TryAgainError(str(error))
        try:
            return self._server(node).exchange([("ASKING",), command], wait_s)[1]
        except LOST as lost:
            return lost

    def close(self) -> None:  # noqa: D102
        for server in self._known.values():
            server.close()
        # What it knows of the cluster may be why something failed.
        topology, self._topology = self._topology, None
        if topology is not None:
            topology.close()
        self._known = {}


def _first_key(command: Command) -> bytes:
    name = command[0]
    if name in ("EVALSHA", "EVAL"):
        return cast("bytes", command[3])
    return cast("bytes", command[1]) if len(command) > 1 else b"triggers:{0}"
