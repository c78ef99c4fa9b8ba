"""What a read and a commit in Redis cost beside a bare ``EVALSHA``, and a listing beside bare pipelined ``HGETALL``.

    python benchmarks/bench_redis_store.py [--rounds 3000] [--sessions 100000]

Starts a server of its own (with an append-only file, as in production). What is compared takes turns, so that whatever
else the machine does hits both. Prints medians and ratios.
"""

from __future__ import annotations

import argparse
import secrets
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable

import msgspec
import redis
from servers import start_server

from triggers_nb.storages.redis import RedisStore
from triggers_nb.storages.redis_layout import head_key, keys_of
from triggers_nb.storages.store import Commit, Committed

encode = msgspec.msgpack.encode


class Firing:
    """What a firing that creates an instance reads and writes."""

    def __init__(self, store: RedisStore, uid: str) -> None:
        self.store, self.uid, self.index = store, uid, 0
        cells = {
            "head": secrets.token_bytes(40),
            "g:arrived": encode([["c:board", "t:board", "k:arrived"], ["board"]]),
            "c:board": secrets.token_bytes(120),
            "t:board": encode([["k:arrived"], 0, []]),
            "k:arrived": secrets.token_bytes(60),
        }
        done = store.commit(uid, self._commit(0, {}, cells))
        assert isinstance(done, Committed)
        self.epoch = done.epoch
        self.revisions = dict.fromkeys(cells, done.seq)

    def _commit(self, epoch: int, reads: dict[str, int], writes: dict[str, bytes]) -> Commit:
        return Commit(
            commit_id=secrets.token_bytes(16),
            epoch=epoch,
            base_seq=max(reads.values(), default=0),
            reads=reads,
            writes=writes,
            counts={"unresolved": 1, "status:1": 1, "task:board": 1, "unresolved:board": 1},
            due={f"handover:board#{self.index}": (30.0, b"payload of the hand-over")},
            event=secrets.token_bytes(400),
            at_us=time.time_ns() // 1000,
            is_current=True,
        )

    def read(self) -> None:
        assert self.store.read(self.uid, ("head", "g:arrived")) is not None

    def commit(self) -> None:
        instance = f"i:board#{self.index}"
        writes = {
            "t:board": encode([["k:arrived"], self.index, []]),
            "k:arrived": secrets.token_bytes(60),
            instance: secrets.token_bytes(250),
        }
        done = self.store.commit(self.uid, self._commit(self.epoch, {**self.revisions, instance: 0}, writes))
        assert isinstance(done, Committed), done
        self.revisions |= {"t:board": done.seq, "k:arrived": done.seq}
        self.index += 1


def compare(title: str, rounds: int, sides: dict[str, Callable[[], object]]) -> None:
    """Run all sides in turn; the first is what the others are measured by."""
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, act in sides.items():
            started = time.perf_counter()
            act()
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    base = next(iter(medians.values()))
    print(title)
    for name, median in medians.items():
        print(f"  {name:<34} {median * 1e6:>12,.1f} µs   {median / base:5.2f} ×")


def bench_trips(url: str, rounds: int) -> None:
    store, client = RedisStore(url), redis.Redis.from_url(url, protocol=2)
    sha = client.script_load("return {1, 2, 3}")
    firing, keys = Firing(store, "order-17"), keys_of("order-17")
    arguments = [secrets.token_bytes(size) for size in (300, 16, 0, 400, 20, 60, 250, 24)]
    sides = {
        "bare EVALSHA, as many bytes": lambda: client.evalsha(sha, 9, *keys, *arguments),
        "read, two cells and their links": firing.read,
        "commit of a firing": firing.commit,
    }
    compare("One trip", rounds, sides)


def bench_listing(url: str, sessions: int) -> None:
    store, client = RedisStore(url), redis.Redis.from_url(url, protocol=2)
    uids = [f"session-{i}" for i in range(sessions)]
    for uid in uids:
        commit = Commit(
            commit_id=secrets.token_bytes(16),
            epoch=0,
            base_seq=0,
            reads={},
            writes={"head": secrets.token_bytes(40), "i:board#0": secrets.token_bytes(250)},
            counts={"unresolved": 0, "status:3": 1, "task:board": 1, "unresolved:board": 0},
            due={},
            event=b"event",
            at_us=time.time_ns() // 1000,
        )
        store.commit(uid, commit)

    def read_heads() -> None:
        for start in range(0, sessions, 1000):
            pipeline = client.pipeline(transaction=False)
            for uid in uids[start : start + 1000]:
                pipeline.hgetall(head_key(uid))
            pipeline.execute()

    sides = {"bare pipeline of HGETALL": read_heads, "summaries()": lambda: deque(store.summaries(), maxlen=0)}
    compare(f"{sessions:,} sessions listed", 5, sides)
    compare("Nothing due in any of them", 200, {"bare PING": client.ping, "due()": store.due})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--sessions", type=int, default=100_000)
    options = parser.parse_args()
    with start_server() as url:
        bench_trips(url, options.rounds)
    with start_server() as url:
        bench_listing(url, options.sessions)


if __name__ == "__main__":
    main()
