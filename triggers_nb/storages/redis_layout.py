"""How sessions are laid out in Redis.

Each session has six keys, ``triggers:{<bucket>}:<kind>:<uid>``, and each bucket three, ``triggers:{<bucket>}:<kind>``:

=============  ======  ==================================================================================
kind           type    holds
=============  ======  ==================================================================================
``head``       hash    epoch, seq, created, modified, timeout, expires; the cell ``head``; counts (``#name``)
``cells``      hash    all other cells but those of instances
``instances``  hash    the cells of instances (``i:…``)
``events``     stream  entries ``<seq>-0`` with id (of the commit), at, data
``dues``       hash    due items
``lock``       string  token, with its lease as time to live
``index``      zset    UIDs of the bucket by last change
``due``        zset    due items of the bucket by moment
``expiries``   zset    UIDs of the bucket that expire, by moment
=============  ======  ==================================================================================

The bucket of a session is the CRC-32 of its UID modulo 16. In a cluster, keys of a bucket are on one server, so that
one script reads or changes all that belongs to a session. A cell is a msgpack array of its revision and its bytes, a
due item one of its moment and its bytes: thousands are decoded at once.

A session that may expire has a time to live on all its keys. Its entry in the index goes when it is listed, or when
another session of the bucket starts to expire.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar
from zlib import crc32

import msgspec

from triggers_nb.core.codec import DAMAGE
from triggers_nb.errors import InvalidValue, StorageError
from triggers_nb.storages.store import Cell, DueItem, SessionState, StoredEvent, Summary, View

T = TypeVar("T")

#: Sessions are spread over that many buckets. It is part of the layout: changing it loses track of what is stored.
BUCKETS: Final = 16

#: Three thousand years; Redis refuses what does not fit into 64 bits.
_MAX_TTL_MS: Final = 10**14

_cells = msgspec.msgpack.Decoder(list[Cell])
_dues = msgspec.msgpack.Decoder(list[DueItem])


class Keys(NamedTuple):
    """The keys of a session, in the order that the scripts expect."""

    head: bytes
    cells: bytes
    instances: bytes
    events: bytes
    due: bytes
    lock: bytes
    #: These belong to its bucket.
    listing: bytes
    bucket_due: bytes
    expiries: bytes


class BucketKeys(NamedTuple):
    """The keys of a bucket."""

    listing: bytes
    due: bytes
    expiries: bytes


def _bucket_keys(bucket: int) -> BucketKeys:
    return BucketKeys(*(b"triggers:{%d}:%s" % (bucket, name) for name in (b"index", b"due", b"expiries")))


#: Holds a random name of all that is stored here, which is made when it is first asked for.
STORAGE_ID_KEY: Final = b"triggers:{0}:id"

ALL_BUCKETS: Final = tuple(_bucket_keys(bucket) for bucket in range(BUCKETS))


def encode_uid(uid: str) -> bytes:
    """The bytes of a UID.

    Raises
    ------
    InvalidValue
        If UTF-8 cannot encode it.
    """
    try:
        return uid.encode()
    except UnicodeEncodeError:
        raise InvalidValue("uid", uid, "expected text that UTF-8 can encode (it has a lone surrogate)") from None


def head_key(uid: str) -> bytes:
    """The key of a session's head."""
    name = encode_uid(uid)
    return b"triggers:{%d}:head:%s" % (crc32(name) % BUCKETS, name)


@lru_cache(maxsize=512)
def keys_of(uid: str) -> Keys:
    """All keys of a session. Those of one bucket share a slot of a cluster."""
    name = encode_uid(uid)
    bucket = crc32(name) % BUCKETS
    kinds = (b"head", b"cells", b"instances", b"events", b"dues", b"lock")
    return Keys._make((*(b"triggers:{%d}:%s:%s" % (bucket, kind, name) for kind in kinds), *ALL_BUCKETS[bucket]))


def due_member(uid: str, item: str) -> bytes:
    """How a due item is called among those of its bucket."""
    name = uid.encode()
    return b"%d:%s%s" % (len(name), name, item.encode())


def split_due_member(member: bytes) -> tuple[str, str]:
    """The UID and the item that `due_member` was given."""
    length, _, rest = member.partition(b":")
    return rest[: int(length)].decode(), rest[int(length) :].decode()


