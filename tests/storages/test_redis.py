"""What is peculiar to sessions in Redis: trips, keys, expiry, users who may do little, what other programs leave."""

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from redis.crc import key_slot

from tests.storages.contract import ODD_NAMES, applied, change, change_after, make, refused, seen
from tests.storages.redis_servers import Proxy, RedisPlace, RedisServer
from triggers_nb.errors import DamagedSession, InvalidValue, StorageError
from triggers_nb.storages.redis import RedisStore
from triggers_nb.storages.redis_layout import BUCKETS, head_key, keys_of, split_due_member
from triggers_nb.storages.store import Cell, Commit, Store

FIRING: dict[str, Any] = {
    "writes": {"head": b"head", "t:a": b"\x93\x90\x01\x90", "i:a#0": b"instance"},
    "counts": {"unresolved": 1, "status:1": 1},
    "due": {"handover:a#0": (0.0, b"hand-over")},
}


def snapshot(server: RedisServer) -> dict[bytes, bytes]:
    return {key: bytes(server.admin.dump(key) or b"") for key in server.all_keys()}


def uid_beside(uid: str) -> str:
    """Another UID of the same bucket."""
    bucket = zlib.crc32(uid.encode()) % BUCKETS
    return next(name for name in map(str, range(10_000)) if zlib.crc32(name.encode()) % BUCKETS == bucket)


# Trips ----------------------------------------------------------------------------------------------------------------


def test_a_read_and_a_commit_take_one_trip_each(proxy: Proxy) -> None:
    store = RedisStore(proxy.url)
    make(store, "s", **FIRING)
    view = seen(store, "s", "t:a")
    store.settle("s", "the server has all scripts now")
    for act in (
        lambda: store.read("s", ["head", "t:a", "i:a#0"]),
        lambda: applied(store.commit("s", change_after(view, ["t:a"], writes={"t:a": b"2"}))),
        lambda: store.counts("s"),
        lambda: store.settle("s", "handover:a#0"),
    ):
        before = proxy.n_requests
        act()
        assert proxy.n_requests == before + 1


def test_a_listing_takes_few_trips_for_many_sessions(proxy: Proxy) -> None:
    store = RedisStore(proxy.url)
    for number in range(1500):
        make(store, str(number), **FIRING)
    before = proxy.n_requests
    assert sum(1 for _ in store.summaries()) == 1500
    assert proxy.n_requests <= before + 30  # two trips, whose requests come in pieces


def test_scripts_that_the_server_has_forgotten_are_sent_again(redis_place: RedisPlace) -> None:
    store, flush = redis_place.open(), redis_place.servers[0].admin.script_flush
    flush()
    make(store, "s", **FIRING)
    for act in (
        lambda: store.read("s", ["head"]),
        lambda: applied(store.commit("s", change_after(seen(store, "s"), counts={"n": 1}))),
        lambda: store.due(),
        lambda: store.postpone("s", "handover:a#0", 5),
        lambda: store.acquire_lock("s", b"token", 5) == 0,
        lambda: store.release_lock("s", b"token"),
        lambda: store.settle("s", "handover:a#0"),
        lambda: store.delete("s"),
    ):
        flush()
        assert act()


# Cells ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 200, 300, 70_000])
def test_links_of_cells_of_any_size_are_followed(redis_place: RedisPlace, size: int) -> None:
    from msgspec.msgpack import encode

    store = redis_place.open()
    padding = [0] * size
    writes = {
        "g:x": encode([["t:a", "t:gone"], ["a"], padding]),
        "t:a": encode([["i:a#0", "g:x"], 1, padding]),
        "i:a#0": encode([["i:a#1"]]),
        "i:a#1": b"",
    }
    make(store, "s", writes=writes)
    view = store.read("s", ["g:x"])
    assert view is not None
    assert view.cells == {name: Cell(1, writes[name]) for name in ("g:x", "t:a", "i:a#0")}


@pytest.mark.parametrize("data", [b"", b"\x90", b"\xc0", b"\x91\xc0", b"\x91\x91", b"\x91\x91\x05", b"text"])
def test_links_that_cannot_be_read_are_told(redis_place: RedisPlace, data: bytes) -> None:
    store = redis_place.open()
    make(store, "s", writes={"t:a": data})
    with pytest.raises(StorageError):
        store.read("s", ["t:a"])
    assert seen(store, "s", "t:a").cells == {"t:a": (1, data)}


