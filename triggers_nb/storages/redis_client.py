"""Connections to Redis: one set of them per process and URL, for one server or a cluster.

What is sent is safe to be sent twice, so a command whose answer was lost is sent again, for a bounded time.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar, cast

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.connection import Connection
from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.retry import Retry

from triggers_nb.errors import StorageError, StorageUrlError
from triggers_nb.storages.redis_urls import RedisUrl, parse_redis_url

T = TypeVar("T")

#: Arguments of a command, its name first.
Command = tuple[bytes | str | int, ...]

#: Seconds between the attempts to reach a server.
PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
#: After that many seconds nothing is tried again.
PATIENCE_S: Final = 15.0
#: Seconds, unless the URL says otherwise.
CONNECT_TIMEOUT_S: Final = 5.0
REPLY_TIMEOUT_S: Final = 10.0

_LOST: Final = (redis.ConnectionError, redis.TimeoutError, OSError, RedisClusterException)
_MOVING: Final = (MovedError, TryAgainError, ClusterDownError)

_EXPLANATIONS: Final = {
    "OOM ": "its memory is full (maxmemory), so nothing was written. Give it more, or trim events and delete sessions",
    "WRONGTYPE": "a key that begins with 'triggers:' holds something that triggers_nb has not written",
    "READONLY": "it takes no writes; it is a replica",
    "NOPERM": "the user of the URL may not do this",
    "MISCONF": "it takes no writes, as it cannot save them to its disk",
    "BADCALL": "a script was called wrongly; this is a mistake of triggers_nb",
}

#: Text of each script, by its SHA-1.
_scripts: dict[bytes, bytes] = {}
_clients: dict[str, RedisClient] = {}
_opening = threading.Lock()


def add_script(sha: bytes, text: bytes) -> None:
    """Make a script known, so that it is sent to a server that has forgotten it."""
    _scripts[sha] = text


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


class _Packer:
    """Packs commands; nothing here needs what redis-py does to the arguments before that."""

    def pack(self, *command: bytes | str | int) -> list[bytes]:
        return [hiredis.pack_command(command)]


class Server:
    """Connections to one server: a thread takes one for an exchange and leaves it for the next."""

    def __init__(self, make: Callable[[], Connection]) -> None:
        self._make = make
        self._idle: deque[Connection] = deque()

    def exchange(self, commands: Sequence[Command], wait_s: float | None = None) -> list[Any]:
        """Send commands and return their replies, errors among them. Nothing is tried twice."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._make()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            replies = [_read_reply(connection, wait_s) for _ in commands]
        except BaseException:
            # Also if the user interrupts: the reply that is on its way belongs to nobody.
            connection.disconnect()
            raise
        self._idle.append(connection)
        return replies

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            try:
                self._idle.pop().disconnect()
            except IndexError:
                return


def _read_reply(connection: Connection, wait_s: float | None) -> Any:
    try:
        return connection.read_response() if wait_s is None else connection.read_response(timeout=wait_s)
    except ResponseError as error:
        return error


def _scan(server: Server, pattern: str) -> Iterator[bytes]:
    cursor: Any = 0
    while cursor != b"0":
        reply = server.exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])[0]
        if isinstance(reply, Exception):
            raise reply
        cursor, keys = reply
        yield from keys


def _connection_options(options: Mapping[str, Any]) -> dict[str, Any]:
    defaults = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": REPLY_TIMEOUT_S}
    return {**defaults, **options, "retry": Retry(NoBackoff(), 0), "command_packer": _Packer()}


