"""Sessions in Redis, shared by many processes and machines: one server, or a cluster.

A user who may only read needs the commands of the categories ``@read`` and ``@connection``, and ``evalsha``, ``eval``
and ``time``, on the keys ``triggers:*``.

A commit whose answer was lost is recognised among the last 10,000 of its session, as long as their events are kept.
While a slot of a cluster is moved to another server, its sessions cannot be changed; a commit waits for a short time.
"""

# ruff: noqa: D102  (what the methods do is told by `Store`)

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from triggers_nb.errors import StorageError
from triggers_nb.storages import redis_scripts as scripts
from triggers_nb.storages.redis_checks import check_servers
from triggers_nb.storages.redis_client import RedisClient
from triggers_nb.storages.redis_connections import Command
from triggers_nb.storages.redis_layout import (
    ALL_BUCKETS,
    STORAGE_ID_KEY,
    decode_counts,
    decode_dues,
    decode_event,
    decode_summaries,
    decode_view,
    head_key,
    keys_of,
    split_due_member,
    to_ms,
    to_pairs,
    to_us,
)
from triggers_nb.storages.redis_registry import close_client, open_client
from triggers_nb.storages.redis_states import StateReader
from triggers_nb.storages.redis_urls import parse_redis_url
from triggers_nb.storages.store import (
    LINK_STEPS,
    Commit,
    Committed,
    Conflict,
    DueItem,
    SessionState,
    Store,
    StoredEvent,
    Summary,
    View,
)

#: How many sessions are read in one trip: whole ones, and their heads.
STATES_AT_ONCE: Final = 100
VIEWS_AT_ONCE: Final = 100
HEADS_AT_ONCE: Final = 1000
#: How many events are read in one trip.
EVENTS_AT_ONCE: Final = 1000


def open_redis(url: str) -> RedisStore:
    """Return the store at a URL."""
    return RedisStore(url)