def test_a_commit_sent_again_after_thousands_of_others_is_recognised(redis_place: RedisPlace) -> None:
    store = redis_place.open()
    made = make(store, "s", counts={"n": 0})
    first = change(epoch=made.epoch, base_seq=1, counts={"n": 1})
    answer = applied(store.commit("s", first))
    for _ in range(2500):
        applied(store.commit("s", change(epoch=made.epoch, base_seq=1_000_000, counts={"n": 1})))
    assert store.commit("s", first) == answer
    assert store.counts("s") == {"n": 2501}


# Keys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uid", [*ODD_NAMES, "", "{0}:head:s", "s} {", "triggers:{1}:head:x"])
def test_all_keys_of_a_session_are_in_one_slot(uid: str) -> None:
    keys = keys_of(uid)
    assert len(set(keys)) == len(keys)
    assert len({key_slot(key) for key in keys}) == 1
    assert head_key(uid) == keys.head


def test_a_uid_that_no_bytes_can_hold_is_refused(redis_place: RedisPlace) -> None:
    store = redis_place.open()
    for act in (lambda: store.read("\ud800", ["head"]), lambda: store.counts("\ud800"), lambda: make(store, "\ud800")):
        with pytest.raises(InvalidValue, match="lone surrogate"):
            act()


def test_nothing_is_left_of_sessions_that_were_deleted(redis_place: RedisPlace) -> None:
    store = redis_place.open()
    for number, uid in enumerate(ODD_NAMES):
        make(store, uid, **FIRING, timeout_s=1000.0)
        if number % 2:
            store.settle(uid, "handover:a#0")
            applied(store.commit(uid, change_after(seen(store, uid), counts={"unresolved": -1}, timeout_s=1000.0)))
        store.acquire_lock(uid, b"token", 1000.0)
    for uid in ODD_NAMES:
        assert store.delete(uid)
    assert redis_place.servers[0].all_keys() == set()