def to_pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """What ``HGETALL`` answers, as a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def decode_cells(values: Sequence[bytes]) -> list[Cell]:
    """Decode the values of many cells.

    Raises
    ------
    StorageError
        If one of them is damaged.
    """
    return _decode_many(_cells, values)


def decode_dues(values: Sequence[bytes]) -> list[DueItem]:
    """Decode the values of many due items.

    Raises
    ------
    StorageError
        If one of them is damaged.
    """
    return _decode_many(_dues, values)


def _decode_many(decoder: msgspec.msgpack.Decoder[list[T]], values: Sequence[bytes]) -> list[T]:
    try:
        return decoder.decode(b"\xdd" + len(values).to_bytes(4, "big") + b"".join(values))
    except msgspec.DecodeError as error:
        raise StorageError(f"a value in Redis cannot be read: {error}") from error


def decode_view(answer: Sequence[Any], start: int) -> View:
    """Make a view of ``epoch, seq, cell, value, cell, value, …``, which begin at `start`."""
    cells = dict(zip(map(bytes.decode, answer[start + 2 :: 2]), decode_cells(answer[start + 3 :: 2]), strict=True))
    return View(epoch=int(answer[start]), seq=int(answer[start + 1]), cells=cells)


def decode_counts(head: Mapping[bytes, bytes]) -> dict[str, int]:
    """The counts of a head."""
    return {name[1:].decode(): int(value) for name, value in head.items() if name[0] == 35}  # "#"


def decode_summaries(uids: Sequence[str], heads: Sequence[Mapping[bytes, bytes]]) -> list[Summary | None]:
    """What a listing says of sessions; None for each whose head says that there is none.

    Of one that is damaged, nothing but that it is there: it is listed, and told of by whoever reads its head.
    """
    try:
        return _summaries(uids, heads)
    except (StorageError, *DAMAGE):
        if len(uids) == 1:
            return [Summary(uid=uids[0], epoch=0, seq=0, created_us=0, modified_us=0, counts={}, head=b"")]
    return [found for uid, head in zip(uids, heads, strict=True) for found in decode_summaries([uid], [head])]


def _summaries(uids: Sequence[str], heads: Sequence[Mapping[bytes, bytes]]) -> list[Summary | None]:
    data = iter(decode_cells([head[b"head"] for head in heads if b"epoch" in head and b"head" in head]))
    return [_summary(uid, head, data) if b"epoch" in head else None for uid, head in zip(uids, heads, strict=True)]


def _summary(uid: str, head: Mapping[bytes, bytes], cells: Iterator[Cell]) -> Summary:
    return Summary(
        uid=uid,
        epoch=int(head[b"epoch"]),
        seq=int(head[b"seq"]),
        created_us=int(head[b"created"]),
        modified_us=int(head[b"modified"]),
        counts=decode_counts(head),
        head=next(cells).data if b"head" in head else b"",
    )


def decode_state(
    head: Mapping[bytes, bytes], cells: Sequence[bytes], dues: Sequence[bytes], prefixes: tuple[str, ...]
) -> SessionState | None:
    """Make a state of a head, and of names and values in turn; None if the head says that there is no session."""
    if b"epoch" not in head:
        return None
    own = [b"head", head[b"head"]] if b"head" in head else []
    names, values = [*cells[::2], *own[::2]], [*cells[1::2], *own[1::2]]
    decoded = dict(zip(map(bytes.decode, names), decode_cells(values), strict=True))
    if prefixes:
        decoded = {name: cell for name, cell in decoded.items() if name.startswith(prefixes)}
    return SessionState(
        epoch=int(head[b"epoch"]),
        seq=int(head[b"seq"]),
        created_us=int(head[b"created"]),
        modified_us=int(head[b"modified"]),
        cells=decoded,
        counts=decode_counts(head),
        due=dict(zip(map(bytes.decode, dues[::2]), decode_dues(dues[1::2]), strict=True)),
    )


def decode_event(entry: Any) -> StoredEvent:
    """Make an event of an entry of a stream."""
    name, (_, _, _, at_us, _, data) = entry
    return StoredEvent(int(name.partition(b"-")[0]), int(at_us), data)


def to_us(seconds: float) -> int:
    """Microseconds of a duration."""
    return round(seconds * 1e6)


def to_ms(seconds: float) -> int:
    """Milliseconds of a duration that a key may live."""
    return min(max(0, math.ceil(seconds * 1e3)), _MAX_TTL_MS)
