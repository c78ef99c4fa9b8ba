"""What is special about sessions in a SQLite file."""

import gc
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.storages.contract import applied, change, change_after, increment, make, seen
from triggers_nb.errors import StorageError, StorageUrlError
from triggers_nb.storages import sqlite_pool
from triggers_nb.storages.sqlite import PURGE_BATCH, SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sessions.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    yield store
    store.close()


def ask(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Ask the file itself."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_it_says_where_it_is(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert store.url == store.storage_id == f"sqlite:///{path}"
    assert repr(store) == f"<SqliteStore sqlite:///{path}>"
    assert store.embedded
    monkeypatch.chdir(path.parent)
    assert SqliteStore("sessions.db").url == store.url


def test_the_file_is_made_when_it_is_first_used(store: SqliteStore, path: Path) -> None:
    assert not path.exists()
    assert store.counts("s") is None
    assert path.exists()


def test_sessions_outlive_the_store(store: SqliteStore, path: Path) -> None:
    make(store, "s", writes={"a": b"1"})
    store.close()
    other = SqliteStore(path)
    assert seen(other, "s", "a").cells == {"a": (1, b"1")}
    other.close()


def test_the_file_is_ours_and_keeps_a_write_ahead_log(store: SqliteStore, path: Path) -> None:
    make(store, "s")
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    assert ask(path, "PRAGMA application_id") == [(sqlite_pool.APPLICATION_ID,)]
    assert ask(path, "PRAGMA user_version") == [(sqlite_pool.SCHEMA_VERSION,)]
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_file_of_a_newer_version_is_refused_and_left_alone(store: SqliteStore, path: Path) -> None:
    make(store, "s")
    store.close()
    ask(path, "PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StorageError, match=r"newer version \(tables 99, this one knows 1\); upgrade triggers-nb"):
        SqliteStore(path).counts("s")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE session (uid)", "PRAGMA user_version = 1", "PRAGMA user_version = 7"]
)
def test_the_database_of_another_application_is_refused_and_left_alone(path: Path, statement: str) -> None:
    ask(path, statement)
    before = path.read_bytes()
    with pytest.raises(StorageError, match="database of another application"):
        SqliteStore(path).commit("s", change())
    assert path.read_bytes() == before
    assert ask(path, "PRAGMA journal_mode") == [("delete",)]


def test_an_empty_file_is_taken(store: SqliteStore, path: Path) -> None:
    path.touch()
    make(store, "s")
    assert ask(path, "SELECT uid FROM session") == [("s",)]


@pytest.mark.parametrize("content", [b"no database" * 500, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = SqliteStore(path)
    for call in (lambda: store.read("s", ["a"]), lambda: store.commit("s", change()), lambda: list(store.summaries())):
        with pytest.raises(StorageError, match=r"sessions\.db: .*; .*(another file|nothing was written)"):
            call()
    assert path.read_bytes() == content


def test_a_directory_is_refused(path: Path) -> None:
    with pytest.raises(StorageUrlError, match="this is a directory"):
        SqliteStore(path.parent)
    with pytest.raises(StorageUrlError, match=r"there is no directory .*/missing; make it"):
        SqliteStore(path.parent / "missing" / "sessions.db")


def test_a_directory_that_goes_away_is_an_error_that_says_so(tmp_path: Path) -> None:
    directory = tmp_path / "directory"
    directory.mkdir()
    store = SqliteStore(directory / "sessions.db")
    directory.rmdir()
    with pytest.raises(StorageError, match=r"unable to open database file; check that its directory exists"):
        make(store, "s")


def test_a_name_that_is_no_text_changes_nothing(store: SqliteStore) -> None:
    make(store, "s")
    for call in (
        lambda: store.read("\ud800", ["a"]),
        lambda: store.commit("s", change_after(seen(store, "s"), writes={"a": b"1", "\ud800": b"2"})),
        lambda: store.acquire_lock("\ud800", b"mine", 1),
    ):
        with pytest.raises(UnicodeEncodeError):
            call()
    assert seen(store, "s", "a").cells == {}
    assert seen(store, "s").seq == 1


def test_an_error_in_the_middle_of_a_commit_undoes_all_of_it(store: SqliteStore, path: Path) -> None:
    make(store, "s", writes={"a": b"1"}, counts={"n": 1})
    ask(path, "CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'no more events'); END")
    before = store.state("s")
    parts = {"writes": {"a": b"2"}, "counts": {"n": 1}, "due": {"x": (0, b"")}}
    commit = change_after(seen(store, "s", "a"), "a", **parts)  # type: ignore[arg-type]
    with pytest.raises(StorageError, match="no more events; nothing was written"):
        store.commit("s", commit)
    assert store.state("s") == before
    ask(path, "DROP TRIGGER broken")
    assert applied(store.commit("s", commit)).seq == 2


def test_a_file_that_another_process_keeps_locked_is_an_error_in_time(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(store, "s")
    monkeypatch.setattr(sqlite_pool, "BUSY_TIMEOUT_S", 0.03)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="database is locked; another process"):
        store.commit("s", change_after(seen(store, "s")))
    assert seen(store, "s").seq == 1
    other.execute("ROLLBACK")
    other.close()
    assert applied(store.commit("s", change_after(seen(store, "s")))).seq == 2


def test_a_commit_waits_for_another_process_that_is_at_work(store: SqliteStore, path: Path) -> None:
    make(store, "s")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.02, other.execute, ["ROLLBACK"])
    timer.start()
    assert applied(store.commit("s", change_after(seen(store, "s")))).seq == 2
    timer.join()
    other.close()


def test_rows_of_what_expired_or_was_deleted_are_removed(store: SqliteStore, path: Path) -> None:
    for number in range(PURGE_BATCH + 5):
        make(store, f"s{number}", writes={"a": b"1"}, timeout_s=0)
    assert store.acquire_lock("s0", b"dead", 0) == 0
    assert list(store.summaries()) == []
    make(store, "last", due={"x": (0, b"")})
    make(store, "deleted", due={"x": (0, b"")})
    assert store.delete("deleted")
    for table in ("session", "cell", "event", "due"):
        assert ask(path, f"SELECT count(*) FROM {table}") == [(1,)]
    assert ask(path, "SELECT count(*) FROM lock") == [(0,)]


def test_an_expired_session_is_made_anew_however_many_others_expired(store: SqliteStore, path: Path) -> None:
    make(store, "s", writes={"a": b"1"}, timeout_s=1000)
    for number in range(3 * PURGE_BATCH):
        make(store, f"s{number}", timeout_s=1000)
    ask(path, "UPDATE session SET expires_us = 1")
    again = make(store, "s", writes={"b": b"2"})
    assert again.seq == 1
    assert seen(store, "s", "a", "b").cells == {"b": (1, b"2")}


def test_a_file_that_was_deleted_is_noticed(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_pool, "LOOK_S", 0.0)
    make(store, "s")
    for file in path.parent.iterdir():
        file.unlink()
    assert store.counts("s") is None
    make(store, "s")
    assert ask(path, "SELECT uid FROM session") == [("s",)]


def test_a_file_that_was_replaced_is_noticed(store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_pool, "LOOK_S", 0.0)
    other = SqliteStore(path.with_name("other.db"))
    make(other, "other")
    other.close()
    make(store, "s")
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    shutil.move(other.path, path)
    assert [summary.uid for summary in store.summaries()] == ["other"]


def test_connections_are_shared_by_threads_one_after_the_other(store: SqliteStore, path: Path) -> None:
    for _ in range(5):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(increment, store, "s", 3).result()
    increment(store, "s", 1)
    assert store.counts("s") == {"n": 16}
    assert len(open_files(path)) == 1


def test_no_connection_is_left_open(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store = SqliteStore(path)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(increment, [store] * 4, ["s0", "s1", "s2", "s3"], [5] * 4))
        assert open_files(path)
        store.close()
        assert open_files(path) == []
        increment(store, "s0", 1)
        del store
        gc.collect()
        assert open_files(path) == []


def open_files(path: Path) -> list[str]:
    """List this process's open descriptors of a file."""
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return [link.name for link in links if os.path.realpath(link) == str(path)]


def in_child(work: Callable[[], object]) -> int:
    """Fork, and return the exit code of a child that does this: 0 if it raises nothing."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_child_inherits_no_connection(store: SqliteStore, path: Path) -> None:
    make(store, "s")
    assert open_files(path)
    seen_by_child = path.with_name("seen")
    assert in_child(lambda: seen_by_child.write_text(repr(open_files(path)))) == 0
    assert seen_by_child.read_text() == "[]"
    assert seen(store, "s").seq == 1


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_opens_its_own_connections(store: SqliteStore, path: Path) -> None:
    increment(store, "s", 3)
    stop = threading.Event()
    numbers = iter(range(10_000_000))

    def keep_busy() -> None:
        while not stop.is_set():
            increment(store, f"busy {next(numbers) % 5}", 1)

    threads = [threading.Thread(target=keep_busy) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(10):
            assert in_child(lambda: increment(store, "s", 5)) == 0
            increment(store, "s", 1)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert store.counts("s") == {"n": 63}
    assert ask(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_process_ends_without_a_warning(path: Path) -> None:
    program = f"""
import threading
from triggers_nb.storages.urls import open_store
store = open_store("sqlite:///{path}")
threading.Thread(target=store.counts, args=("s",)).start()
print(store.counts("s"))
"""
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "None\n", "")
    assert not path.with_name(path.name + "-wal").exists()


@pytest.fixture
def settled(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteStore]:
    """A store on a file that was closed, in a directory that is not writable: not even for root, who always may."""
    writer = SqliteStore(path)
    make(writer, "s", writes={"a": b"1"})
    writer.close()
    path.parent.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda where, mode: (Path(where), mode) != (path.parent, os.W_OK))
    yield SqliteStore(path)
    path.parent.chmod(0o755)


def test_a_closed_file_in_a_read_only_directory_can_be_read(settled: SqliteStore, path: Path) -> None:
    view = settled.read("s", ["a"])
    assert view is not None
    assert view.cells["a"].data == b"1"
    assert settled.uids() == ["s"]
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_change_in_a_read_only_directory_is_refused(settled: SqliteStore, path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(StorageError, match="readonly database; this process may not write it"):
        settled.delete("s")
    assert settled.uids() == ["s"]
    assert path.read_bytes() == before


def test_an_empty_file_in_a_read_only_directory_is_told(settled: SqliteStore, path: Path) -> None:
    path.write_bytes(b"")
    with pytest.raises(StorageError, match="holds no sessions, and none can be written"):
        settled.uids()
