"""URLs of Redis servers, and what of them may be shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote

from redis import connection

from triggers_nb.errors import StorageUrlError

CLUSTER: Final = "redis+cluster"

_parse: Final[Callable[[str], dict[str, Any]]] = connection.parse_url
_DEFAULT_PORT: Final = 6379
_EXAMPLES: Final = (
    "redis://host:6379/0, rediss://user:password@host:6379/0, unix:///path/to/redis.sock?db=0 "
    "or redis+cluster://host:7000,host:7001"
)
#: Shorter credentials are hidden only where they stand alone: "r" is in most words.
_SHORT: Final = 4
#: Options of a URL that cannot be chosen, as replies would be read wrongly with others.
_FIXED: Final = {"protocol": 2, "decode_responses": False}
#: What the client would take from the options, and we from the place that is meant for it.
_NOT_OPTIONS: Final = {"host", "port", "path"}
#: Characters that the client leaves out of a URL without a word.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class RedisUrl(NamedTuple):
    """A URL, taken apart."""

    #: Without credentials and options: how the server is shown and identified.
    public: str
    #: Keyword arguments of a connection, host and port of the first server included.
    options: dict[str, Any]
    #: Host and port of each server named by the URL of a cluster; empty for any other.
    nodes: tuple[tuple[str, int], ...]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.public!r})"

    def hide_secrets(self, text: str) -> str:
        """Take this URL's credentials out of a text."""
        for name in ("password", "username", "ssl_password"):
            secret = self.options.get(name)
            if secret:
                pattern = re.escape(str(secret))
                if len(str(secret)) < _SHORT:
                    pattern = rf"(?<!\w){pattern}(?!\w)"
                text = re.sub(pattern, "[redacted]", text)
        return text


def parse_redis_url(url: str) -> RedisUrl:
    """Take a URL apart.

    Raises
    ------
    StorageUrlError
        If it cannot be used. The message never holds a part of it that may be secret.

    Examples
    --------
    >>> parse_redis_url("redis://user:secret@localhost")
    RedisUrl('redis://localhost:6379/0')
    """
    scheme, _, rest = url.partition("://")
    if problem := _find_problem(scheme, rest):
        raise StorageUrlError(f"a {scheme}:// URL {problem}; expected one such as {_EXAMPLES}")
    hosts: list[str] = []
    try:
        if scheme == CLUSTER:
            credentials, netloc, tail = _split(rest)
            hosts = netloc.split(",")
            url = f"redis://{credentials}{hosts[0]}{tail}"
        options = _parse(url)
        nodes = tuple(sorted(_host_and_port(host) for host in hosts))
    except (ValueError, TypeError):
        raise StorageUrlError(f"a {scheme}:// URL cannot be read; expected one such as {_EXAMPLES}") from None
    if scheme == CLUSTER and options.get("db", 0) != 0:
        raise StorageUrlError(f"a Redis Cluster has only database 0, the URL names database {options['db']}")
    if scheme == "unix" and not options.get("path"):
        raise StorageUrlError("a unix:// URL lacks the path of the socket; expected unix:///path/to/redis.sock?db=0")
    options.update(_FIXED)
    return RedisUrl(_public(scheme, options, nodes), options, nodes)


def _find_problem(scheme: str, rest: str) -> str | None:
    """Say what the client would overlook, and go elsewhere than was meant. What it says holds no part of the URL."""
    _, netloc, tail = _split(rest)
    path, _, query = tail.partition("?")
    if _CONTROL.search(rest) or re.search(r"\s", netloc):
        return "holds a line break or a space (is there one at its end?)"
    if "#" in tail:
        return "holds a #, which ends it: in a password write %23"
    if scheme == "unix":
        return "has to have three slashes before the path of the socket" if netloc else _find_option_problem(query, "")
    if scheme != CLUSTER and "," in netloc:
        return f"names several hosts, which only {CLUSTER}:// does"
    if scheme == CLUSTER and not all(netloc.split(",")):
        return "names no host, or has a comma too many"
    if re.search(r":0+(,|$)", netloc):
        return "names port 0"
    if not re.fullmatch(r"/?|/[0-9]+/?", path):
        return "names a database that is no number (in a password, write %2F for a /)"
    return _find_option_problem(query, path.strip("/"))


def _find_option_problem(query: str, db: str) -> str | None:
    """Say what is wrong with the options, `db` being the database that the path names."""
    try:
        options = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else []
    except ValueError:
        return "has options that are not of the form name=value"
    names = [name for name, _ in options]
    if len(set(names)) < len(names) or ("db" in names and db):
        return "says the same twice"
    if not all(value for _, value in options):
        return "has an option without a value"
    if not _NOT_OPTIONS.isdisjoint(names):
        return "has its host, port or path as an option"
    if not re.fullmatch("[0-9]+", dict(options).get("db", "0")):
        return "names a database that is no number"
    return None


def _split(rest: str) -> tuple[str, str, str]:
    """Credentials with their ``@``, hosts, and what follows them."""
    end = min((i for i in map(rest.find, "/?#") if i >= 0), default=len(rest))
    credentials, at, hosts = rest[:end].rpartition("@")
    return credentials + at, hosts, rest[end:]


def _host_and_port(netloc: str) -> tuple[str, int]:
    options = _parse(f"redis://{netloc}")
    return options.get("host", "localhost"), options.get("port", _DEFAULT_PORT)


def _public(scheme: str, options: dict[str, Any], nodes: tuple[tuple[str, int], ...]) -> str:
    db = options.get("db", 0)
    if scheme == "unix":
        return f"unix://{quote(options['path'])}?db={db}"
    if scheme == CLUSTER:
        return f"{scheme}://{','.join(_shown(host, port) for host, port in nodes)}"
    return f"{scheme}://{_shown(options.get('host', 'localhost'), options.get('port', _DEFAULT_PORT))}/{db}"


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
