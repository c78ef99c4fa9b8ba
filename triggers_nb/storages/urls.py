"""Which store a URL means."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from triggers_nb.errors import StorageUrlError, brief, suggest
from triggers_nb.storages.store import Store

#: Says which storage is used where none is named.
URL_VARIABLE: Final = "TRIGGERS_URL"

#: File of the storage that is used where nothing names another.
DEFAULT_FILE: Final = "triggers.db"

_EXAMPLES: Final = "sqlite:///triggers.db, sqlite:////absolute/path.db, memory://name or redis://host:6379/0"

_stores: Final[dict[str, Store]] = {}


def default_url() -> str:
    """Return what ``TRIGGERS_URL`` says, else ``triggers.db`` in the working directory; a file's path is absolute.

    Raises
    ------
    StorageUrlError
        If ``TRIGGERS_URL`` cannot be used, or is not set in a process where Django is configured.
    """
    url = os.environ.get(URL_VARIABLE)
    if not url and _is_django_configured():
        raise StorageUrlError(
            "no storage is named, and Django is configured here: sessions in its cache are not available in this "
            f"release, and a file {DEFAULT_FILE} in the working directory is hardly meant. Set {URL_VARIABLE}, or pass "
            f"a URL such as {_EXAMPLES}"
        )
    return absolute_url(url or f"sqlite:///{DEFAULT_FILE}")


def _is_django_configured() -> bool:
    """Whether this process has configured Django; nothing is imported for that."""
    return bool(getattr(getattr(sys.modules.get("django.conf"), "settings", None), "configured", False))


def absolute_url(url: str) -> str:
    """Return the URL that means the same store from every working directory.

    Examples
    --------
    >>> absolute_url("memory://example")
    'memory://example'
    >>> absolute_url("SQLite:////tmp/../example.db")
    'sqlite:////example.db'

    Raises
    ------
    StorageUrlError
        If it names no store.
    """
    scheme, rest = _split(url)
    if scheme == "sqlite":
        return f"sqlite:///{_sqlite_path(url, rest).resolve()}"
    if scheme == "memory" and not rest:
        raise StorageUrlError("memory://: the store has no name; expected a name for it, such as memory://example")
    return f"{scheme}://{rest}"


def open_store(url: str, *, must_exist: bool = False) -> Store:
    """Return this process's store at a URL: the same object each time.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.db``, ``sqlite:////absolute.db``, ``memory://name``, ``redis://…``, ``rediss://…``,
        ``unix://…`` or ``redis+cluster://…``. A file is made when it is first used.
    must_exist : bool
        Whether a file that is not there is an error.

    Raises
    ------
    StorageUrlError
        If it names no store, or the file is not there although it must be.

    Examples
    --------
    >>> open_store("memory://example") is open_store("memory://example")
    True
    >>> open_store("sqlight:///triggers.db")
    Traceback (most recent call last):
    triggers_nb.errors.StorageUrlError: sqlight:///triggers.db: no storage has the scheme 'sqlight'. Did you mean
    'sqlite'? Expected a URL such as sqlite:///triggers.db, ...
    """
    absolute = absolute_url(url)
    path = absolute.removeprefix("sqlite:///")
    if must_exist and path != absolute and not Path(path).exists():
        raise StorageUrlError(f"{absolute}: there is no file {path}, and nothing was made; check the path")
    # Without a lock, which a fork could leave locked for ever: of two stores made at once, one is kept.
    return _stores.get(absolute) or _stores.setdefault(absolute, _OPENERS[absolute.partition(":")[0]](absolute))


def _split(url: object) -> tuple[str, str]:
    if not isinstance(url, str):
        raise StorageUrlError(f"{brief(url)} is no storage URL; expected a str such as {_EXAMPLES}")
    scheme, sign, rest = url.partition("://")
    scheme = scheme.lower()
    if not sign:
        raise StorageUrlError(f"{_shown(url)}: this is no URL; expected one such as {_EXAMPLES}")
    if scheme == "django":
        raise StorageUrlError(
            f"{_shown(url)}: sessions in a Django cache are not available in this release; "
            f"expected a URL such as {_EXAMPLES}"
        )
    if scheme not in _OPENERS:
        near = suggest(scheme, _OPENERS) or "."
        raise StorageUrlError(
            f"{_shown(url)}: no storage has the scheme {brief(scheme)}{near} Expected a URL such as {_EXAMPLES}"
        )
    return scheme, rest


def _sqlite_path(url: str, rest: str) -> Path:
    """Take the path from what follows ``sqlite://``: all after the third slash, as it stands."""
    path = Path(rest[1:])
    if not rest or rest == "/" or path.name == ":memory:":
        raise StorageUrlError(
            f"{url}: this names no file; expected sqlite:///relative.db or sqlite:////absolute.db, "
            "or memory://name for a store in memory"
        )
    if rest[0] != "/":
        raise StorageUrlError(f"{url}: expected three slashes before a path: sqlite:///{rest}")
    if "?" in rest:
        raise StorageUrlError(f"{url}: expected a path without options; leave out {rest[rest.index('?') :]!r}")
    if "\0" in rest:
        raise StorageUrlError(f"{brief(url)}: expected a path without a NUL character")
    try:
        path.is_dir()
    except OSError as error:
        raise StorageUrlError(f"{brief(url)}: this cannot be the path of a file: {error.strerror}") from error
    return path


def _open_sqlite(url: str) -> Store:
    from triggers_nb.storages.sqlite import SqliteStore

    return SqliteStore(url.removeprefix("sqlite:///"))


def _open_memory(url: str) -> Store:
    from triggers_nb.storages.memory import open_memory

    return open_memory(url.removeprefix("memory://"))


def _open_redis(url: str) -> Store:
    from triggers_nb.storages.redis import open_redis

    return open_redis(url)


_OPENERS: Final[dict[str, Callable[[str], Store]]] = {
    "sqlite": _open_sqlite,
    "memory": _open_memory,
    "redis": _open_redis,
    "rediss": _open_redis,
    "unix": _open_redis,
    "redis+cluster": _open_redis,
}


def _shown(url: str) -> str:
    from triggers_nb.redaction.urls import safe_url  # takes time to load, and only an error needs it

    return brief(safe_url(url))[1:-1]
