"""What the Celery runner refuses, before anything is committed."""

import types

import celery
import pytest

from tests.celery import app as application
from triggers_nb import CacheStorageBackend, TriggerManager, TriggerTask
from triggers_nb.errors import HandoverRefused
from triggers_nb.manager import trigger_managers
from triggers_nb.runners.celery import find_app
from triggers_nb.storages.urls import open_store


@pytest.fixture
def local_manager():
    """A manager that this process registers at run time, as a notebook's cell does."""

    @trigger_managers.register("cell")
    class CellManager(TriggerManager):
        pass

    yield CellManager
    trigger_managers.unregister("cell")


@pytest.fixture
def local_task():
    """The name of a task that a notebook's cell defines."""
    cell = type("Cell", (TriggerTask,), {"__module__": "__main__", "name": "cell.Task", "_run": lambda *_: {}})
    return cell.name


def refuse(manager, run="tests.Echo"):
    """Configure and fire; both must leave the session unchanged but for the configuration."""
    manager.update_configuration({"t_echo": {"after": ["start"], "run": run}})
    with pytest.raises(HandoverRefused) as raised:
        manager.fire("start")
    assert dict(manager.storage.instances) == {}
    assert manager.storage.latest_kwargs == {}
    return str(raised.value)


@pytest.mark.parametrize("handover", ["now", "defer"])
def test_a_manager_that_a_worker_could_not_find(session, local_manager, handover):
    storage = session.manager.storage.derive(handover=handover)

    assert "'cell' in this process only" in refuse(local_manager(storage))


@pytest.mark.parametrize("handover", ["now", "defer"])
def test_a_manager_without_a_key(session, handover):
    class Unregistered(TriggerManager):
        pass

    storage = session.manager.storage.derive(handover=handover)

    assert "Unregistered is registered under no key" in refuse(Unregistered(storage))


def test_a_task_that_a_worker_could_not_find(session, local_task):
    assert "cell.Task" in refuse(session.manager, local_task)


def test_an_embedded_storage(tmp_path):
    storage = CacheStorageBackend("one", f"sqlite:///{tmp_path / 'one.db'}").derive(runner="celery")

    assert "one.db belongs to this machine alone" in refuse(TriggerManager(storage))


@pytest.mark.parametrize(
    ("named", "complaint"),
    [
        ("no.such.module:app", "No module named 'no'"),
        ("tests.celery.app:missing", "missing"),
        ("tests.celery.app:report_key", "expected a Celery application"),
        (17, "expected a Celery application"),
        (":", "expected 'module:attribute'"),
    ],
)
def test_an_application_that_is_none(session, named, complaint):
    storage = session.manager.storage.derive(celery_app=named)

    assert complaint in refuse(type(session.manager)(storage))


def test_a_process_that_knows_no_application(session, monkeypatch):
    fallback = celery.Celery("default", set_as_current=False)
    monkeypatch.setattr(celery._state, "_tls", types.SimpleNamespace(current_app=None))
    monkeypatch.setattr(celery._state, "default_app", fallback)
    storage = session.manager.storage.derive(celery_app=None)

    assert "no Celery application is known" in refuse(type(session.manager)(storage))

    monkeypatch.setenv("CELERY_BROKER_URL", "redis://somewhere")
    assert find_app(None) is fallback


def test_an_application_by_its_name(session):
    assert find_app("tests.celery.app:app") is application.app
    assert find_app("tests.celery.app") is application.app


def test_a_deferred_change_needs_no_runner_here(redis_server):
    storage = CacheStorageBackend("deferred", redis_server.url).derive(handover="defer", refuse_threading=True)
    manager = trigger_managers.get("orders", storage)
    manager.update_configuration({"t_echo": {"after": ["start"], "run": "tests.Echo"}})

    manager.fire("start")

    assert storage["t_echo#0"].status == "scheduled"


def test_a_storage_is_the_same_however_its_server_is_spelled(redis_server):
    spellings = [
        f"redis://127.0.0.1:{redis_server.port}",
        f"redis://localhost:{redis_server.port}/0",
        f"unix://{redis_server.socket}?db=0",
    ]
    ids = {open_store(url).storage_id for url in spellings}

    assert len(ids) == 1
    assert open_store(f"redis://127.0.0.1:{redis_server.port}/1").storage_id not in ids
    assert str(redis_server.port) not in ids.pop()
