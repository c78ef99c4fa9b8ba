"""Sending commands to Redis, and saying what went wrong.

What is sent is safe to be sent twice, so a command whose answer was lost is sent again, for a bounded time.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Final, TypeVar, cast

from redis.connection import Connection
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError

from triggers_nb.errors import StorageError, StorageUrlError
from triggers_nb.storages.redis_connections import LOST, Command, Server, connection_options, scan
from triggers_nb.storages.redis_urls import RedisUrl

T = TypeVar("T")

#: Seconds between the attempts to reach a server.
PAUSES_S: Final = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
#: After that many seconds nothing is tried again.
PATIENCE_S: Final = 15.0

_FULL: Final = (
    "its memory is full (maxmemory), so nothing was written. Give it more, or trim events and delete sessions"
)
_FORBIDDEN: Final = "the user of the URL may not do this"
_REPLICA: Final = "it takes no writes; it is a replica"
#: By what is found in an error's text, or in the name of its class, for which redis-py cuts the text.
_EXPLANATIONS: Final = {
    "OOM ": _FULL,
    "OutOfMemoryError": _FULL,
    "READONLY": _REPLICA,
    "ReadOnlyError": _REPLICA,
    "NoPermissionError": _FORBIDDEN,
    "executing the script can't": _FORBIDDEN,
    "WRONGTYPE": "a key that begins with 'triggers:' holds something that triggers_nb has not written",
    "MISCONF": "it takes no writes, as it cannot save them to its disk",
    "BADCALL": "a script was called wrongly; this is a mistake of triggers_nb",
}

#: Text of each script, by its SHA-1.
_scripts: dict[bytes, bytes] = {}


def add_script(sha: bytes, text: bytes) -> None:
    """Make a script known, so that it is sent to a server that has forgotten it."""
    _scripts[sha] = text


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
            for reply in replies:
                if isinstance(reply, Exception):
                    self._send_scripts(commands, replies, wait_s)
                    break
            else:
                return replies
        except (*LOST, RedisError) as error:
            raise self._explain(error) from None
        for reply in replies:
            if isinstance(reply, Exception):
                raise self._explain(reply)
        return replies

    def _send_scripts(self, commands: Sequence[Command], replies: list[Any], wait_s: float | None) -> None:
        """Call again, with their texts, the scripts that a server has forgotten."""
        forgotten = [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        again = self._exchange([_with_text(commands[i]) for i in forgotten], wait_s)
        for i, reply in zip(forgotten, again, strict=True):
            replies[i] = reply

    def call_each_server(self, *command: bytes | str | int) -> list[Any]:
        """Send one command to every server that takes writes; a reply may be an error, but not all are lost ones."""
        try:
            return self._attempt(lambda: self._try_each_server(command))
        except (*LOST, RedisError) as error:
            raise self._explain(error) from None

    def _try_each_server(self, command: Command) -> list[Any]:
        replies: list[Any] = []
        for server in self._servers():
            try:
                replies += server.exchange([command])
            except AuthenticationError:
                raise
            except LOST as error:
                replies.append(error)
        if all(isinstance(reply, LOST) for reply in replies):
            raise replies[0]
        return replies

    def find_keys(self, pattern: str) -> set[bytes]:
        """Find the keys that match a pattern, on all servers."""
        try:
            return self._attempt(lambda: set().union(*(scan(server, pattern) for server in self._servers())))
        except (*LOST, RedisError) as error:
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
            except LOST:
                self.close()
                if time.monotonic() + pause_s > give_up_at:
                    raise
                time.sleep(pause_s)
        return act()

    def _explain(self, error: Exception) -> StorageError:
        text = self._url.hide_secrets(str(error) or type(error).__name__)
        if isinstance(error, LOST) and not isinstance(error, AuthenticationError | ResponseError):
            return StorageError(
                f"{self.url} cannot be reached: {text}. Check that it runs, and try again. If this was a change, "
                "it may have been made"
            )
        for sign, explanation in _EXPLANATIONS.items():
            if sign in f"{type(error).__name__}: {text}":
                return StorageError(f"{self.url}: {explanation} (its answer: {text})")
        return StorageError(f"{self.url} answered with an error: {text}")


class ServerClient(RedisClient):
    """Everything is on one server."""

    is_cluster = False

    def __init__(self, url: RedisUrl) -> None:
        super().__init__(url)
        options = connection_options(url.options)
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
        except LOST:
            return self._attempt(lambda: self._server.exchange(commands, wait_s))


def _with_text(command: Command) -> Command:
    """The same call of a script, with its text, which the server keeps from then on."""
    return ("EVAL", _scripts[cast("bytes", command[1])], *command[2:])
