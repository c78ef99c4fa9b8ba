"""Which store a URL means, and what is said of one that means none."""

import subprocess
import sys
from pathlib import Path

import pytest

from triggers_nb.errors import StorageError, StorageUrlError
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.sqlite import SqliteStore
from triggers_nb.storages.urls import absolute_url, default_url, open_store


@pytest.fixture(autouse=True)
def in_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_store_is_opened_once_per_process_and_url(tmp_path: Path) -> None:
    store = open_store("sqlite:///a.db")
    assert isinstance(store, SqliteStore)
    assert store.url == f"sqlite:///{tmp_path}/a.db"
    for same in (
        f"sqlite:////{tmp_path}/a.db",
        "sqlite:///./a.db",
        f"sqlite:///../{tmp_path.name}/a.db",
        store.storage_id,
    ):
        assert open_store(same) is store
    assert open_store("sqlite:///b.db") is not store


def test_a_relative_path_starts_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "there"
    there.mkdir()
    assert open_store("sqlite:///there/a.db").url == f"sqlite:///{there}/a.db"
    here = open_store("sqlite:///a.db")
    monkeypatch.chdir(there)
    assert open_store("sqlite:///a.db").url == f"sqlite:///{there}/a.db"
    assert here.url == f"sqlite:///{tmp_path}/a.db"


@pytest.mark.parametrize("name", ["mit Leerzeichen.db", "50%20.db", "#x.db", "ü雪.db", "user:secret@x.db", "~.db"])
def test_a_path_is_taken_as_it_stands(tmp_path: Path, name: str) -> None:
    store = open_store(f"sqlite:///{name}")
    assert store.url == f"sqlite:///{tmp_path}/{name}"
    assert store.counts("s") is None
    assert (tmp_path / name).exists()
    store.close()


def test_stores_in_memory_are_found_by_name() -> None:
    store = open_store("memory://test urls")
    assert isinstance(store, MemoryStore)
    assert store.url == store.storage_id == "memory://test urls"
    assert open_store("MEMORY://test urls") is store
    assert open_store("memory://test urls/2") is not store


def test_the_default_is_a_file_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_url() == f"sqlite:///{tmp_path}/triggers.db"
    monkeypatch.setenv("TRIGGERS_URL", "")
    assert default_url() == f"sqlite:///{tmp_path}/triggers.db"
    monkeypatch.setenv("TRIGGERS_URL", "sqlite:///other.db")
    assert default_url() == f"sqlite:///{tmp_path}/other.db"
    monkeypatch.setenv("TRIGGERS_URL", "redis://:secret@cache:6379/0")
    assert default_url() == "redis://:secret@cache:6379/0"
    monkeypatch.setenv("TRIGGERS_URL", "triggers.db")
    with pytest.raises(StorageUrlError, match=r"triggers\.db: this is no URL"):
        default_url()


CONFIGURE = """
import sys
from django.conf import settings
from triggers_nb import CacheStorageBackend
print(CacheStorageBackend("order-17").store.url)
settings.configure()
try:
    CacheStorageBackend("order-17")
except ValueError as error:
    print(error)
print(CacheStorageBackend("order-17", "memory://named").store.url)
"""


def test_where_django_is_configured_one_has_to_say_which_storage(tmp_path: Path) -> None:
    run = subprocess.run([sys.executable, "-c", CONFIGURE], capture_output=True, text=True, check=True)

    before, refusal, named = run.stdout.splitlines()
    assert before == f"sqlite:///{tmp_path}/triggers.db"
    assert "Django is configured here" in refusal
    assert "Set TRIGGERS_URL, or pass a URL such as sqlite:///triggers.db" in refusal
    assert named == "memory://named"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "this is no URL; expected one such as sqlite:///triggers.db"),
        ("triggers.db", "this is no URL"),
        ("sqlite:/triggers.db", "this is no URL"),
        ("sqlite:triggers.db", "this is no URL"),
        ("://", "no storage has the scheme ''"),
        ("sqllite:///triggers.db", r"no storage has the scheme 'sqllite'. Did you mean 'sqlite'\? Expected"),
        ("postgresql://host/db", "no storage has the scheme 'postgresql'. Expected a URL such as"),
        ("file:///triggers.db", "no storage has the scheme 'file'"),
        ("django://default", "Django cache are not available in this release; expected a URL such as"),
        ("sqlite://", "names no file; expected sqlite:///relative.db"),
        ("sqlite:///", "names no file"),
        ("sqlite:////", "names no file|is a directory"),
        ("sqlite:///:memory:", "memory://name for a store in memory"),
        ("sqlite://triggers.db", "expected three slashes before a path: sqlite:///triggers.db"),
        ("sqlite://host/triggers.db", "expected three slashes"),
        ("sqlite:///triggers.db?timeout=5", r"expected a path without options; leave out '\?timeout=5'"),
        ("sqlite:///a\0b.db", "without a NUL character"),
        ("sqlite:///.", "is a directory"),
        (f"sqlite:///{'x' * 300}.db", "cannot be the path of a file: File name too long"),
        ("sqlite:///missing/triggers.db", "there is no directory .*/missing; make it"),
        ("memory://", "no name; expected a name for it, such as memory://example"),
    ],
)
def test_a_url_that_means_no_store_is_refused_with_what_would_do(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StorageUrlError, match=message) as caught:
        open_store(url)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, StorageError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", [None, 6379, b"sqlite:///triggers.db", Path("triggers.db"), ["sqlite:///triggers.db"]])
def test_what_is_no_text_is_no_url(url: object) -> None:
    with pytest.raises(StorageUrlError, match=r"is no storage URL; expected a str such as sqlite:///triggers\.db"):
        open_store(url)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:hunter2@host/db",
        "reddis://:hunter2@host:6379/0",
        "redis:/ada:hunter2@host",
        "django://ada:hunter2@default",
        "mongodb://host/?password=hunter2",
        "x" * 300 + "://ada:hunter2@host/db",
    ],
)
def test_no_message_shows_credentials(url: str) -> None:
    with pytest.raises(StorageUrlError) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_an_absolute_url_is_its_own_absolute_url(tmp_path: Path) -> None:
    for url in ("sqlite:///a.db", "memory://x", "redis://cache/0", "unix:///run/redis.sock", "redis+cluster://a:1,b:2"):
        assert absolute_url(absolute_url(url)) == absolute_url(url)
    assert absolute_url("sqlite:///a.db") == f"sqlite:///{tmp_path}/a.db"
