"""What a store in Redis does when connections, servers and processes die, and when memory is full."""

import gc
import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from tests.storages.contract import Place, applied, change, change_after, make, seen
from tests.storages.redis_servers import Proxy, RedisPlace, RedisServer, wait_as_long_as_it_takes
from tests.storages.test_redis import FIRING, snapshot
from triggers_nb.errors import StorageError, StorageWarning
from triggers_nb.storages import redis_client
from triggers_nb.storages.redis import RedisStore
from triggers_nb.storages.redis_layout import keys_of
from triggers_nb.storages.store import Commit, Store


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_client, "PAUSES_S", (0.0,))


# A lost answer --------------------------------------------------------------------------------------------------------


def test_a_commit_whose_answer_is_lost_is_applied_once(proxy: Proxy, redis_place: RedisPlace) -> None:
    store, direct = RedisStore(proxy.url), redis_place.open()
    made = make(store, "s", **FIRING)
    commits = [
        change(epoch=made.epoch, reads={"t:a": 1}, writes={"t:a": b"2"}, counts={"n": 1}),
        change(epoch=made.epoch, base_seq=1, counts={"n": 1}),
        change(epoch=made.epoch, base_seq=1, writes={"new": b"blind"}, counts={"n": 1}),
    ]
    for number, commit in enumerate(commits, start=1):
        proxy.loses = commit.commit_id
        answer = applied(store.commit("s", commit))
        assert proxy.loses is None
        assert answer.seq == number + 1
        assert direct.counts("s") == {"unresolved": 1, "status:1": 1, "n": number}
        assert len(direct.events("s")) == number + 1


def test_a_session_whose_first_answer_is_lost_is_made_once(proxy: Proxy, redis_place: RedisPlace) -> None:
    commit = change(**FIRING)
    proxy.loses = commit.commit_id
    made = applied(RedisStore(proxy.url).commit("s", commit))
    state = redis_place.open().state("s")
    assert state is not None
    assert (state.epoch, state.seq) == made[:2]
    assert state.counts == FIRING["counts"]


def test_a_commit_is_recognised_though_others_came_before_it_was_sent_again(
    proxy: Proxy, redis_place: RedisPlace
) -> None:
    store, direct = RedisStore(proxy.url), redis_place.open()
    made = make(store, "s", **FIRING)
    commit = change(epoch=made.epoch, reads={"t:a": 1}, writes={"t:a": b"2"}, counts={"n": 1})

    def overtake() -> None:
        for _ in range(300):
            applied(direct.commit("s", change_after(seen(direct, "s", "t:a"), ["t:a"], writes={"t:a": b"others"})))

    proxy.loses, proxy.on_loss = commit.commit_id, overtake
    assert applied(store.commit("s", commit)).seq == 2
    assert direct.counts("s") == {"unresolved": 1, "status:1": 1, "n": 1}
    assert seen(direct, "s", "t:a").cells["t:a"] == (302, b"others")


def test_a_commit_whose_answer_is_lost_does_not_reach_a_session_made_again(
    proxy: Proxy, redis_place: RedisPlace
) -> None:
    store, direct = RedisStore(proxy.url), redis_place.open()
    made = make(store, "s")
    commit = change(epoch=made.epoch, counts={"n": 1})

    def make_again() -> None:
        direct.delete("s")
        make(direct, "s")

    proxy.loses, proxy.on_loss = commit.commit_id, make_again
    answer = store.commit("s", commit)
    assert not hasattr(answer, "seq")
    assert direct.counts("s") == {}


# Connections and servers ----------------------------------------------------------------------------------------------


def test_connections_that_the_server_has_closed_are_replaced(redis_place: RedisPlace) -> None:
    store, admin = redis_place.open(), redis_place.servers[0].admin
    made = make(store, "s")
    for number in range(1, 4):
        admin.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        assert applied(store.commit("s", change(epoch=made.epoch, base_seq=number))).seq == number + 1


def test_a_server_that_comes_back_has_everything_but_the_scripts(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url)
    make(store, "s", **FIRING)
    before = store.state("s"), store.events("s"), list(store.summaries())
    own_redis.kill()
    own_redis.start()
    assert (store.state("s"), store.events("s"), list(store.summaries())) == before
    view = store.read("s", ["t:a"])
    assert view is not None
    assert applied(store.commit("s", change_after(view, ["t:a"], writes={"t:a": b"2"}))).seq == 2
    assert [item for _, item, _ in store.due()] == ["handover:a#0"]


