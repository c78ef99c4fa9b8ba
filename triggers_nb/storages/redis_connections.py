"""Connections to one Redis server."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final
from weakref import WeakSet

import hiredis
import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException, ResponseError
from redis.retry import Retry

#: Arguments of a command, its name first.
Command = tuple[bytes | str | int, ...]

#: Seconds, unless the URL says otherwise.
CONNECT_TIMEOUT_S: Final = 5.0
REPLY_TIMEOUT_S: Final = 10.0

#: What is raised when a connection is lost, or cannot be made.
LOST: Final = (redis.ConnectionError, redis.TimeoutError, OSError, RedisClusterException)


_servers: Final[WeakSet[Server]] = WeakSet()


def _forget_parents_connections() -> None:
    for server in list(_servers):
        server.forget()


os.register_at_fork(after_in_child=_forget_parents_connections)


class _Packer:
    """Packs commands; nothing here needs what redis-py does to the arguments before that."""

    def pack(self, *command: Any) -> list[bytes]:
        return [hiredis.pack_command(command)]


class Server:
    """Connections to one server: a thread takes one for an exchange and leaves it for the next."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        #: Connections of redis-py, most of which has no types.
        self._idle: deque[Any] = deque()
        _servers.add(self)

    def exchange(self, commands: Sequence[Command], wait_s: float | None = None) -> list[Any]:
        """Send commands and return their replies, errors among them. Nothing is tried twice."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._make()
        try:
            one = len(commands) == 1
            packed = connection.pack_command(*commands[0]) if one else connection.pack_commands(commands)
            connection.send_packed_command(packed)
            replies = [_read_reply(connection, wait_s) for _ in commands]
        except BaseException:
            # Also if the user interrupts: the reply that is on its way belongs to nobody.
            connection.disconnect()
            raise
        self._idle.append(connection)
        return replies

    def forget(self) -> None:
        """Leave all connections to the process that this one was forked from."""
        self._idle = deque()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        while self._idle:
            try:
                self._idle.pop().disconnect()
            except IndexError:
                return


def _read_reply(connection: Any, wait_s: float | None) -> Any:
    try:
        return connection.read_response() if wait_s is None else connection.read_response(timeout=wait_s)
    except ResponseError as error:
        return error


def scan(server: Server, pattern: str) -> Iterator[bytes]:
    """Find the keys of a server that match a pattern."""
    cursor: Any = 0
    while cursor != b"0":
        reply = server.exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)])[0]
        if isinstance(reply, Exception):
            raise reply
        cursor, keys = reply
        yield from keys


def connection_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Complete what a URL says of a connection."""
    defaults = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": REPLY_TIMEOUT_S}
    return {**defaults, **options, "retry": Retry(NoBackoff(), 0), "command_packer": _Packer()}
