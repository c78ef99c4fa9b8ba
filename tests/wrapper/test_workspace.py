"""Connecting, and what may be changed from where."""

from __future__ import annotations

import copy
import pickle
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

import triggers_nb as tnb
from triggers_nb.core.events import decode_event
from triggers_nb.errors import (
    ConfirmationRequired,
    CredentialsWarning,
    ManagerMismatch,
    NoRunner,
    ReadOnlyError,
    RegistryError,
    SessionExists,
    StorageUrlError,
    UnknownKey,
    UnknownSession,
)
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.recovery import recover
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.storages import urls
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.task import TriggerTask

TASKS = {"t_ship": {"after": ["paid", "packed"], "run": "tests.workspace.Ship"}}


class Ship(TriggerTask):
    name = "tests.workspace.Ship"

    def _run(self, context: Any) -> Any:
        return {"shipped": True}


@task_runners.register("tests.elsewhere")
class Elsewhere(BaseTaskRunner):
    name = "tests.elsewhere"
    crosses_processes = True

    def run(self, manager: Any, task_instance: Any) -> None:
        pass


class SharedStore(MemoryStore):
    """A store that others use, too."""

    embedded = False


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> str:
    store = SharedStore()
    store.url = "redis://cache:6379/0"
    monkeypatch.setitem(urls._stores, "redis://cache:6379/0", store)
    TriggerManager(tnb.CacheStorageBackend("order-1", store)).update_configuration(TASKS)
    return store.url


@pytest.fixture
def ws(request: pytest.FixtureRequest) -> Iterator[tnb.Workspace]:
    with tnb.connect(f"memory://{request.node.name}") as workspace:
        yield workspace


# Connecting -----------------------------------------------------------------------------------------------------------


def test_the_default_is_a_file_here_shown_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with tnb.connect() as ws:
        assert ws.url == f"sqlite:///{tmp_path / 'triggers.db'}"
        assert (ws.mode, ws.env) == ("read-write", None)


def test_the_environment_names_the_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGERS_URL", "memory://named")

    assert tnb.connect().url == "memory://named"


def test_embedded_storages_may_be_changed_and_shared_ones_not(shared: str) -> None:
    assert tnb.connect("memory://mine").mode == "read-write"
    assert tnb.connect("memory://mine", mode="read-only").mode == "read-only"
    assert tnb.connect(shared).mode == "read-only"
    assert tnb.connect(shared, mode="read-write").mode == "read-write"


def test_a_file_that_is_not_there_is_not_made_for_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StorageUrlError, match=f"there is no file {tmp_path / 'typo.db'}, and nothing was made"):
        tnb.connect("sqlite:///typo.db", mode="read-only")
    assert list(tmp_path.iterdir()) == []

    assert tnb.connect("sqlite:///typo.db").sessions().empty
    assert tnb.connect("sqlite:///typo.db", mode="read-only").sessions().empty


