"""Reading whole sessions, each as it was at one moment, without keeping a server from answering others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from triggers_nb.core.codec import DAMAGE
from triggers_nb.core.records import INSTANCE
from triggers_nb.errors import DamagedSession, StorageError
from triggers_nb.storages import redis_scripts as scripts
from triggers_nb.storages.redis_client import RedisClient
from triggers_nb.storages.redis_connections import Command
from triggers_nb.storages.redis_layout import Keys, decode_state, keys_of, to_pairs
from triggers_nb.storages.store import SessionState

#: More cells of instances than that are read in parts.
CELLS_AT_ONCE: Final = 1000
#: How often a session is read command by command, before it is read at once.
ATTEMPTS: Final = 3


class StateReader:
    """Reads sessions command by command, and again if one has changed meanwhile.

    Parameters
    ----------
    client : RedisClient
        Where they are.
    prefixes : tuple of str
        Which cells are wanted; all if empty.
    """

    def __init__(self, client: RedisClient, prefixes: tuple[str, ...]) -> None:
        self._client = client
        self._prefixes = prefixes
        self._wants_instances = not prefixes or any(
            prefix.startswith(INSTANCE) or INSTANCE.startswith(prefix) for prefix in prefixes
        )

    def read(self, uids: Sequence[str]) -> list[SessionState | None]:
        """Read sessions, in two trips but for those that are large or change meanwhile."""
        keys = [keys_of(uid) for uid in uids]
        sizes = [0] * len(keys)
        if self._wants_instances:
            sizes = self._client.call_many([("HLEN", each.instances) for each in keys])
        small = [each for each, size in zip(keys, sizes, strict=True) if size <= CELLS_AT_ONCE]
        replies = self._client.call_many([command for each in small for command in self._commands(each)])
        parts = iter(zip(*(replies[i::5] for i in range(5)), strict=True))
        states: list[SessionState | None] = []
        for uid, each, size in zip(uids, keys, sizes, strict=True):
            seen = next(parts) if size <= CELLS_AT_ONCE else None
            same = seen is not None and _is_same(seen[0], to_pairs(seen[4]))
            states.append(self._decode(uid, *seen[1:]) if seen is not None and same else self._read_alone(uid, each))
        return states

    def _commands(self, keys: Keys) -> tuple[Command, ...]:
        """The state is that of one moment if the first reply agrees with the last one."""
        instances = ("HGETALL", keys.instances) if self._wants_instances else ("HLEN", keys.instances)
        return (
            ("HMGET", keys.head, "epoch", "seq"),
            ("HGETALL", keys.cells),
            instances,
            ("HGETALL", keys.due),
            ("HGETALL", keys.head),
        )

    def _read_alone(self, uid: str, keys: Keys) -> SessionState | None:
        """Read a large session in parts, or one that others change at once if need be."""
        for _ in range(ATTEMPTS):
            before, cells = self._client.call_many([("HMGET", keys.head, "epoch", "seq"), ("HGETALL", keys.cells)])
            instances = self._scan(keys.instances) if self._wants_instances else []
            due, head = self._client.call_many([("HGETALL", keys.due), ("HGETALL", keys.head)])
            if _is_same(before, to_pairs(head)):
                return self._decode(uid, cells, instances, due, head)
        head, cells, instances, due = scripts.state(self._client, uid)
        return self._decode(uid, cells, instances, due, head)

    def _scan(self, key: bytes) -> list[bytes]:
        found: list[bytes] = []
        cursor: Any = 0
        while True:
            cursor, some = self._client.call("HSCAN", key, cursor, "COUNT", CELLS_AT_ONCE)
            found += some
            if cursor == b"0":
                return found

    def _decode(self, uid: str, cells: Any, instances: Any, due: Any, head: Any) -> SessionState | None:
        there = [*cells, *instances] if self._wants_instances else cells
        try:
            return decode_state(to_pairs(head), there, due, self._prefixes)
        except (StorageError, *DAMAGE) as error:
            raise DamagedSession(uid, str(error)) from error


def _is_same(before: Sequence[bytes | None], head: dict[bytes, bytes]) -> bool:
    return list(before) == [head.get(b"epoch"), head.get(b"seq")]
