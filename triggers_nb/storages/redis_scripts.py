"""The Lua scripts, each behind a function that says what it takes and what it returns.

What a script answers is told at the top of its file in ``lua/``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, Generic, NamedTuple, TypeVar

import msgspec

from triggers_nb.core.records import HEAD, INSTANCE
from triggers_nb.storages.redis_client import RedisClient, add_script
from triggers_nb.storages.redis_connections import Command
from triggers_nb.storages.redis_layout import ALL_BUCKETS, due_member, keys_of, to_ms, to_us
from triggers_nb.storages.store import Commit

V = TypeVar("V")

_encode = msgspec.msgpack.Encoder().encode
_HEAD_FIELDS: Final = ("epoch", "seq", "modified", "timeout", "expires", "head")
_NOTHING_DUE: Final[tuple[list[str], list[str], list[int], list[bytes]]] = ([], [], [], [])
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


def _commit_arguments(uid: str, commit: Commit, new_epoch: int) -> list[bytes]:
    """Lay a commit out as ``lua/commit.lua`` says."""
    reads, writes, counts = commit.reads, commit.writes, commit.counts
    fields = [*_HEAD_FIELDS, *[f"#{name}" for name in counts]]
    if "unresolved" not in counts:
        fields.append("#unresolved")
    read = _by_hash(reads)
    written = _by_hash(writes)
    due, settled, delays_us, due_data = _split_due(commit.due) if commit.due else _NOTHING_DUE
    timeout_ms = -1 if commit.timeout_s is None else to_ms(commit.timeout_s)
    writes_read = 0 if writes.keys().isdisjoint(reads) else 1
    parts = (
        *(uid, commit.at_us, commit.epoch, commit.base_seq, new_epoch, timeout_ms, writes_read),
        *(fields, [*counts.values()], fields.index("#unresolved") + 1, reads.get(HEAD, -1)),
        *(read.cells, read.cell_values, read.instances, read.instance_values),
        *(written.cells, written.instances, 1 if HEAD in writes else 0, due, delays_us, settled),
    )
    head = (writes[HEAD],) if HEAD in writes else ()
    data = [_encode(each) for each in (*written.cell_values, *written.instance_values, *head, *due_data)]
    return [_encode(parts), commit.commit_id, commit.lock, commit.event, *data]


class _ByHash(NamedTuple, Generic[V]):
    """Cells, without the cell ``head``, by the hash that has them."""

    cells: list[str]
    cell_values: list[V]
    instances: list[str]
    instance_values: list[V]


def _by_hash(cells: Mapping[str, V]) -> _ByHash[V]:
    sorted_: _ByHash[V] = _ByHash([], [], [], [])
    others, other_values, instances, instance_values = sorted_
    for name, value in cells.items():
        if name[:2] == INSTANCE:
            instances.append(name)
            instance_values.append(value)
        elif name != HEAD:
            others.append(name)
            other_values.append(value)
    return sorted_


def _split_due(due: Mapping[str, tuple[float, bytes] | None]) -> tuple[list[str], list[str], list[int], list[bytes]]:
    """Due items and those to be removed; the delays in microseconds and the bytes of the former."""
    items: list[str] = []
    settled: list[str] = []
    delays_us: list[int] = []
    data: list[bytes] = []
    for item, what in due.items():
        if what is None:
            settled.append(item)
        else:
            items.append(item)
            delays_us.append(to_us(what[0]))
            data.append(what[1])
    return items, settled, delays_us, data


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
