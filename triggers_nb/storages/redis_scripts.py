"""The Lua scripts, each behind a function that says what it takes and what it returns.

What a script answers is told at the top of its file in ``lua/``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import msgspec

from triggers_nb.core.records import HEAD, INSTANCE
from triggers_nb.storages.redis_client import RedisClient, add_script
from triggers_nb.storages.redis_connections import Command
from triggers_nb.storages.redis_layout import ALL_BUCKETS, due_member, keys_of, to_ms, to_us
from triggers_nb.storages.store import Commit

_encode = msgspec.msgpack.Encoder().encode
#: So many bytes in front say that it is an array of 16 values or more.
_ARRAY_START: Final = 3
_UNRESOLVED: Final = "#unresolved"
_NOTHING_DUE: Final[tuple[list[bytes | str], list[int], list[str]]] = ([], [], [])
_directory = files("triggers_nb.storages") / "lua"


def _load(name: str, *, prelude: bool = False) -> bytes:
    text = (_directory / f"{name}.lua").read_bytes()
    if prelude:
        text = (_directory / "prelude.lua").read_bytes() + text
    sha = hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
    add_script(sha, text)
    return sha


_COMMIT: Final = _load("commit", prelude=True)
_READ: Final = _load("read")
_STATE: Final = _load("state")
_DUE: Final = _load("due", prelude=True)
_POSTPONE: Final = _load("postpone", prelude=True)
_SETTLE: Final = _load("settle", prelude=True)
_ACQUIRE_LOCK: Final = _load("acquire_lock")
_RELEASE_LOCK: Final = _load("release_lock")
_DELETE: Final = _load("delete")
_FORGET: Final = _load("forget")
_FORGET_DUE: Final = _load("forget_due")


def commit(client: RedisClient, uid: str, commit: Commit, *, new_epoch: int) -> list[Any]:
    """Commit a change: ``[1, epoch, seq, at_us]``, or ``[0, locked_ms, (epoch, seq, cell, value, …)]``."""
    answer: list[Any] = client.call("EVALSHA", _COMMIT, 9, *keys_of(uid), *_commit_arguments(uid, commit, new_epoch))
    return answer


def _commit_arguments(uid: str, commit: Commit, new_epoch: int) -> list[bytes | str]:
    """Lay a commit out as ``lua/commit.lua`` says."""
    reads, writes = commit.reads, commit.writes
    counts = [f"#{name}" for name in commit.counts]
    timeout_ms, unresolved_at = -1, 0
    if commit.timeout_s is not None:
        timeout_ms = to_ms(commit.timeout_s)
        if _UNRESOLVED not in counts:
            counts.append(_UNRESOLVED)
        unresolved_at = counts.index(_UNRESOLVED) + 1
    cells, instances = _fields_of(writes)
    due, delays_us, settled = _split_due(commit.due) if commit.due else _NOTHING_DUE
    head = (_encode(writes[HEAD]),) if HEAD in writes else ()
    parts = (
        *(uid, str(commit.at_us), commit.epoch, commit.base_seq, commit.is_current, new_epoch, timeout_ms),
        *(not writes.keys().isdisjoint(reads), counts, [*commit.counts.values()], unresolved_at),
        *(len(cells) // 2, len(instances) // 2, len(head), delays_us, settled),
    )
    packed = (_encode(parts)[_ARRAY_START:], _encode(reads))
    return [*packed, commit.commit_id, commit.lock, commit.event, *cells, *instances, *due, *head]


def _fields_of(writes: Mapping[str, bytes]) -> tuple[list[bytes | str], list[bytes | str]]:
    """Names and encoded bytes, in turn, of cells but ``head``, and of cells of instances."""
    cells: list[bytes | str] = []
    instances: list[bytes | str] = []
    for name, data in writes.items():
        if name[:2] == INSTANCE:
            instances += (name, _encode(data))
        elif name != HEAD:
            cells += (name, _encode(data))
    return cells, instances


def _split_due(due: Mapping[str, tuple[float, bytes] | None]) -> tuple[list[bytes | str], list[int], list[str]]:
    """Due items and their encoded bytes, in turn; their delays in microseconds; the items that are to be removed."""
    fields: list[bytes | str] = []
    delays_us: list[int] = []
    settled: list[str] = []
    for item, what in due.items():
        if what is None:
            settled.append(item)
        else:
            fields += (item, _encode(what[1]))
            delays_us.append(to_us(what[0]))
    return fields, delays_us, settled


def read(client: RedisClient, uid: str, *, names: Sequence[str], steps: int) -> list[bytes] | None:
    """Read cells: ``[epoch, seq, cell, value, …]``, or None without a session."""
    answer: list[bytes] | None = client.call(*read_command(uid, names=names, steps=steps))
    return answer


def read_command(uid: str, *, names: Sequence[str], steps: int) -> Command:
    """The command behind `read`, to be sent with others."""
    keys = keys_of(uid)
    return ("EVALSHA", _READ, 3, keys.head, keys.cells, keys.instances, steps, *names)


def state(client: RedisClient, uid: str) -> list[list[bytes]]:
    """Read all of a session at once: names and values in turn of its head, cells, instances and due items."""
    keys = keys_of(uid)
    answer: list[list[bytes]] = client.call("EVALSHA", _STATE, 4, keys.head, keys.cells, keys.instances, keys.due)
    return answer


def list_due(client: RedisClient, *, limit: int) -> list[list[bytes]]:
    """What is due in each bucket: ``[now_us, member, …]``."""
    return client.call_many([("EVALSHA", _DUE, 1, bucket.due, limit) for bucket in ALL_BUCKETS])


def postpone(client: RedisClient, uid: str, *, item: str, delay_us: int, due_us: int | None) -> bool:
    """Set the moment of a due item, if it is still the given one; False if not."""
    keys = keys_of(uid)
    arguments = (item, due_member(uid, item), delay_us, "" if due_us is None else due_us)
    return bool(client.call("EVALSHA", _POSTPONE, 2, keys.due, keys.bucket_due, *arguments))


def settle(client: RedisClient, uid: str, *, item: str) -> bool:
    """Remove a due item; False if it was not there."""
    return bool(client.call("EVALSHA", _SETTLE, 9, *keys_of(uid), uid, item, due_member(uid, item)))


def acquire_lock(client: RedisClient, uid: str, *, token: bytes, lease_ms: int) -> int:
    """Take or renew the lock: 0, or the milliseconds that another's stands."""
    return int(client.call("EVALSHA", _ACQUIRE_LOCK, 1, keys_of(uid).lock, token, lease_ms))


def release_lock(client: RedisClient, uid: str, *, token: bytes) -> bool:
    """Give the lock back; False if it was not held."""
    return bool(client.call("EVALSHA", _RELEASE_LOCK, 1, keys_of(uid).lock, token))


def delete(client: RedisClient, uids: Sequence[str]) -> list[int]:
    """Delete sessions: 1 for each that there was, else 0."""
    return client.call_many([("EVALSHA", _DELETE, 9, *keys_of(uid), uid) for uid in uids])


def forget(uid: str) -> Command:
    """Strike a session that has expired off the index."""
    keys = keys_of(uid)
    return ("EVALSHA", _FORGET, 3, keys.head, keys.listing, keys.expiries, uid)


def forget_due(uid: str, item: str) -> Command:
    """Strike a due item whose session is gone off the list."""
    keys = keys_of(uid)
    return ("EVALSHA", _FORGET_DUE, 2, keys.due, keys.bucket_due, item, due_member(uid, item))