def test_a_shared_storage_of_which_nothing_is_said_is_production(shared: str) -> None:
    assert tnb.connect(shared, mode="read-write").env == "production"
    assert tnb.connect(shared, mode="read-write", env="dev").env == "dev"


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"url": "ftp://host"}, StorageUrlError, "ftp"),
        ({"mode": "rw"}, ValueError, "mode='rw'"),
        ({"env": ""}, ValueError, "env=''"),
        ({"env": 3}, ValueError, "env=3"),
        ({"handover": "later"}, ValueError, "handover='later'"),
        ({"manager": "no-such"}, UnknownKey, "no-such"),
        ({"manager": dict}, TypeError, "subclass of TriggerManager"),
        ({"runner": "threding"}, UnknownKey, "threading"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        tnb.connect(**{"url": "memory://wrong", **arguments})


def test_a_password_in_a_cell_warns_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.warns(CredentialsWarning, match="TRIGGERS_URL") as caught:
        ws = tnb.connect("redis://ada:hunter2@nowhere.invalid:1/0")
    assert "hunter2" not in str(caught[0].message) + repr(ws) + ws.url
    assert caught[0].filename == __file__

    monkeypatch.setenv("TRIGGERS_URL", "redis://ada:hunter2@nowhere.invalid:1/0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tnb.connect()


def test_the_actor_is_the_person_who_works_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_USER", "grace")
    assert tnb.connect("memory://actor").actor == "grace"
    assert tnb.connect("memory://actor", actor="ada").actor == "ada"
    monkeypatch.delenv("JUPYTERHUB_USER")
    monkeypatch.setattr("getpass.getuser", lambda: "linus")
    assert tnb.connect("memory://actor").actor == "linus"


# Sessions -------------------------------------------------------------------------------------------------------------


def test_a_session_is_made_once(ws: tnb.Workspace) -> None:
    s = ws.create("order-17", TASKS)

    assert s.tasks()["task"].tolist() == ["t_ship"]
    assert "order-17" in ws
    assert list(ws) == ["order-17"]
    with pytest.raises(SessionExists, match="configure"):
        ws.create("order-17", TASKS)
    with pytest.raises(tnb_errors("ConfigurationError")):
        ws.create("order-18", {"t_x": {}})
    assert "order-18" not in ws


def tnb_errors(name: str) -> type[Exception]:
    from triggers_nb import errors

    found: type[Exception] = getattr(errors, name)
    return found


def test_an_unknown_session_is_a_key_error_with_near_names(ws: tnb.Workspace) -> None:
    ws.create("order-17", TASKS)

    with pytest.raises(UnknownSession, match=r"no session 'order-71'.*Did you mean 'order-17'"):
        ws["order-71"]
    assert issubclass(UnknownSession, KeyError)
    with pytest.raises(TypeError, match="UID"):
        ws[17]  # type: ignore[index]
    assert "" not in ws
    assert 17 not in ws


def test_uids_complete(ws: tnb.Workspace) -> None:
    for uid in ("order-1", "order-2"):
        ws.create(uid, TASKS)

    assert ws._ipython_key_completions_() == ["order-2", "order-1"]
    assert ws["order-1"]._ipython_key_completions_() == ["t_ship"]


def test_a_change_records_who_and_why(ws: tnb.Workspace) -> None:
    s = ws.create("order-17", TASKS, reason="a new order")
    s.fire("paid", {"amount": 20}, reason="payment arrived")

    events = s.events()
    assert set(events["actor"]) == {ws.actor}
    assert events.groupby("seq")["reason"].first().tolist() == ["a new order", "payment arrived"]
    ids = events.groupby("seq")["action_id"].first()
    assert ids.notna().all()
    assert ids.is_unique


def test_managers_are_listed_even_if_broken(ws: tnb.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hooked(TriggerManager):
        def _post_fire(self, *args: Any) -> None:
            pass

    trigger_managers.register("tests.hooked")(Hooked)
    try:
        frame = ws.managers().set_index("key")
    finally:
        trigger_managers.unregister("tests.hooked")
    assert frame.loc["default", "distribution"] == "triggers-nb"
    assert frame.loc["tests.hooked", "hooks"] == ["_post_fire"]
    assert frame.loc["default", "hooks"] == []


# Managers -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def custom() -> Iterator[type[TriggerManager]]:
    class Custom(TriggerManager):
        fired: ClassVar[list[str]] = []

        def _post_fire(self, trigger_name: str, tasks_scheduled: Any) -> None:
            self.fired.append(trigger_name)

    trigger_managers.register("tests.custom")(Custom)
    yield Custom
    if "tests.custom" in trigger_managers:
        trigger_managers.unregister("tests.custom")


def test_changes_go_through_the_manager_that_the_session_remembers(
    ws: tnb.Workspace, custom: type[TriggerManager]
) -> None:
    custom(tnb.CacheStorageBackend("order-17", ws.url)).update_configuration(TASKS)
    s = ws["order-17"]

    assert type(s.manager) is custom
    s.fire("paid")
    assert custom.fired == ["paid"]  # type: ignore[attr-defined]
    assert ws.sessions()["manager"].tolist() == ["tests.custom"]


def test_a_manager_that_is_not_installed_is_named_and_reading_works(
    ws: tnb.Workspace, custom: type[TriggerManager]
) -> None:
    custom(tnb.CacheStorageBackend("order-17", ws.url)).update_configuration(TASKS)
    trigger_managers.unregister("tests.custom")
    s = ws["order-17"]

    assert len(s.tasks()) == 1
    assert "tests.custom" in s._repr_mimebundle_()["text/plain"]
    for change in (lambda: s.fire("paid"), lambda: s.manager, lambda: s.configure(TASKS)):
        with pytest.raises(RegistryError, match=r"'order-17' belongs to manager 'tests\.custom'"):
            change()
    assert len(s.events()["seq"].unique()) == 1


def test_another_manager_is_refused_unless_asked_for(ws: tnb.Workspace, custom: type[TriggerManager]) -> None:
    ws.create("order-17", TASKS)
    other = tnb.connect(ws.url, manager="tests.custom")

    with pytest.raises(ManagerMismatch):
        other["order-17"].fire("paid")
    tnb.connect(ws.url, manager=custom, allow_manager_change=True)["order-17"].fire("paid")
    assert ws.sessions()["manager"].tolist() == ["tests.custom"]


# Read-only and production ---------------------------------------------------------------------------------------------


def n_events(ws: tnb.Workspace) -> int:
    return sum(len(ws.store.events(uid)) for uid in ws)


CHANGES = {
    "fire": lambda s: s.fire("paid"),
    "configure": lambda s: s.configure(TASKS),
    "manager": lambda s: s.manager.fire("paid"),
    "storage": lambda s: s.storage.transact("x", lambda work: work.refuse_missing_session()),
    "lock": lambda s: s.storage.acquire_lock().__enter__(),
    "derived": lambda s: s.storage.derive(mode="read-write").transact("x", lambda work: work.refuse_missing_session()),
    "create": lambda s: s.workspace.create("order-2", TASKS),
    "delete": lambda s: s.storage.store.delete(s.uid),
    "delete through the workspace": lambda s: s.workspace.store.delete(s.uid),
    "delete by another handle": lambda s: tnb.CacheStorageBackend(s.uid, s.storage.store).store.delete(s.uid),
    "delete by a freed handle": lambda s: s.storage.derive(mode="read-write", guard=None).store.delete(s.uid),
    "clear": lambda s: s.manager.storage.store.clear(),
    "trim": lambda s: s.storage.store.trim_events(s.uid, 0),
    "settle": lambda s: s.storage.store.settle(s.uid, "p:t_ship#0"),
    "postpone": lambda s: s.storage.store.postpone(s.uid, "p:t_ship#0", 1.0),
    "lock of the store": lambda s: s.storage.store.acquire_lock(s.uid, b"1" * 16, 5.0),
    "recover": lambda s: s.manager.recover(),
    "recover all": lambda s: recover(s.storage.store),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_read_only_workspace_changes_nothing_and_says_what_would(shared: str, change: str) -> None:
    ws = tnb.connect(shared)
    before = n_events(ws)

    with pytest.raises(ReadOnlyError, match=r"with ws\.writable\(confirm='production'\) as rw"):
        CHANGES[change](ws["order-1"])
    assert n_events(ws) == before


@pytest.mark.parametrize("options", [{"mode": "read-only"}, {"env": "production"}], ids=["read-only", "production"])
def test_the_sessions_of_an_embedded_storage_are_not_cleared_from_where_nothing_may_be_changed(
    options: dict[str, Any], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/orders.db"
    tnb.connect(url).create("order-1", TASKS)
    ws = tnb.connect(url, **options)

    for cache in (ws["order-1"].storage.cache, ws["order-1"].manager.storage.cache):
        with pytest.raises(ReadOnlyError, match=r"with ws\.writable\(confirm="):
            cache.clear()
    assert list(ws) == ["order-1"]

    with ws.writable(confirm=ws.access.phrase) as rw:
        cache = rw["order-1"].storage.cache
    with pytest.raises(ReadOnlyError, match="is over"):
        cache.clear()
    assert list(ws) == ["order-1"]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_copy_may_not_do_more(copied: Any, tmp_path: Path) -> None:
    tnb.connect(url := f"sqlite:///{tmp_path}/orders.db").create("order-1", TASKS)
    storage = tnb.connect(url, mode="read-only")["order-1"].storage

    with pytest.raises(TypeError, match="handle"):
        copied(storage)
    for each in (storage.store, storage.cache):
        with pytest.raises((TypeError, ReadOnlyError)):
            copied(each).clear()


@pytest.mark.parametrize("change", CHANGES)
def test_in_production_a_change_has_to_be_confirmed(shared: str, change: str) -> None:
    ws = tnb.connect(shared, mode="read-write", runner="tests.elsewhere")
    before = n_events(ws)

    with pytest.raises(ConfirmationRequired, match="production"):
        CHANGES[change](ws["order-1"])
    assert n_events(ws) == before


def test_a_confirmed_change_is_made(shared: str) -> None:
    ws = tnb.connect(shared, mode="read-write", env="Production-EU", runner="tests.elsewhere")
    s = ws["order-1"]

    for wrong in (None, "production", "production-eu", ""):
        with pytest.raises(ConfirmationRequired) as caught:
            s.fire("paid", confirm=wrong)
        assert caught.value.phrase == "Production-EU"
    s.fire("paid", confirm="Production-EU")
    assert s.triggers().set_index("trigger").loc["paid", "n_fired"] == 1
    with pytest.raises(ConfirmationRequired):
        s.fire("paid")


def test_dev_needs_no_confirmation(shared: str) -> None:
    tnb.connect(shared, mode="read-write", env="dev")["order-1"].fire("paid")


@pytest.mark.parametrize(
    ("url", "options", "phrase"),
    [
        ("memory://phrases", {}, "memory"),
        ("sqlite:///{path}/orders.db", {}, "orders.db"),
        ("sqlite:///{path}/orders.db", {"env": "test"}, "test"),
    ],
)
def test_the_phrase_is_the_environment_or_the_storage(
    url: str, options: dict[str, Any], phrase: str, tmp_path: Path
) -> None:
    ws = tnb.connect(url.format(path=tmp_path), **options)

    with pytest.raises(ConfirmationRequired, match=f"confirm='{phrase}'"), ws.writable(confirm="yes"):
        pytest.fail("this must not be reached")
    with ws.writable(confirm=phrase) as rw:
        assert rw.mode == "read-write"


def test_what_was_made_in_a_writable_block_ends_with_it_in_every_thread(shared: str) -> None:
    ws = tnb.connect(shared, runner="tests.elsewhere")
    with ws.writable(confirm="production") as rw:
        s = rw["order-1"]
        manager, storage = s.manager, s.storage
        s.fire("paid")
        manager.fire("packed")
    before = n_events(ws)
    assert before == 3

    attempts = [
        lambda: s.fire("paid"),
        lambda: rw["order-1"].fire("paid"),
        lambda: rw.create("order-9", TASKS),
        lambda: manager.fire("paid"),
        lambda: storage.transact("x", lambda work: work.refuse_missing_session()),
        lambda: storage.derive(mode="read-write").transact("x", lambda work: work.refuse_missing_session()),
        lambda: s.manager.fire("paid"),
        lambda: storage.store.delete("order-1"),
        lambda: rw.store.delete("order-1"),
    ]
    refused: list[BaseException] = []

    def attempt() -> None:
        for each in attempts:
            try:
                each()
            except ReadOnlyError as error:
                refused.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    attempt()
    assert len(refused) == 2 * len(attempts)
    assert all("is over" in str(error) for error in refused)
    assert n_events(ws) == before


def test_a_block_that_raises_ends_as_well(shared: str) -> None:
    ws = tnb.connect(shared)

    def fail() -> Any:
        with ws.writable(confirm="production") as rw:
            s = rw["order-1"]
            raise KeyError(s.uid)

    with pytest.raises(KeyError) as caught:
        fail()
    s = caught.traceback[-1].frame.f_locals["s"]
    with pytest.raises(ReadOnlyError):
        s.fire("paid")


def test_the_outer_workspace_stays_read_only_inside_of_the_block(shared: str) -> None:
    ws = tnb.connect(shared)

    with ws.writable(confirm="production"), pytest.raises(ReadOnlyError):
        ws["order-1"].fire("paid")


def test_work_that_was_started_in_a_block_may_end_after_it(ws: tnb.Workspace) -> None:
    from triggers_nb.runners import ThreadingTaskRunner

    released = threading.Event()

    class Slow(TriggerTask):
        name = "tests.workspace.Slow"

        def _run(self, context: Any) -> Any:
            released.wait(240)
            return {}

    ws.create("order-17", {"t_slow": {"after": ["go"], "run": Slow.name}})
    with ws.writable(confirm="memory") as rw:
        rw["order-17"].fire("go")
    released.set()
    ThreadingTaskRunner.join_all()
    assert ws["order-17"].instances()["status"].tolist() == ["finished"]


# Where work runs ------------------------------------------------------------------------------------------------------


def test_work_on_a_shared_storage_never_runs_here_by_accident(shared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = tnb.connect(shared, mode="read-write", env="dev")
    s = ws["order-1"]
    s.fire("paid")
    before = n_events(ws)

    with pytest.raises(NoRunner):
        s.fire("packed")
    monkeypatch.setenv("TRIGGERS_RUNNER", "threading")
    with pytest.raises(NoRunner, match="TRIGGERS_RUNNER"):
        s.fire("packed")
    assert n_events(ws) == before


def test_work_runs_here_if_that_is_said(shared: str) -> None:
    from triggers_nb.runners import ThreadingTaskRunner

    s = tnb.connect(shared, mode="read-write", env="dev", runner="threading")["order-1"]
    s.fire("paid")
    s.fire("packed")
    ThreadingTaskRunner.join_all()

    assert s.instances()["status"].tolist() == ["finished"]


def test_a_hand_over_can_be_left_to_the_workers(shared: str) -> None:
    ws = tnb.connect(shared, mode="read-write", env="dev", runner="tests.elsewhere", handover="defer")
    s = ws["order-1"]
    s.fire("paid")
    s.fire("packed")

    assert s.instances()["status"].tolist() == ["scheduled"]
    state = ws.store.state("order-1")
    assert state is not None
    assert list(state.due) == ["p:t_ship#0"]
    assert decode_event(ws.store.events("order-1")[-1].data).action == "fire"
