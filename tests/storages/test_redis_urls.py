"""URLs of Redis: what they mean, what of them is shown, and which are refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import triggers_nb as tnb
from tests.ports import free_port
from tests.storages.contract import make
from tests.storages.redis_servers import RedisPlace, RedisServer
from triggers_nb.errors import StorageError, StorageUrlError
from triggers_nb.storages.redis import RedisStore
from triggers_nb.storages.redis_checks import find_risks, parse_info
from triggers_nb.storages.redis_urls import parse_redis_url
from triggers_nb.storages.urls import open_store

TLS = Path(__file__).parent / "tls"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://", "redis://localhost:6379/0"),
        ("redis://localhost", "redis://localhost:6379/0"),
        ("redis://LOCALHOST:6380/", "redis://localhost:6380/0"),
        ("redis://host/3", "redis://host:6379/3"),
        ("redis://host?db=3", "redis://host:6379/3"),
        ("redis://user:pass@host/1?password=other&socket_timeout=3", "redis://host:6379/1"),
        ("redis://:p%40ss@[::1]:7000", "redis://[::1]:7000/0"),
        ("rediss://user:pass@host?ssl_password=secret", "rediss://host:6379/0"),
        ("unix:///var/run/redis.sock", "unix:///var/run/redis.sock?db=0"),
        ("unix://user:pass@/var/run/redis.sock?db=2", "unix:///var/run/redis.sock?db=2"),
        ("redis+cluster://host:7000", "redis+cluster://host:7000"),
        ("redis+cluster://user:p,a@b:7001,[::1]:7000,a", "redis+cluster://[::1]:7000,a:6379,b:7001"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    store = RedisStore(url)
    assert store.url == shown
    assert repr(store) == f"RedisStore('{shown}')"
    assert not store.embedded


@pytest.mark.parametrize(
    "url",
    [
        "redis://user:se/cret@host",
        "redis://user:se#cret@host",
        "redis://host:secret",
        "redis://user:secret@host:99999999",
        "redis://host?socket_timeout=secret",
        "redis+cluster://user:secret@host:port",
        "redis+cluster://user:secret@host/1",
        "redis+cluster://user:secret@host?db=1",
        "unix://",
        "unix://user:secret@",
        "redis://[secret",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(StorageUrlError) as caught:
        RedisStore(url)
    assert "secret" not in str(caught.value)
    assert "expected" in str(caught.value) or "Redis Cluster" in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        *((f"redis://host/{db}", "no number") for db in ("abc", "5x", "-1", "+1", "1_0", " 1", "0/1", "%31", "٣")),
        *((f"rediss://host?db={db}", "no number") for db in ("5x", "-1", "+1", "1_0")),
        ("redis://host/1?db=2", "twice"),
        ("redis://host?db=1&db=2", "twice"),
        ("redis://host?db=", "without a value"),
        ("redis://host?db", "name=value"),
        ("redis://host?port=6380", "as an option"),
        ("redis://host?host=other", "as an option"),
        ("unix:///run/redis.sock?path=/other", "as an option"),
        ("redis://host/0#1", "%23"),
        ("unix:///run/redis.sock#db=1", "%23"),
        ("redis://host:0", "port 0"),
        ("redis://host:00/0", "port 0"),
        ("redis://a,b/0", "several hosts"),
        ("redis://host\n/0", "line break"),
        ("redis://host/0\n", "line break"),
        ("redis:// host/0", "space"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://user:secret@run/redis.sock", "three slashes"),
        ("redis+cluster://", "no host"),
        ("redis+cluster://a:7000,,b:7001", "comma too many"),
        ("redis+cluster://a:7000,", "comma too many"),
        ("redis+cluster://a:7000,b:0", "port 0"),
        ("redis+cluster://a:7000/abc", "no number"),
    ],
)
def test_nothing_of_a_url_is_overlooked(url: str, problem: str) -> None:
    with pytest.raises(StorageUrlError, match=problem) as caught:
        open_store(url)
    assert "secret" not in str(caught.value)
    assert "expected one such as redis://host:6379/0" in str(caught.value)


def test_nor_of_the_url_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGERS_URL", "redis://localhost:6379/5x")
    with pytest.raises(StorageUrlError, match="no number"):
        tnb.connect()
    with pytest.raises(StorageUrlError, match="no number"):
        tnb.CacheStorageBackend("order-17")


def test_an_option_that_nobody_knows_is_refused(redis_place: RedisPlace) -> None:
    store = RedisStore(f"{redis_place.url}?colour=red&password=secret")
    with pytest.raises(StorageUrlError, match="colour") as caught:
        store.read("s", ["head"])
    assert "secret" not in str(caught.value)


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_credentials_are_ever_shown(user: str, password: str) -> None:
    from urllib.parse import quote

    try:
        name, word = quote(user, safe=""), quote(password, safe="")
    except UnicodeEncodeError:
        return
    parsed = parse_redis_url(f"redis://{name}:{word}@example.org:7/3")
    assert parsed.public == "redis://example.org:7/3"
    assert repr(parsed) == "RedisUrl('redis://example.org:7/3')"
    assert (parsed.options["username"], parsed.options["password"]) == (user, password)
    assert parsed.hide_secrets(f"<{password}>") != f"<{password}>"


def test_short_credentials_are_hidden_where_they_stand_alone() -> None:
    parsed = parse_redis_url("redis://f:er@host")
    text = parsed.hide_secrets("Error 111 connecting: Connection refused for user 'f', password er.")
    assert text == "Error 111 connecting: Connection refused for user '[redacted]', password [redacted]."


def test_settings_in_the_url_reach_the_connection(redis_place: RedisPlace) -> None:
    store = RedisStore(f"{redis_place.url}?client_name=notebook&db=5&decode_responses=yes")
    make(store, "s")
    [client] = [each for each in redis_place.servers[0].admin.client_list() if each["name"] == "notebook"]
    assert client["db"] == "5"
    assert store.read("s", ["head"]) is not None
    assert RedisStore(redis_place.url).read("s", ["head"]) is None


def test_encrypted_connections() -> None:
    certificate, key = str(TLS / "server.crt"), str(TLS / "server.key")
    files = ("--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate)
    port = free_port()
    server = RedisServer(*files, "--tls-auth-clients", "no", "--tls-port", str(port))
    try:
        store = RedisStore(f"rediss://localhost:{port}?ssl_ca_certs={certificate}")
        assert make(store, "s").seq == 1
        assert RedisStore(server.url).read("s", ["head"]) is not None
        with pytest.raises(StorageError, match="certificate verify failed"):
            RedisStore(f"rediss://localhost:{port}").read("s", ["head"])
    finally:
        server.remove()


def test_what_a_server_says_of_itself() -> None:
    info = parse_info(b"# Server\r\nredis_version:7.0.15\r\nmaxmemory_policy:volatile-lru\r\naof_enabled:0\r\n\r\n")
    assert len(find_risks(info, b"")) == 2
    assert len(find_risks(info, b"3600 1")) == 1
    assert len(find_risks({**info, "aof_enabled": "1"}, b"")) == 1
    assert len(find_risks({**info, "maxmemory_policy": "noeviction"}, None)) == 0
    assert parse_info(ValueError("forbidden")) == {}
    assert find_risks({}, None) == []


@pytest.mark.parametrize("version", ["5.0.14", "6.0.16"])
def test_an_old_server_is_refused(version: str) -> None:
    with pytest.raises(StorageError, match=r"too old, expected 6\.2 or newer"):
        find_risks({"redis_version": version}, None)


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "8.0.1", "255.255.255", "unknown", ""])
def test_a_new_server_is_not_refused(version: str) -> None:
    assert find_risks({"redis_version": version}, None) == []