def test_clearing_leaves_what_belongs_to_others(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    server.admin.set("celery", "tasks")
    server.admin.set("triggers:of somebody else", "here")
    for number in range(300):
        make(store, str(number), **FIRING)
    store.acquire_lock("never made", b"token", 1000.0)
    store.clear()
    assert server.all_keys() == {b"celery", b"triggers:of somebody else"}


def test_no_lock_outlives_its_lease(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    for uid in ("s", "t"):
        store.acquire_lock(uid, b"token", 1000.0)
        store.acquire_lock(uid, b"token", 2000.0)
    for key in server.all_keys():
        assert 0 < server.admin.pttl(key) <= 2_000_000


# Expiry ---------------------------------------------------------------------------------------------------------------


def test_every_key_of_a_session_expires_with_it(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    make(store, "s", **FIRING, timeout_s=1000.0)
    own = [key for key in keys_of("s")[:5] if server.admin.exists(key)]
    assert {server.admin.pttl(key) for key in own} == {-1}
    # Nothing is unresolved any more, but something is due.
    applied(store.commit("s", change_after(seen(store, "s"), counts={"unresolved": -1}, timeout_s=1000.0)))
    assert {server.admin.pttl(key) for key in own} == {-1}
    # Nothing is due any more.
    assert store.settle("s", "handover:a#0")
    own = [key for key in own if server.admin.exists(key)]
    assert len(own) == 4
    assert len({server.admin.pexpiretime(key) for key in own}) == 1
    assert 900_000 < server.admin.pttl(own[0]) <= 1_000_000
    # A change that makes something unresolved stops it.
    applied(store.commit("s", change_after(seen(store, "s"), counts={"unresolved": 1}, timeout_s=1000.0)))
    assert {server.admin.pttl(key) for key in own} == {-1}
    # So does one that takes the timeout away.
    applied(store.commit("s", change_after(seen(store, "s"), counts={"unresolved": -1}, timeout_s=1000.0)))
    assert server.admin.pttl(own[0]) > 0
    applied(store.commit("s", change_after(seen(store, "s"))))
    assert {server.admin.pttl(key) for key in own} == {-1}


def test_expired_sessions_leave_the_index_when_another_one_starts_to_expire(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    make(store, "s", timeout_s=0.001)
    while store.read("s", ["head"]) is not None:
        pass
    assert keys_of("s").listing in server.all_keys()
    make(store, uid_beside("s"), timeout_s=1000.0)
    assert server.admin.zrange(keys_of("s").listing, 0, -1) == [uid_beside("s").encode()]
    assert server.admin.zrange(keys_of("s").expiries, 0, -1) == [uid_beside("s").encode()]


def test_expired_sessions_leave_the_index_when_they_are_listed(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    make(store, "s", timeout_s=0.0)
    assert list(store.summaries()) == []
    assert server.all_keys() == set()


def test_an_expired_session_can_be_made_again(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    first = make(store, "s", timeout_s=0.0)
    second = make(store, "s")
    assert second.epoch != first.epoch
    assert [summary.uid for summary in store.summaries()] == ["s"]
    assert server.admin.zrange(keys_of("s").expiries, 0, -1) in ([], [b"s"])
    make(store, uid_beside("s"), timeout_s=1000.0)
    assert {summary.uid for summary in store.summaries()} == {"s", uid_beside("s")}


# What other programs, and evictions, leave ----------------------------------------------------------------------------


@pytest.mark.parametrize("position", range(9))
def test_a_key_of_another_type_is_told_and_nothing_is_written(redis_place: RedisPlace, position: int) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    key = keys_of("s")[position]
    server.admin.rpush(key, "something else")
    before = snapshot(server)
    with pytest.raises(StorageError, match="holds something that triggers_nb has not written"):
        store.commit("s", change(**FIRING, timeout_s=1000.0))
    assert snapshot(server) == before


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_key_that_was_overwritten_is_told_to_readers(redis_place: RedisPlace, position: int) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    made = make(store, "s", **FIRING)
    server.admin.set(keys_of("s")[position], "something else")
    before = snapshot(server)
    for act in (
        lambda: store.read("s", ["head", "t:a", "i:a#0"]),
        lambda: store.state("s"),
        lambda: store.commit("s", change(epoch=made.epoch, reads={"t:a": 1, "i:a#0": 1}, writes={"t:a": b""})),
    ):
        with pytest.raises(StorageError, match="has not written"):
            act()
    assert snapshot(server) == before


def test_a_value_that_was_damaged_is_told(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    made = make(store, "s", **FIRING)
    server.admin.hset(keys_of("s").cells, "t:a", "damaged")
    with pytest.raises(StorageError, match="cannot be read"):
        store.read("s", ["t:a"], follow=False)
    server.admin.hset(keys_of("s").head, "seq", "damaged")
    with pytest.raises(StorageError):
        store.commit("s", change(epoch=made.epoch))


@pytest.mark.parametrize("field", ["epoch", "seq", "modified", "head", "#n"])
def test_a_damaged_session_does_not_hide_the_others(redis_place: RedisPlace, field: str) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    for uid in ("other", "s"):
        make(store, uid, writes={"head": b"x"}, counts={"n": 1})
    server.admin.hset(keys_of("s").head, field, "damaged")

    with pytest.raises(DamagedSession, match="session 's' is damaged"):
        list(store.states(["s"]))
    assert next(iter(store.states(["other"])))[1] is not None
    found = {summary.uid: (summary.counts, summary.head) for summary in store.summaries(uids=["other", "s"])}
    assert found == {"other": ({"n": 1}, b"x"), "s": ({}, b"")}


def test_what_is_left_of_a_session_whose_head_was_evicted_is_not_taken_for_a_new_ones(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    make(store, "s", **FIRING)
    server.admin.delete(keys_of("s").head)
    assert store.read("s", ["t:a"]) is None
    assert list(store.states(["s"])) == [("s", None)]
    made = make(store, "s", writes={"head": b"new"})
    state = store.state("s")
    assert state is not None
    assert (state.cells, state.counts, state.due) == ({"head": (1, b"new")}, {}, {})
    assert [event.seq for event in store.events("s")] == [1]
    assert store.due() == []
    assert store.next_due_us() is None
    assert applied(store.commit("s", change(epoch=made.epoch))).seq == 2


def test_a_due_item_whose_session_was_evicted_is_forgotten(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    make(store, "s", **FIRING)
    server.admin.delete(*keys_of("s")[:5])
    assert store.due() == []
    assert store.next_due_us() is None


@pytest.mark.parametrize("uid", ODD_NAMES)
def test_due_items_of_odd_names_are_told_apart(redis_place: RedisPlace, uid: str) -> None:
    store = redis_place.open()
    make(store, uid, due=dict.fromkeys(ODD_NAMES, (0.0, b"data")))
    assert {(found, item) for found, item, _ in store.due()} == {(uid, item) for item in ODD_NAMES}
    assert split_due_member(b"3:1:2item") == ("1:2", "item")


# Users ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def add_user(redis_place: RedisPlace) -> Any:
    server = redis_place.servers[0]

    def add(*rules: str) -> Store:
        server.admin.execute_command("ACL SETUSER", "someone", "reset", "on", ">p4ssw0rd", "~triggers:*", *rules)
        return RedisStore(f"redis://someone:p4ssw0rd@127.0.0.1:{server.port}/0")

    yield add
    server.admin.execute_command("ACL DELUSER", "someone")


def test_a_user_who_may_only_read_reads_everything(redis_place: RedisPlace, add_user: Callable[..., Store]) -> None:
    writer, server = redis_place.open(), redis_place.servers[0]
    made = make(writer, "s", **FIRING)
    make(writer, "expired", timeout_s=0.0)
    server.admin.script_flush()
    reader = add_user("+@read", "+@connection", "+evalsha", "+eval", "+time")
    assert reader.read("s", ["head"]) == writer.read("s", ["head"])
    assert reader.state("s") == writer.state("s")
    assert [summary.uid for summary in reader.summaries()] == ["s"]
    assert reader.events("s") == writer.events("s")
    assert reader.due() == writer.due()
    assert reader.wait_for_events({"s": 0}, 10) == {"s"}
    assert reader.now_us() > 0
    before = snapshot(server)
    for act in (
        lambda: reader.commit("s", change(epoch=made.epoch, reads={"t:a": 1}, writes={"t:a": b"2"})),
        lambda: reader.delete("s"),
        lambda: reader.settle("s", "handover:a#0"),
        lambda: reader.postpone("s", "handover:a#0", 1.0),
        lambda: reader.acquire_lock("s", b"token", 1.0),
        lambda: reader.trim_events("s", 0),
    ):
        with pytest.raises(StorageError, match="may not do this"):
            act()
    assert snapshot(server) == before


def test_a_user_without_info_and_config_is_not_warned_of_anything(add_user: Callable[..., Store]) -> None:
    store = add_user("+@all", "-info", "-config")
    assert make(store, "s").seq == 1


# Large sessions -------------------------------------------------------------------------------------------------------


class Meddling(RedisStore):
    """A store whose sessions change whenever they are read command by command."""

    n_left = 0

    @property
    def _client(self) -> Any:
        client, outer = super()._client, self

        class Client:
            is_cluster = False

            def call_many(self, commands: Any, **options: Any) -> Any:
                return [reply for command in commands for reply in self._call(command, options)]

            def _call(self, command: Any, options: Any) -> Any:
                replies = client.call_many([command], **options)
                if outer.n_left and command[0] == "HGETALL":
                    outer.n_left -= 1
                    view = seen(RedisStore(outer._secret_url), "s")
                    data = b"%d" % view.seq
                    commit: Commit = change(epoch=view.epoch, writes={"head": data, "i:a#0": data, "t:a": data})
                    applied(RedisStore(outer._secret_url).commit("s", commit))
                return replies

            def __getattr__(self, name: str) -> Any:
                return getattr(client, name)

        return Client()


@pytest.mark.parametrize("n_changes", [1, 2, 100])
@pytest.mark.parametrize("n_instances", [1, 2500])
def test_a_session_that_changes_while_it_is_read_is_read_at_one_moment(
    redis_place: RedisPlace, n_instances: int, n_changes: int
) -> None:
    store = Meddling(redis_place.url)
    make(store, "s", writes={"head": b"0", "t:a": b"0", **{f"i:a#{number}": b"0" for number in range(n_instances)}})
    store.n_left = n_changes
    state = store.state("s")
    store.n_left = 0
    assert state is not None
    assert state.seq > 1
    assert len(state.cells) == n_instances + 2
    assert {state.cells[name] for name in ("head", "t:a", "i:a#0")} == {Cell(state.seq, b"%d" % (state.seq - 1))}


def test_a_refusal_tells_all_of_ten_thousand_cells(redis_place: RedisPlace) -> None:
    store = redis_place.open()
    writes = {f"i:a#{number}": b"%d" % number for number in range(10_000)}
    made = make(store, "s", writes=writes)
    stale = change(epoch=made.epoch, reads=dict.fromkeys([*writes, "i:b#0"], 7), writes={"head": b""})
    answer = refused(store.commit("s", stale))
    assert answer.view is not None
    assert answer.view.cells == {name: Cell(1, data) for name, data in writes.items()}


def test_the_head_of_a_session_can_be_read_with_any_client(redis_place: RedisPlace) -> None:
    store, server = redis_place.open(), redis_place.servers[0]
    made = make(store, "s", **FIRING, at_us=1_700_000_000_123_456)
    head = server.admin.hgetall(keys_of("s").head)
    assert head == {
        b"epoch": b"%d" % made.epoch,
        b"seq": b"1",
        b"created": b"1700000000123456",
        b"modified": b"1700000000123456",
        b"head": b"\x92\x01\xc4\x04head",
        b"#unresolved": b"1",
        b"#status:1": b"1",
    }