class RedisClient(ABC):
    """Sends commands to wherever their keys are, and raises what goes wrong as `StorageError`."""

    #: Whether keys are spread over several servers.
    is_cluster: ClassVar[bool]

    def __init__(self, url: RedisUrl) -> None:
        self._url = url
        #: Without credentials.
        self.url = url.public

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}>"

    def call(self, *command: bytes | str | int, wait_s: float | None = None) -> Any:
        """Send one command; its reply may take `wait_s`."""
        return self.call_many([command], wait_s=wait_s)[0]

    def call_many(self, commands: Sequence[Command], *, wait_s: float | None = None) -> list[Any]:
        """Send commands together and return their replies.

        Raises
        ------
        StorageError
            If no server answers, or one answers a command with an error.
        """
        try:
            replies = self._exchange(commands, wait_s)
            forgotten = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if forgotten:
                again = self._exchange([_with_text(commands[i]) for i in forgotten], wait_s)
                for i, reply in zip(forgotten, again, strict=True):
                    replies[i] = reply
        except (*_LOST, RedisError) as error:
            raise self._explain(error) from None
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._explain(reply)
        return replies

    def call_each_server(self, *command: bytes | str | int) -> list[Any]:
        """Send one command to every server that takes writes; a reply may be an error."""
        try:
            return self._attempt(lambda: [each.exchange([command])[0] for each in self._servers()])
        except (*_LOST, RedisError) as error:
            raise self._explain(error) from None

    def find_keys(self, pattern: str) -> set[bytes]:
        """Find the keys that match a pattern, on all servers."""
        try:
            return self._attempt(lambda: set().union(*(_scan(server, pattern) for server in self._servers())))
        except (*_LOST, RedisError) as error:
            raise self._explain(error) from None

    @abstractmethod
    def close(self) -> None:
        """Close all connections that nobody uses."""

    @abstractmethod
    def _servers(self) -> Iterable[Server]:
        """Every server that takes writes."""

    @abstractmethod
    def _exchange(self, commands: Sequence[Command], wait_s: float | None) -> list[Any]:
        """Get the reply to each command, in their order; raise what remains of connection errors."""

    def _attempt(self, act: Callable[[], T]) -> T:
        """Do it again while the connection is lost, for a bounded time."""
        give_up_at = time.monotonic() + PATIENCE_S
        for pause_s in PAUSES_S:
            try:
                return act()
            except AuthenticationError:
                raise
            except _LOST:
                self.close()
                if time.monotonic() + pause_s > give_up_at:
                    raise
                time.sleep(pause_s)
        return act()

    def _explain(self, error: Exception) -> StorageError:
        text = self._url.hide_secrets(str(error) or type(error).__name__)
        if isinstance(error, _LOST) and not isinstance(error, AuthenticationError | ResponseError):
            return StorageError(
                f"{self.url} cannot be reached: {text}. Check that it runs, and try again. If this was a change, "
                "it may have been made"
            )
        for sign, explanation in _EXPLANATIONS.items():
            if sign in text:
                return StorageError(f"{self.url}: {explanation} (its answer: {text})")
        return StorageError(f"{self.url} answered with an error: {text}")


class ServerClient(RedisClient):
    """Everything is on one server."""

    is_cluster = False

    def __init__(self, url: RedisUrl) -> None:
        super().__init__(url)
        options = _connection_options(url.options)
        connection_class = cast("Callable[..., Connection]", options.pop("connection_class", Connection))
        self._server = Server(lambda: connection_class(**options))
        try:
            connection_class(**options)
        except (TypeError, ValueError, RedisError) as error:
            raise StorageUrlError(f"{self.url}: an option of the URL cannot be used: {error}") from None

    def close(self) -> None:  # noqa: D102
        self._server.close()

    def _servers(self) -> Iterable[Server]:
        return (self._server,)

    def _exchange(self, commands: Sequence[Command], wait_s: float | None) -> list[Any]:
        try:
            return self._server.exchange(commands, wait_s)
        except AuthenticationError:
            raise
        except _LOST:
            return self._attempt(lambda: self._server.exchange(commands, wait_s))


class ClusterClient(RedisClient):
    """Keys are spread over the servers of a cluster; each command goes to the one that has its first key."""

    is_cluster = True

    def __init__(self, url: RedisUrl) -> None:
        super().__init__(url)
        self._topology: redis.RedisCluster | None = None
        self._known: dict[str, Server] = {}

    def _servers(self) -> Iterable[Server]:
        return [self._server(node) for node in (self._topology or self._discover()).get_primaries()]

    def _exchange(self, commands: Sequence[Command], wait_s: float | None) -> list[Any]:
        replies: list[Any] = [None] * len(commands)
        pending = range(len(commands))

        def settle_some() -> list[Any]:
            nonlocal pending
            pending, error = self._try(commands, pending, replies, wait_s)
            if error is not None:
                raise error if isinstance(error, _LOST) else redis.ConnectionError(str(error))
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
            except _LOST as error:
                if isinstance(error, AuthenticationError):
                    raise
                got = [error] * len(indices)
            for i, reply in zip(indices, got, strict=True):
                if isinstance(reply, AskError) and not isinstance(reply, MovedError):
                    reply = self._ask(reply, commands[i], wait_s)
                replies[i] = reply
                if isinstance(reply, (*_LOST, *_MOVING)):
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

    def _discover(self) -> redis.RedisCluster:
        options = _connection_options(self._url.options)
        for name in ("host", "port", "db"):
            options.pop(name, None)
        nodes = [redis.cluster.ClusterNode(host, port) for host, port in self._url.nodes]
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
        except _LOST as lost:
            return lost

    def close(self) -> None:  # noqa: D102
        for server in self._known.values():
            server.close()
        # What it knows of the cluster may be why something failed.
        topology, self._topology = self._topology, None
        if topology is not None:
            topology.close()
        self._known = {}


_FIXED_FOR_NODES: Final = {"retry": Retry(NoBackoff(), 0)}


def _with_text(command: Command) -> Command:
    """The same call of a script, with its text, which the server keeps from then on."""
    return ("EVAL", _scripts[cast("bytes", command[1])], *command[2:])


def _first_key(command: Command) -> bytes:
    name = command[0]
    if name in ("EVALSHA", "EVAL"):
        return cast("bytes", command[3])
    return cast("bytes", command[1]) if len(command) > 1 else b"triggers:{0}"
