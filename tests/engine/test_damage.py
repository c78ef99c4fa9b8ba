"""What is damaged in a SQLite file is told of; nothing is half changed, and other sessions stay as they are."""

import sqlite3
import threading
import warnings
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import triggers_nb as tnb
from triggers_nb.core.codec import encode_value
from triggers_nb.core.records import ConfigRecord, LatestRecord, Raw, decode_record, encode_record
from triggers_nb.errors import StorageError, UnreadableSession
from triggers_nb.manager import TriggerManager
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.sqlite import SqliteStore
from triggers_nb.task import TriggerTask, _task_classes

UID = "order-17"
DAMAGE = [b"", b"\xc1", b"\x05", b"\x91" * 5000, b"cos\nsystem\n"]
#: Well-formed, but with static kwargs that are none.
FORGED = ConfigRecord(
    "app.Ship", ("packed", "paid"), None, (), None, Raw(encode_value({"paid": [1]})), Raw(encode_value({}))
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def manager(path: Path) -> TriggerManager:
    """Of a session with an instance that waits; another session is beside it."""
    store = SqliteStore(path)
    for uid in ("other", UID):
        manager = TriggerManager(BaseTriggerStorage(uid, store))
        manager.update_configuration({"t_ship": {"after": ["paid", "packed"], "run": "app.Ship"}})
        manager.fire("paid")
    return manager


@pytest.fixture
def damage(path: Path, manager: TriggerManager) -> Callable[[str, bytes], None]:
    """Overwrite the session's counts, or a cell of it."""

    def damage(what: str, data: bytes) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            if what == "counts":
                done = db.execute("UPDATE session SET counts = ? WHERE uid = ?", (data, UID))
            else:
                statement = (
                    "UPDATE cell SET data = ? WHERE name = ? AND epoch = (SELECT epoch FROM session WHERE uid = ?)"
                )
                done = db.execute(statement, (data, what, UID))
            assert done.rowcount == 1

    return damage


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


@pytest.mark.parametrize("data", DAMAGE)
def test_damaged_counts_are_told_and_nothing_is_changed(
    data: bytes, manager: TriggerManager, damage: Callable[[str, bytes], None], path: Path
) -> None:
    damage("counts", data)
    before = dump(path)

    for ask in (manager.storage.counts, manager.storage.debug_repr, manager.get_unresolved_tasks):
        with pytest.raises(StorageError, match=f"session '{UID}' is damaged"):
            ask()
    with pytest.raises(StorageError, match=f"session '{UID}' is damaged"):
        manager.fire("packed")
    assert dump(path) == before


@pytest.mark.parametrize("data", DAMAGE)
def test_a_session_with_damaged_counts_does_not_hide_the_others(
    data: bytes, damage: Callable[[str, bytes], None], path: Path
) -> None:
    damage("counts", data)
    ws = tnb.connect(f"sqlite:///{path}")

    with pytest.warns(UnreadableSession, match=f"session '{UID}' cannot be read"):
        assert ws.sessions().set_index("session_uid")["manager"].isna().to_dict() == {UID: True, "other": False}
    with pytest.warns(UnreadableSession, match=f"session '{UID}' cannot be read"):
        assert ws.instances()["session_uid"].tolist() == ["other"]
    assert set(ws.events()["session_uid"]) == {UID, "other"}


@pytest.mark.parametrize("data", DAMAGE)
@pytest.mark.parametrize("cell", ["g:packed", "t:t_ship", "i:t_ship#0", "c:t_ship"])
def test_a_firing_that_meets_damage_changes_nothing(
    cell: str, data: bytes, manager: TriggerManager, damage: Callable[[str, bytes], None], path: Path
) -> None:
    damage(cell, data)
    before = dump(path)

    with pytest.raises(StorageError, match=f"cell '{cell}' cannot be read"):
        TriggerManager(BaseTriggerStorage(UID, manager.storage.store)).fire("packed")
    assert dump(path) == before


@pytest.mark.parametrize("config", [b"\xc1", encode_record(FORGED)])
@pytest.mark.parametrize(
    "change",
    [
        lambda manager: manager.update_instance_status("t_ship#0", "skipped"),
        lambda manager: manager.update_instance_metadata("t_ship#0", {"note": 1}),
        lambda manager: manager.mark_instance_logs_resolved("t_ship#0"),
    ],
)
def test_a_change_whose_outcome_could_not_be_read_is_not_made(
    change: Callable[[TriggerManager], object],
    manager: TriggerManager,
    damage: Callable[[str, bytes], None],
    path: Path,
    config: bytes,
) -> None:
    damage("c:t_ship", config)
    before = dump(path)

    with pytest.raises(StorageError, match=r"'(c:)?t_ship' cannot be read"):
        change(TriggerManager(BaseTriggerStorage(UID, manager.storage.store)))
    assert dump(path) == before


def forged(encoded: bytes, **changes: object) -> bytes:
    record = decode_record("i:", encoded)
    return encode_record(msgspec.structs.replace(record, **changes))


@pytest.mark.parametrize("forgery", ["task", "timestamps", "params", "head", "latest"])
def test_forged_cells_are_told_and_do_not_hide_the_other_sessions(
    forgery: str, manager: TriggerManager, damage: Callable[[str, bytes], None], path: Path
) -> None:
    store = manager.storage.store
    for uid in ("other", UID):
        each = TriggerManager(BaseTriggerStorage(uid, store))
        each.update_instance_status("t_ship#0", "failed")
    view = store.read(UID, ["i:t_ship#0", "head", "k:paid"])
    assert view is not None
    cells = {name: cell.data for name, cell in view.cells.items()}
    number = Raw(encode_value(5))
    if forgery == "task":
        damage("i:t_ship#0", forged(cells["i:t_ship#0"], task="t_gone"))
    elif forgery == "timestamps":
        damage("i:t_ship#0", forged(cells["i:t_ship#0"], metadata={"timestamps": number}))
    elif forgery == "params":
        damage("c:t_ship", encode_record(FORGED))
    elif forgery == "head":
        damage("head", encode_record(msgspec.structs.replace(decode_record("head", cells["head"]), metadata=number)))
    else:
        damage("k:paid", encode_record(LatestRecord(Raw(encode_value({})), 2**63, 0)))
    ws = tnb.connect(f"sqlite:///{path}")

    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        for frame in (ws.instances(), ws.failures(), ws.failures(payloads=True), ws.stuck(), ws.sessions()):
            assert frame.empty or "other" in set(frame["session_uid"])
        assert len(ws.failures()) == (2 if forgery in ("head", "latest") else 1)
    with pytest.raises(StorageError, match="cannot be read"):
        TriggerManager(BaseTriggerStorage(UID, store)).storage.debug_repr()


def test_forged_moments_and_cooldowns_keep_no_work_from_being_recovered(
    manager: TriggerManager, damage: Callable[[str, bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given scheduled work of which something else has written that it is to start "soon"
    monkeypatch.setenv("TRIGGERS_GRACE_S", "0.01")
    store = manager.storage.store
    TriggerManager(BaseTriggerStorage(UID, store).derive(handover="defer")).fire("packed")
    view = store.read(UID, ["i:t_ship#0"])
    assert view is not None
    soon = Raw(encode_value("soon"))
    moments = Raw(encode_value({"scheduled": "soon"}))
    damage("i:t_ship#0", forged(view.cells["i:t_ship#0"].data, metadata={"cooldown": soon, "timestamps": moments}))

    # When it is recovered where its class is known
    ran = threading.Event()
    type("Ship", (TriggerTask,), {"name": "app.Ship", "_run": lambda self, context: ran.set()})
    try:
        while "p:t_ship#0" not in TriggerManager(BaseTriggerStorage(UID, store)).recover():
            pass
        ThreadingTaskRunner.join_all()
    finally:
        del _task_classes["app.Ship"]

    # Then it has run
    assert ran.is_set()
    assert BaseTriggerStorage(UID, store)["t_ship#0"].status == "finished"