def test_a_commit_waits_for_a_server_that_comes_back(own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    store = RedisStore(own_redis.url)
    made = make(store, "s")
    own_redis.kill()
    starting = threading.Thread(target=own_redis.start)
    wait_as_long_as_it_takes(monkeypatch)
    starting.start()
    assert applied(store.commit("s", change(epoch=made.epoch))).seq == 2
    starting.join()


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stays_away_is_told(own_redis: RedisServer) -> None:
    store = RedisStore(own_redis.url)
    make(store, "s")
    own_redis.kill()
    for act in (lambda: store.read("s", ["head"]), lambda: make(store, "s"), lambda: list(store.summaries())):
        with pytest.raises(StorageError, match=rf"redis://127.0.0.1:{own_redis.port}/0 cannot be reached"):
            act()
    own_redis.start()
    assert store.read("s", ["head"]) is not None


def test_an_interrupted_read_leaves_no_answer_for_the_next_one(redis_place: RedisPlace) -> None:
    store = redis_place.open()
    make(store, "s")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    def wait() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        store.wait_for_events({"s": 1}, 1000.0)

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            wait()
    finally:
        signal.signal(signal.SIGALRM, before)
    assert seen(store, "s", "head").cells == {"head": (1, b"head")}


# Memory ---------------------------------------------------------------------------------------------------------------


def test_a_full_memory_refuses_a_commit_whole(own_redis: RedisServer) -> None:
    store, admin = RedisStore(own_redis.url), own_redis.admin
    made = make(store, "s", **FIRING)
    before = snapshot(own_redis)
    admin.config_set("maxmemory", 1)
    commits: list[tuple[str, Commit]] = [
        ("s", change(epoch=made.epoch, reads={"t:a": 1}, writes={"t:a": b"2"}, due={"x": (0.0, b"")}, timeout_s=1.0)),
        ("s", change(epoch=made.epoch, due={"handover:a#0": None})),
        ("new", change(**FIRING)),
    ]
    for uid, commit in commits:
        with pytest.raises(StorageError, match="memory is full"):
            store.commit(uid, commit)
    with pytest.raises(StorageError, match="memory is full"):
        store.acquire_lock("s", b"token", 5.0)
    assert snapshot(own_redis) == before
    assert seen(store, "s", "t:a").seq == 1
    assert store.trim_events("s", 0) == 1
    admin.config_set("maxmemory", 0)
    for uid, commit in commits[::2]:
        applied(store.commit(uid, commit))


# Processes ------------------------------------------------------------------------------------------------------------


def callers(admin: Any) -> set[str]:
    """Connections whose last command called a script."""
    return {client["id"] for client in admin.client_list() if client["cmd"] == "evalsha"}


def test_a_forked_child_has_connections_of_its_own(redis_place: RedisPlace) -> None:
    store, admin = redis_place.open(), redis_place.servers[0].admin
    store.close()
    before = callers(admin)
    make(store, "s")
    [parents] = callers(admin) - before
    fork = multiprocessing.get_context("fork")
    receiving, sending = fork.Pipe(duplex=False)

    def work() -> None:
        for _ in range(50):
            applied(store.commit("s", change_after(seen(store, "s"), counts={"child": 1})))
        sending.send(callers(admin) - before - {parents})
        gc.collect()

    child = fork.Process(target=work)
    child.start()
    for _ in range(50):
        applied(store.commit("s", change_after(seen(store, "s"), counts={"parent": 1})))
    assert len(receiving.recv()) == 1
    child.join()
    assert child.exitcode == 0
    assert store.counts("s") == {"child": 50, "parent": 50}
    assert parents in {client["id"] for client in admin.client_list()}


def test_a_child_that_goes_on_with_what_its_parent_began_has_connections_of_its_own(redis_place: RedisPlace) -> None:
    store = redis_place.open()
    for number in range(250):
        make(store, str(number))
    states = store.states([str(number) for number in range(250)])
    next(states)
    child = multiprocessing.get_context("fork").Process(target=lambda: [*states])
    child.start()
    assert sum(1 for _ in states) == 249
    child.join()
    assert child.exitcode == 0


def test_a_child_forked_while_a_thread_connects_is_not_stuck(redis_place: RedisPlace) -> None:
    from triggers_nb.storages import redis_registry

    store = redis_place.open()
    make(store, "s")
    with redis_registry._opening:
        child = multiprocessing.get_context("fork").Process(target=lambda: seen(RedisStore(redis_place.url), "s"))
        child.start()
    child.join()
    assert child.exitcode == 0


def test_stores_of_one_url_share_connections_of_all_threads(redis_place: RedisPlace) -> None:
    stores, admin = [redis_place.open() for _ in range(20)], redis_place.servers[0].admin
    make(stores[0], "s")
    stores[0].close()
    before = {client["id"] for client in admin.client_list()}
    for store in stores:
        seen(store, "s")
    [ours] = {client["id"] for client in admin.client_list()} - before
    stores[0].close()
    while ours in {client["id"] for client in admin.client_list()}:
        pass  # the server may still have to notice
    assert seen(stores[1], "s").seq == 1


# Set-up ---------------------------------------------------------------------------------------------------------------


def test_a_server_that_may_evict_or_forget_is_warned_of_once(own_redis: RedisServer) -> None:
    own_redis.admin.config_set("maxmemory-policy", "allkeys-lru")
    own_redis.admin.config_set("appendonly", "no")
    with pytest.warns(StorageWarning) as warned:
        assert [make(RedisStore(own_redis.url), uid).seq for uid in "rs"] == [1, 1]
    texts = [str(warning.message) for warning in warned]
    assert len(texts) == 2
    assert "allkeys-lru" in texts[0]
    assert "noeviction" in texts[0]
    assert "a restart loses all sessions" in texts[1]


def test_a_server_that_keeps_everything_is_not_warned_of(
    own_redis: RedisServer, recwarn: pytest.WarningsRecorder
) -> None:
    make(RedisStore(own_redis.url), "s")
    own_redis.admin.config_set("appendonly", "no")
    own_redis.admin.config_set("save", "3600 1")
    make(RedisStore(f"unix://{own_redis.socket}"), "t")
    assert not recwarn.list


# Credentials ----------------------------------------------------------------------------------------------------------


def everything_said(act: Callable[[], Any]) -> str:
    with pytest.raises(StorageError) as caught:
        act()
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.usefixtures("impatient")
def test_credentials_are_in_no_text(own_redis: RedisServer) -> None:
    own_redis.admin.execute_command("ACL SETUSER", "agnes", "on", ">s3cr3t-w0rd", "~triggers:*", "+@all")
    good = f"redis://agnes:s3cr3t-w0rd@127.0.0.1:{own_redis.port}/0"
    store = RedisStore(good)
    make(store, "s")
    said = [repr(store), str(store), store.url, store.storage_id, repr(store._client)]
    own_redis.admin.execute_command("ACL SETUSER", "agnes", "resetpass", ">another")
    own_redis.admin.execute_command("CLIENT KILL", "USER", "agnes")
    said.append(everything_said(lambda: store.read("s", ["head"])))
    said.append(everything_said(lambda: RedisStore(f"{good}?client_name=me").read("s", ["head"])))
    own_redis.kill()
    said.append(everything_said(lambda: store.read("s", ["head"])))
    own_redis.start()
    for text in said:
        assert "s3cr3t" not in text
        assert "agnes" not in text


def test_a_wrong_password_is_told_at_once(own_redis: RedisServer) -> None:
    own_redis.admin.config_set("requirepass", "right")
    for credentials in ("", ":wrong@"):
        store: Store = RedisStore(f"redis://{credentials}127.0.0.1:{own_redis.port}/0")
        with pytest.raises(StorageError, match="answered with an error"):
            store.read("s", ["head"])
    own_redis.admin.execute_command("AUTH", "right")
    own_redis.admin.config_set("requirepass", "")


def test_a_child_that_never_uses_the_store_leaves_the_parents_connection_alone(redis_place: Place) -> None:
    store = redis_place.open()
    make(store, "s")
    child = os.fork()
    if child == 0:
        gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    assert seen(store, "s").seq == 1
    assert keys_of("s").head