class RedisStore(Store):
    """A store in Redis 6.2 or newer, or in a Redis Cluster.

    Parameters
    ----------
    url : str
        ``redis://``, ``rediss://``, ``unix://`` or ``redis+cluster://host:port,host:port``, with the options of
        redis-py in its query. Connections are shared by all stores of a process that have the same URL.

    Raises
    ------
    StorageUrlError
        If the URL cannot be used.

    Examples
    --------
    >>> RedisStore("redis://user:secret@localhost:6379/2")
    RedisStore('redis://localhost:6379/2')
    """

    embedded = False

    def __init__(self, url: str) -> None:
        self._secret_url = url
        self.url = parse_redis_url(url).public

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    @property
    def _client(self) -> RedisClient:
        return open_client(self._secret_url, check_servers)

    @cached_property
    def storage_id(self) -> str:  # type: ignore[override]  # read when it is first needed
        """A random name that is kept with the sessions: the same however the server is spelled."""
        client = self._client
        name = client.call("GET", STORAGE_ID_KEY)
        if name is None:
            client.call("SET", STORAGE_ID_KEY, secrets.token_hex(16), "NX")
            name = client.call("GET", STORAGE_ID_KEY)
        return f"redis:{name.decode()}"

    # Reading ------------------------------------------------------------------------------------------------------

    def read(self, uid: str, names: Iterable[str], *, follow: bool = True) -> View | None:
        answer = scripts.read(self._client, uid, names=tuple(names), steps=LINK_STEPS if follow else 0)
        return None if answer is None else decode_view(answer, 0)

    def read_many(self, names: Mapping[str, Sequence[str]]) -> dict[str, View | None]:
        uids, views = list(names), {}
        for start in range(0, len(uids), VIEWS_AT_ONCE):
            some = uids[start : start + VIEWS_AT_ONCE]
            commands = [scripts.read_command(uid, names=names[uid], steps=0) for uid in some]
            for uid, answer in zip(some, self._client.call_many(commands), strict=True):
                views[uid] = None if answer is None else decode_view(answer, 0)
        return views

    def counts(self, uid: str) -> dict[str, int] | None:
        head = to_pairs(self._client.call("HGETALL", head_key(uid)))
        return decode_counts(head) if b"epoch" in head else None

    def state(self, uid: str) -> SessionState | None:
        return next(self.states([uid]))[1]

    def states(self, uids: Sequence[str], prefixes: Sequence[str] = ()) -> Iterator[tuple[str, SessionState | None]]:
        reader = StateReader(self._client, tuple(prefixes))
        for start in range(0, len(uids), STATES_AT_ONCE):
            some = uids[start : start + STATES_AT_ONCE]
            yield from zip(some, reader.read(some), strict=True)

    def summaries(
        self, *, since_us: int | None = None, until_us: int | None = None, uids: Sequence[str] | None = None
    ) -> Iterator[Summary]:
        listed = uids is None
        chosen = self.uids(since_us=since_us, until_us=until_us) if uids is None else uids
        for start in range(0, len(chosen), HEADS_AT_ONCE):
            some = chosen[start : start + HEADS_AT_ONCE]
            heads = self._client.call_many([("HGETALL", head_key(uid)) for uid in some])
            found = decode_summaries(some, [to_pairs(head) for head in heads])
            if listed:
                self._forget(scripts.forget(uid) for uid, summary in zip(some, found, strict=True) if summary is None)
            for summary in found:
                if summary is not None and _is_within(summary.modified_us, since_us, until_us):
                    yield summary

    def uids(self, *, since_us: int | None = None, until_us: int | None = None) -> list[str]:
        bounds = ("-inf" if since_us is None else since_us, "+inf" if until_us is None else f"({until_us}")
        listings = self._client.call_many(
            [("ZRANGEBYSCORE", bucket.listing, *bounds, "WITHSCORES") for bucket in ALL_BUCKETS]
        )
        found = [(-float(moment), uid) for each in listings for uid, moment in zip(each[::2], each[1::2], strict=True)]
        found.sort()
        return [uid.decode() for _, uid in found]

    def _forget(self, commands: Iterable[Command]) -> None:
        """Tidy up, if this user may."""
        some = list(commands)
        if some:
            try:
                self._client.call_many(some)
            except StorageError:
                return

    # Changing -----------------------------------------------------------------------------------------------------

    def commit(self, uid: str, commit: Commit) -> Committed | Conflict:
        new_epoch = 0 if commit.epoch else secrets.randbits(52) + 1
        answer = scripts.commit(self._client, uid, commit, new_epoch=new_epoch)
        if answer[0] == 1:
            return Committed(answer[1], answer[2], answer[3])
        return Conflict(decode_view(answer, 2) if len(answer) > 2 else None, answer[1] / 1000)

    def delete(self, uid: str) -> bool:
        return bool(scripts.delete(self._client, [uid])[0])

    def clear(self) -> None:
        client = self._client
        listing = [("ZRANGE", bucket.listing, 0, STATES_AT_ONCE - 1) for bucket in ALL_BUCKETS]
        while uids := [uid.decode() for found in client.call_many(listing) for uid in found]:
            scripts.delete(client, uids)
        # Locks of sessions that do not exist are in no index.
        locks = client.find_keys("triggers:{*}:lock:*")
        client.call_many([("DEL", key) for key in locks])

    # Events -------------------------------------------------------------------------------------------------------

    def events(self, uid: str, *, after: int = 0, limit: int | None = None) -> list[StoredEvent]:
        found: list[StoredEvent] = []
        while limit is None or len(found) < limit:
            wanted = EVENTS_AT_ONCE if limit is None else min(EVENTS_AT_ONCE, limit - len(found))
            entries = self._client.call("XRANGE", keys_of(uid).events, f"{after + 1}-0", "+", "COUNT", wanted)
            found += [decode_event(entry) for entry in entries]
            if len(entries) < wanted:
                break
            after = found[-1].seq
        return found

    def first_events(self, uids: Sequence[str], limit: int) -> Iterator[list[StoredEvent]]:
        for start in range(0, len(uids), STATES_AT_ONCE):
            some = uids[start : start + STATES_AT_ONCE]
            commands = [("XRANGE", keys_of(uid).events, "-", "+", "COUNT", limit) for uid in some]
            for entries in self._client.call_many(commands):
                yield [decode_event(entry) for entry in entries]

    def first_event_seq(self, uid: str) -> int | None:
        keys = keys_of(uid)
        seq, entries = self._client.call_many(
            [("HGET", keys.head, "seq"), ("XRANGE", keys.events, "-", "+", "COUNT", 1)]
        )
        if seq is None:
            return None
        return decode_event(entries[0]).seq if entries else int(seq) + 1

    def trim_events(self, uid: str, keep: int) -> int:
        return int(self._client.call("XTRIM", keys_of(uid).events, "MAXLEN", keep))

    def wait_for_events(self, uids: Mapping[str, int], timeout_s: float) -> set[str]:
        client = self._client
        if client.is_cluster:
            return super().wait_for_events(uids, timeout_s)
        seqs = client.call_many([("HGET", head_key(uid), "seq") for uid in uids])
        changed = {uid for uid, seq in zip(uids, seqs, strict=True) if seq is not None and int(seq) > uids[uid]}
        if changed or not uids or timeout_s <= 0:
            return changed
        streams = {keys_of(uid).events: uid for uid in uids}
        starts = [int(seq or 0) for seq in seqs]
        block_ms = math.ceil(timeout_s * 1000)
        answer = client.call("XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", *streams, *starts, wait_s=timeout_s + 5)
        woken = {streams[stream]: entries for stream, entries in answer or ()}
        return {uid for uid, entries in woken.items() if decode_event(entries[0]).seq > uids[uid]}

    # Due items ----------------------------------------------------------------------------------------------------

    def due(self, *, limit: int = 1000) -> list[tuple[str, str, DueItem]]:
        client = self._client
        found: list[tuple[str, str, DueItem]] = []
        for now_us, *members in scripts.list_due(client, limit=limit):
            names = [split_due_member(member) for member in members]
            values = client.call_many([("HGET", keys_of(uid).due, item) for uid, item in names]) if names else []
            there = [(*name, value) for name, value in zip(names, values, strict=True) if value is not None]
            items = decode_dues([value for _, _, value in there])
            moment = int(now_us)
            found += [
                (uid, name, item) for (uid, name, _), item in zip(there, items, strict=True) if item.due_us <= moment
            ]
            self._forget(scripts.forget_due(*name) for name, value in zip(names, values, strict=True) if value is None)
        found.sort(key=lambda entry: entry[2].due_us)
        return found[:limit]

    def next_due_us(self) -> int | None:
        firsts = self._client.call_many([("ZRANGE", bucket.due, 0, 0, "WITHSCORES") for bucket in ALL_BUCKETS])
        return min((int(float(first[1])) for first in firsts if first), default=None)

    def postpone(self, uid: str, item: str, delay_s: float, *, due_us: int | None = None) -> bool:
        return scripts.postpone(self._client, uid, item=item, delay_us=to_us(delay_s), due_us=due_us)

    def settle(self, uid: str, item: str) -> bool:
        return scripts.settle(self._client, uid, item=item)

    # Locks --------------------------------------------------------------------------------------------------------

    def acquire_lock(self, uid: str, token: bytes, lease_s: float) -> float:
        return scripts.acquire_lock(self._client, uid, token=token, lease_ms=max(1, to_ms(lease_s))) / 1000

    def release_lock(self, uid: str, token: bytes) -> bool:
        return scripts.release_lock(self._client, uid, token=token)

    def now_us(self) -> int:
        seconds, micros = self._client.call("TIME")
        return int(seconds) * 1_000_000 + int(micros)

    def close(self) -> None:
        close_client(self._secret_url)


def _is_within(moment_us: int, since_us: int | None, until_us: int | None) -> bool:
    return (since_us is None or since_us <= moment_us) and (until_us is None or moment_us < until_us)
