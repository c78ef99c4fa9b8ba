"""Sessions on the servers of a Redis Cluster, also while slots move and servers die."""

from collections.abc import Iterator
from typing import Any

import pytest
from redis.crc import key_slot

from tests.storages.contract import applied, change, change_after, make, seen
from tests.storages.redis_servers import RedisCluster, RedisPlace, RedisServer, wait_as_long_as_it_takes
from tests.storages.test_redis import FIRING
from triggers_nb.errors import StorageError, StorageWarning
from triggers_nb.storages import redis_client
from triggers_nb.storages.redis import RedisStore
from triggers_nb.storages.redis_layout import ALL_BUCKETS, keys_of


@pytest.fixture
def own_cluster() -> Iterator[RedisCluster]:
    """A cluster that a test may change."""
    cluster = RedisCluster("--appendfsync", "always")
    yield cluster
    cluster.remove()


def server_of(cluster: RedisCluster, uid: str) -> RedisServer:
    """The server that has a session."""
    [found] = [server for server in cluster.servers if keys_of(uid).head in server.all_keys()]
    return found


def move_slot(cluster: RedisCluster, slot: int, target: RedisServer) -> None:
    """Say everywhere that a slot, which must be empty, is on another server."""
    name = node_id(target)
    # What its former server said of it before, and is still on its way, counts for less.
    target.admin.execute_command("CLUSTER BUMPEPOCH")
    for server in (target, *cluster.servers):
        server.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", name)


def node_id(server: RedisServer) -> str:
    found: Any = server.admin.execute_command("CLUSTER MYID")
    return found.decode() if isinstance(found, bytes) else str(found)


def test_sessions_are_spread_and_read_together(redis_cluster_place: RedisPlace) -> None:
    store = redis_cluster_place.open()
    uids = [f"session {number}" for number in range(200)]
    for uid in uids:
        make(store, uid, **FIRING, at_us=1)
    assert all(len(server.all_keys()) > 60 for server in redis_cluster_place.servers)
    assert {key_slot(bucket.listing) // 5462 for bucket in ALL_BUCKETS} == {0, 1, 2}
    assert [summary.uid for summary in store.summaries()] == sorted(uids)
    backwards = uids[::-1]
    assert [uid for uid, state in store.states(backwards) if state is not None] == backwards
    assert len(store.due()) == 200
    assert len(store.due(limit=70)) == 70
    store.clear()
    assert [server.all_keys() for server in redis_cluster_place.servers] == [set()] * 3


def test_all_keys_of_a_session_are_on_one_server(redis_cluster: RedisCluster, redis_cluster_place: RedisPlace) -> None:
    store = redis_cluster_place.open()
    make(store, "s", **FIRING)
    store.acquire_lock("s", b"token", 5.0)
    made = {key for server in redis_cluster.servers for key in server.all_keys()}
    assert made == set(keys_of("s")) - {keys_of("s").expiries}
    assert server_of(redis_cluster, "s").all_keys() == made


def test_scripts_are_loaded_into_each_server(redis_cluster_place: RedisPlace) -> None:
    store = redis_cluster_place.open()
    for _ in range(2):
        for server in redis_cluster_place.servers:
            server.admin.script_flush()
        for number in range(30):
            uid = str(number)
            view = store.read(uid, ["head"])
            answer = store.commit(uid, change() if view is None else change_after(view))
            applied(answer)
    assert {summary.seq for summary in store.summaries()} == {2}


def test_any_server_of_the_cluster_leads_to_all(redis_cluster: RedisCluster, redis_cluster_place: RedisPlace) -> None:
    make(redis_cluster_place.open(), "s")
    for server in redis_cluster.servers:
        assert seen(RedisStore(f"redis+cluster://127.0.0.1:{server.port}"), "s").seq == 1


def test_a_slot_that_has_moved_is_found(own_cluster: RedisCluster) -> None:
    store = RedisStore(own_cluster.url)
    make(store, "s")
    first = server_of(own_cluster, "s")
    store.delete("s")
    [second, _] = [server for server in own_cluster.servers if server is not first]
    move_slot(own_cluster, key_slot(keys_of("s").head), second)
    made = make(store, "s")
    assert server_of(own_cluster, "s") is second
    assert applied(store.commit("s", change(epoch=made.epoch))).seq == 2
    assert [summary.uid for summary in store.summaries()] == ["s"]


def test_a_commit_waits_until_a_slot_has_moved(own_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    store, slot = RedisStore(own_cluster.url), key_slot(keys_of("s").head)
    make(store, "s")
    source = server_of(own_cluster, "s")
    store.delete("s")
    [target, _] = [server for server in own_cluster.servers if server is not source]
    target.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", node_id(source))
    source.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", node_id(target))
    # One key is asked for where it will be; several cannot be used in the meantime.
    assert store.counts("s") is None
    assert store.events("s") == []
    monkeypatch.setattr(redis_client.time, "sleep", lambda _: move_slot(own_cluster, slot, target))
    made = make(store, "s")
    assert server_of(own_cluster, "s") is target
    assert applied(store.commit("s", change(epoch=made.epoch, counts={"n": 1}))).seq == 2


def test_a_dead_server_takes_only_its_own_sessions_along(
    own_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = RedisStore(own_cluster.url)
    uids = [str(number) for number in range(30)]
    for uid in uids:
        make(store, uid)
    dead = server_of(own_cluster, "0")
    others = [uid for uid in uids if server_of(own_cluster, uid) is not dead]
    dead.kill()
    monkeypatch.setattr(redis_client, "PAUSES_S", (0.0,))
    store.close()
    for uid in others:
        assert seen(store, uid).seq == 1
    with pytest.raises(StorageError, match=r"redis\+cluster://.* cannot be reached"):
        store.read("0", ["head"])
    dead.start()
    wait_as_long_as_it_takes(monkeypatch)
    assert [uid for uid, state in store.states(uids) if state is not None] == uids
    assert applied(store.commit("0", change_after(seen(store, "0")))).seq == 2


def test_every_server_is_looked_at(own_cluster: RedisCluster) -> None:
    own_cluster.servers[2].admin.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.warns(StorageWarning, match="allkeys-lru"):
        make(RedisStore(own_cluster.url), "s")


def test_a_cluster_that_is_none_is_told(redis_place: RedisPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "PAUSES_S", (0.0,))
    with pytest.raises(StorageError, match=r"redis\+cluster://"):
        RedisStore(f"redis+cluster://127.0.0.1:{redis_place.servers[0].port}").read("s", ["head"])
