"""The server of the sessions, or of the messages, fails in the middle of the work."""

import contextlib
import threading

import celery
import pytest
import redis

from tests.faults.invariants import check_invariants, recover_all
from tests.faults.proxy import Proxy
from tests.storages.redis_servers import RedisServer
from triggers_nb import CacheStorageBackend
from triggers_nb.errors import StorageError
from triggers_nb.manager import trigger_managers
from triggers_nb.recovery import recover
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.urls import open_store

MANY = {"t_many": {"after": [], "andEvery": "start", "run": "tests.Echo"}}
#: What a task meets whose server is away, or has not read its data again yet.
AWAY = {"redis.exceptions.ConnectionError", "redis.exceptions.BusyLoadingError"}


@pytest.fixture
def broker():
    """A second server, for the messages alone."""
    server = RedisServer()
    yield server
    server.remove()


def test_the_broker_is_down_during_a_fire(session, broker, caplog):
    app = celery.Celery("sender", broker=broker.url, set_as_current=False)
    session.manager.storage.celery_app = app
    session.configure(
        t_remote={"after": ["start"], "run": "tests.Echo", "using": "celery"},
        t_local={"after": ["start"], "run": "tests.Echo", "using": "threading"},
        t_other={"after": ["start"], "run": "tests.Echo", "using": "celery"},
    )
    broker.kill()

    # When a trigger is fired, then the caller is told, and what could be done was done
    with pytest.raises(Exception, match="Connection refused"):
        session.manager.fire("start", {"n": 1})
    ThreadingTaskRunner.join_all()
    assert session.statuses() == {"t_local#0": "finished", "t_other#0": "scheduled", "t_remote#0": "scheduled"}
    assert ["start", ["t_local#0", "t_other#0", "t_remote#0"]] in session.hooks()
    assert session.manager.storage.latest_kwargs["start"] == {"n": 1}

    # And the rest is due at once, and again later if the broker is still down
    assert recover(session.store, celery_app=app) == {"failed": 2}
    assert [item for item in session.store.due() if item[1].startswith("p:")] == []

    # And when it is there again, the work is sent
    broker.start()
    for name in ("p:t_remote#0", "p:t_other#0"):
        session.store.postpone(session.uid, name, 0)
    assert recover(session.store, celery_app=app) == {"handed over": 2}
    assert broker.admin.llen("celery") == 2


@pytest.mark.usefixtures("short_grace", "short_lease")
def test_the_server_of_the_sessions_is_killed_and_started_again(session):
    session.manager.storage.runner = "threading"
    session.configure(**MANY)
    fired, unknown = [], []

    def fire_on():
        for n in range(300):
            try:
                with contextlib.suppress(redis.ConnectionError):  # of the hook, which does not try again
                    session.manager.fire("start", {"n": n})
                fired.append(n)
            except StorageError:  # the server was away for longer than the store waits
                unknown.append(n)
            if n == 100:
                killed.set()

    killed = threading.Event()
    thread = threading.Thread(target=fire_on)
    thread.start()
    killed.wait()
    session.server.kill()
    session.server.start()
    thread.join()
    ThreadingTaskRunner.join_all()
    recover_all(session.store, runner="threading")

    # Then each firing that was acknowledged has its one instance
    given = [each.kwargs["start"]["n"] for each in session.manager.storage]
    assert len(set(given)) == len(given)
    assert set(fired) <= set(given) <= {*fired, *unknown}
    assert len(fired) > 200
    failed = {each.metadata["exceptionType"] for each in session.manager.storage if each.status == "failed"}
    # These could not report, or, after a long absence, not be told from those of a worker that had died.
    assert failed <= {*AWAY, "triggers_nb.errors.WorkerLost"}
    check_invariants(session.store, session.uid)


def test_the_server_forgets_its_scripts(session):
    session.manager.storage.runner = "threading"
    session.configure(**MANY)

    for _ in range(5):
        session.server.admin.script_flush()
        session.manager.fire("start")
    ThreadingTaskRunner.join_all()
    session.server.admin.script_flush()
    recover_all(session.store, runner="threading")

    assert list(session.statuses().values()) == ["finished"] * 5
    check_invariants(session.store, session.uid)


def test_the_memory_of_the_server_is_full(session):
    session.manager.storage.runner = "threading"
    session.configure(**MANY)
    session.manager.fire("start")
    ThreadingTaskRunner.join_all()
    before = session.store.state(session.uid)

    # When it takes nothing any more, then a firing says so and has changed nothing
    session.server.admin.config_set("maxmemory", 1)
    with pytest.raises(StorageError, match="its memory is full"):
        session.manager.fire("start", {"n": 2})
    assert session.store.state(session.uid) == before

    # And when it has room again, everything goes on
    session.server.admin.config_set("maxmemory", 0)
    session.manager.fire("start", {"n": 3})
    ThreadingTaskRunner.join_all()
    recover_all(session.store, runner="threading")
    assert session.statuses() == {"t_many#0": "finished", "t_many#1": "finished"}
    check_invariants(session.store, session.uid)


@pytest.mark.usefixtures("short_grace", "short_lease")
def test_the_memory_fills_up_while_a_task_runs(session):
    session.manager.storage.runner = "threading"
    session.configure(
        t_wait={"after": ["start"], "run": "tests.Wait"}, t_next={"after": ["t_wait"], "run": "tests.Echo"}
    )
    session.manager.fire("start")
    session.wait(t_wait__0="running")

    # When the end of a task cannot be stored
    session.let_go()
    session.server.admin.config_set("maxmemory", 1)
    ThreadingTaskRunner.join_all()
    session.server.admin.config_set("maxmemory", 0)
    recover_all(session.store, runner="threading")

    # Then it counts as lost, and may be replayed
    assert session["t_wait#0"].status in ("failed", "finished")
    if session["t_wait#0"].status == "failed":
        assert session["t_wait#0"].metadata["exceptionType"] == "triggers_nb.errors.WorkerLost"
    check_invariants(session.store, session.uid)


def test_the_answers_to_commits_are_lost(session):
    proxy = Proxy(session.server.port)
    store = open_store(f"redis://127.0.0.1:{proxy.port}/0")
    storage = CacheStorageBackend(session.uid, store).derive(runner="threading")
    manager = trigger_managers.get("orders", storage)
    manager.update_configuration(MANY)

    for n in range(40):
        proxy.losses = n % 2
        manager.fire("start", {"n": n})
        ThreadingTaskRunner.join_all()
    recover_all(session.store, runner="threading")
    proxy.close()

    assert proxy.lost == 20
    assert len(session.statuses()) == 40
    assert sorted(session.reports()) == sorted(session.statuses())
    assert set(session.statuses().values()) == {"finished"}
    check_invariants(session.store, session.uid)
