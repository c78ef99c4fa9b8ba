"""What a person who reads a redacted text, value, URL or repr sees."""

import collections
import datetime
import pickle
import re
import uuid
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from triggers_nb.core.codec import encode_value
from triggers_nb.errors import InvalidValue
from triggers_nb.redaction import Redactor, contains_marker, safe_url
from triggers_nb.redaction import keys as known

MARKER = re.compile(r"\[redacted:[0-9a-f]{12}\]")
KEY = b"0123456789abcdef"
CORPUS = Path(__file__).parent / "redaction_corpus"


@pytest.fixture
def redact() -> Redactor:
    return Redactor(KEY)


def hidden(text: object) -> str:
    """What is left when every marker becomes an ellipsis: the tests below are easier to read so."""
    assert isinstance(text, str)
    return MARKER.sub("…", text)


# --- the key ------------------------------------------------------------------------------------------------------


def test_equal_values_have_equal_markers_under_the_same_key_only() -> None:
    one, same, other = Redactor(KEY), Redactor(KEY), Redactor(b"another key of its own")
    assert one.text("password=hunter2") == same.text("password=hunter2")
    assert one.text("password=hunter2") != other.text("password=hunter2")
    assert one.text("password=hunter2") != one.text("password=hunter3")


def test_without_a_key_every_redactor_has_its_own() -> None:
    assert Redactor().value("hunter2", key="password") != Redactor().value("hunter2", key="password")


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGERS_REDACTION_KEY", KEY.decode())
    assert Redactor.from_environment().text("token=abc12345") == Redactor(KEY).text("token=abc12345")


@pytest.mark.parametrize("empty", ["", None])
def test_without_the_variable_the_key_is_random(monkeypatch: pytest.MonkeyPatch, empty: str | None) -> None:
    if empty is not None:
        monkeypatch.setenv("TRIGGERS_REDACTION_KEY", empty)
    first, second = Redactor.from_environment(), Redactor.from_environment()
    assert first.text("token=abc12345") != second.text("token=abc12345")


def test_a_key_that_can_be_guessed_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGERS_REDACTION_KEY", "tr0ub4dor")
    with pytest.raises(ValueError, match=r"has 9 characters, expected at least 16.*token_hex") as caught:
        Redactor.from_environment()
    assert "tr0ub4dor" not in str(caught.value)


def test_the_key_is_neither_shown_nor_stored(redact: Redactor) -> None:
    assert KEY.decode() not in repr(redact)
    with pytest.raises(TypeError, match="not to be stored"):
        pickle.dumps(redact)


# --- names --------------------------------------------------------------------------------------------------------

SENSITIVE = (CORPUS / "sensitive_names.txt").read_text("utf-8").split()

ORDINARY = (CORPUS / "ordinary_names.txt").read_text("utf-8").split()


@pytest.mark.parametrize("name", SENSITIVE)
def test_values_under_sensitive_names_are_replaced_whole(redact: Redactor, name: str) -> None:
    assert MARKER.fullmatch(redact.value({name: "Zurich 1"})[name])


@pytest.mark.parametrize("name", ORDINARY)
def test_values_under_ordinary_names_stay(redact: Redactor, name: str) -> None:
    assert redact.value({name: "Zurich 1"}) == {name: "Zurich 1"}


def test_every_name_is_looked_for_in_texts_too() -> None:
    """Given all names that are hidden in values, when a text has one of them, then its line is looked at."""
    names = known._SECRET | known._PERSONAL | set(known._WHOLE)
    unseen = [name for name in names if not any(core in name for core in known.CORES)]
    assert unseen == []


def test_extra_names_count_in_any_spelling(redact: Redactor) -> None:
    more = Redactor(KEY, extra_keys=["crew_id"])
    for name in ("crew_id", "crewId", "Crew-ID", "CREW_ID", "next_crew_id"):
        assert MARKER.fullmatch(more.value({name: 4711})[name])
        assert redact.value({name: 4711}) == {name: 4711}
    assert (
        hidden(more.text("crew_id=4711, crewId: smith; {'crew_id': 'kim'}")) == "crew_id=…, crewId: …; {'crew_id': '…'}"
    )


def test_extra_names_of_any_script_count() -> None:
    assert hidden(Redactor(extra_keys=["座席"]).text("{'座席': '23A'}")) == "{'座席': '…'}"


def test_extra_names_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(TypeError, match=r"expected several names; write \['crew_id'\]"):
        Redactor(extra_keys="crew_id")
    with pytest.raises(ValueError, match="found the extra key '42', expected a name with letters"):
        Redactor(extra_keys=["crew_id", "42"])


# --- values -------------------------------------------------------------------------------------------------------


class Leg(NamedTuple):
    flight: str
    contact: str


class Loud(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("never called")


class Rude:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_none_booleans_and_what_is_empty_stay(redact: Redactor) -> None:
    value = {"password": None, "token": "", "email": [], "cookie": {}, "secret": False, "phone": True, "pin": b""}
    assert redact.value(value) == value


def test_numbers_dates_and_containers_under_a_sensitive_name_become_one_marker(redact: Redactor) -> None:
    value = {"pin": 1234, "date_of_birth": datetime.date(1980, 12, 31), "credentials": {"user": "ada", "n": [1]}}
    assert [MARKER.fullmatch(item) is not None for item in redact.value(value).values()] == [True] * 3


def test_counts_of_tokens_and_of_passed_tests_stay(redact: Redactor) -> None:
    value = {"max_tokens": 4096, "tokens": [101, 2023, 102], "pass": 118}
    assert redact.value(value) == value


def test_equality_survives_across_types_and_places(redact: Redactor) -> None:
    in_text = MARKER.findall(redact.text("password=hunter2"))[0]
    assert redact.value({"password": "hunter2"})["password"] == in_text
    assert redact.value({"password": b"hunter2"})["password"] == in_text
    assert redact.value({"Authorization": "Bearer hunter2"})["Authorization"] == in_text
    assert redact.value(1234, key="pin") == redact.value("1234", key="pin") == redact.value(1234.0, key="pin")
    assert redact.value({"a": 1, "b": 2}, key="secret") == redact.value({"b": 2, "a": 1}, key="secret")
    assert redact.value({1, 2, 3}, key="secret") == redact.value({3, 2, 1}, key="secret")
    assert redact.value([1, 2], key="secret") != redact.value([2, 1], key="secret")


def test_the_copy_is_deep_and_keeps_the_structure(redact: Redactor) -> None:
    value: dict[Any, Any] = {
        "flight": ("AA1", ["JFK", {"LAX"}], frozenset({1})),
        1: b"\xff\x00token=abc12345",
        "leg": Leg("AA1", "ada@example.org"),
        "when": datetime.datetime(2013, 1, 1, tzinfo=datetime.UTC),
        "id": uuid.UUID(int=7),
        "fare": Decimal("99.50"),
    }
    copy = redact.value(value)
    assert copy["flight"] == value["flight"]
    assert copy["flight"][1] is not value["flight"][1]
    assert copy[1].startswith(b"\xff\x00token=[redacted:")
    assert type(copy["leg"]) is Leg
    assert hidden(copy["leg"].contact) == "…"
    assert [copy[name] for name in ("when", "id", "fare")] == [value[name] for name in ("when", "id", "fare")]
    assert value["leg"].contact == "ada@example.org"


def test_names_in_the_data_are_redacted_too(redact: Redactor) -> None:
    copy = redact.value({"ada@example.org": 1, ("bob@example.org", 2): 2, b"eve@example.org": 3})
    assert "example.org" not in repr(copy)
    assert list(copy.values()) == [1, 2, 3]


def test_pairs_and_described_values_are_seen(redact: Redactor) -> None:
    headers = [("Accept", "*/*"), ("X-Auth-Token", "abc"), [b"cookie", b"a=b"], ["email", "name"], ["token", "secret"]]
    copied = redact.value({"headers": headers})["headers"]
    assert hidden(copied[1][1]) == "…"
    assert hidden(copied[2][1]) == "…"
    assert [copied[i] for i in (0, 3, 4)] == [headers[i] for i in (0, 3, 4)]
    assert redact.value({"name": "DB_PASSWORD", "value": "hunter2"})["value"] != "hunter2"
    assert redact.value({"name": "seats", "value": "55"}) == {"name": "seats", "value": "55"}


def test_kwargs_of_a_trigger_that_does_something_with_an_address_stay_readable(redact: Redactor) -> None:
    copy = redact.value({"send_email": {"template": "delay", "to": "ada@example.org"}})
    assert copy["send_email"]["template"] == "delay"
    assert hidden(copy["send_email"]["to"]) == "…"


def test_card_numbers_are_hidden_as_integers_too(redact: Redactor) -> None:
    assert hidden(redact.value([4111111111111111])[0]) == "…"
    assert redact.value([4111111111111112, 1511790849123456, 10**30]) == [4111111111111112, 1511790849123456, 10**30]


def test_other_mappings_become_dicts_and_other_objects_their_redacted_repr(redact: Redactor) -> None:
    value = {
        "proxy": MappingProxyType({"token": "abc"}),
        "ordered": collections.OrderedDict(token="abc"),
        "default": collections.defaultdict(list, {"token": ["abc"]}),
        "object": ValueError("no such user: ada@example.org"),
    }
    copy = redact.value(value)
    assert [type(copy[name]) for name in ("proxy", "ordered", "default")] == [dict] * 3
    assert [MARKER.fullmatch(copy[name]["token"]) is None for name in ("proxy", "ordered", "default")] == [False] * 3
    assert hidden(copy["object"]) == "ValueError('no such user: …')"


def test_hostile_objects_do_not_raise(redact: Redactor) -> None:
    copy = redact.value({"a": Rude(), "b": Loud("token=abc12345"), "c": {"password": Rude()}})
    assert copy["a"] == "<Rude>"
    assert hidden(copy["b"]) == "token=…"
    assert MARKER.fullmatch(copy["c"]["password"])


def test_what_contains_itself_ends_in_a_marker(redact: Redactor) -> None:
    loop: dict[str, Any] = {"flight": "AA1"}
    loop["again"] = loop
    loop["list"] = [loop]
    copy = redact.value(loop)
    assert copy["flight"] == "AA1"
    assert MARKER.fullmatch(copy["again"])
    assert MARKER.fullmatch(redact.value({"credentials": loop})["credentials"])


def test_shared_parts_are_copied_once(redact: Redactor) -> None:
    doubled: list[Any] = ["ada@example.org"]
    for _ in range(60):
        doubled = [doubled, doubled]
    copy = redact.value(doubled)
    assert copy[0] is copy[1]
    assert MARKER.fullmatch(redact.value(doubled, key="secret"))


def test_what_is_nested_too_deep_ends_in_a_marker(redact: Redactor) -> None:
    deep: Any = "password=hunter2"
    for _ in range(100_000):
        deep = [deep]
    copy, depth = redact.value(deep), 0
    while isinstance(copy, list):
        copy, depth = copy[0], depth + 1
    assert MARKER.fullmatch(copy)
    assert depth == 100
    assert MARKER.fullmatch(redact.value(deep, key="secret"))
    assert contains_marker(deep) is None


# --- texts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("login of ada@example.org failed: password=hunter2, attempt 3", "login of … failed: password=…, attempt 3"),
        ("{'user': 'ada', 'pin': 1234, 'n': 3}", "{'user': 'ada', 'pin': …, 'n': 3}"),
        ('{"credentials": {"user": "ada", "key": [1, "]"]}, "n": 3}', '{"credentials": …, "n": 3}'),
        ("password: hunter2", "password: …"),
        ("Passwort: geheim1", "Passwort: …"),
        ("password : hunter2", "password : …"),
        ("map[password:hunter2 user:ada]", "map[password:… user:ada]"),
        ('{:password=>"hunter2", :user=>"ada"}', '{:password=>"…", :user=>"ada"}'),
        ("<wsse:Password>hunter2</wsse:Password>", "<wsse:Password>…</wsse:Password>"),
        ("password='it\\'s', n=1", "password='…', n=1"),
        ("password=a,b;c&d)e]f n=1", "password=… n=1"),
        ("f(password=hunter2, n=1)", "f(password=…, n=1)"),
        ("API key: abcd1234efgh", "API key: …"),
        ("Date of birth: 1980-12-31.", "Date of birth: …."),
        ("phone: +1 (555) 010-0199 ext", "phone: … ext"),
        ("curl -u ada:hunter2 https://example.org", "curl -u … https://example.org"),
        ("auth=('ada', 'hunter2')", "auth=…"),
        ("email=ada%40example.org&x=1", "email=…&x=1"),
        ("mailto:ada@example.org", "mailto:…"),
        ("DOMAIN\\ada@example.org", "DOMAIN\\…"),
        (r'"url": "redis:\/\/ada:hunter2@h.example.org\/0"', r'"url": "redis:\/\/…@h.example.org\/0"'),
        ("redis://a:b@h1:1,redis://c:d@h2:2", "redis://…@h1:1,redis://…@h2:2"),
        ("-----BEGIN PRIVATE KEY-----\nMIIabc\n", "…"),
        ('{"pem": "-----BEGIN PRIVATE KEY-----\\nMIIabc\\n"}', '{"pem": "…"}'),
        ("send: b'GET / HTTP/1.1\\r\\nCookie: a=b\\r\\n\\r\\n'", "send: b'GET / HTTP/1.1\\r\\nCookie: …\\r\\n\\r\\n'"),
        ('authorization: Digest username="ada", response="ab"', "authorization: Digest …"),
        ("\x1b[31mAKIA" + "A" * 16 + "\x1b[0m", "\x1b[31m…\x1b[0m"),
        ("card 4111-1111-1111-1111, 4111 1111 1111 1112", "card …, 4111 1111 1111 1112"),
    ],
)
def test_only_the_secret_is_replaced(redact: Redactor, text: str, expected: str) -> None:
    assert hidden(redact.text(text)) == expected
    assert redact.text(redact.text(text)) == redact.text(text)


def test_source_lines_of_tracebacks_keep_their_variables_and_lose_their_literals(redact: Redactor) -> None:
    text = (
        'Traceback (most recent call last):\n  File "/srv/app/login.py", line 8, in login\n'
        "    connect(user=user, password=pw, token=make(user), secret='hunter2')\n"
        "ValueError: password=pw1 refused"
    )
    assert hidden(redact.text(text)) == text.replace("hunter2", "…").replace("pw1", "…")


def test_a_secret_within_a_string_of_a_source_line_is_replaced(redact: Redactor) -> None:
    text = (
        'Traceback (most recent call last):\n  File "/srv/app/login.py", line 8, in login\n'
        "    raise ValueError(\"it's refused; password=hunter2\", connect(password=pw), f'token={token}')\n"
        "ValueError: no"
    )
    assert hidden(redact.text(text)) == text.replace("hunter2", "…")


@pytest.mark.parametrize("found", [("hunter2",), {"hunter2"}, [object(), "hunter2"]])
def test_the_error_of_a_value_that_cannot_be_stored_hides_what_is_secret(redact: Redactor, found: object) -> None:
    error = InvalidValue("result['user']['password']", found, "expected what JSON can hold")
    assert "hunter2" not in str(error)
    assert "hunter2" not in redact.text(str(error))
    assert "cannot be stored; expected what JSON can hold" in redact.text(str(error))


class Account:
    """What an application shows of itself, redaction cannot know."""

    def __repr__(self) -> str:
        return "<Account bob/hunter2>"


@pytest.mark.parametrize("path", ["result['account']", "result['password']"])
def test_the_error_of_a_value_that_cannot_be_stored_does_not_repeat_what_an_application_says_of_it(path: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        encode_value(Account(), path)

    assert str(raised.value).startswith(f"{path} (Account) cannot be stored; expected what JSON can hold")
    assert isinstance(raised.value.found, Account)


def test_long_values_are_replaced_to_their_end(redact: Redactor) -> None:
    value = "Ab1-" * 5000
    for text in (f"token={value}", f"token: {value}", f'{{"token": "{value}"}}', f"Cookie: a={value}"):
        assert "Ab1-" not in redact.text(text)


def test_a_text_without_secrets_is_returned_as_it_is(redact: Redactor) -> None:
    text = "AA1-JFK-LAX departed with N338AA"
    assert redact.text(text) is text


# --- URLs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://ada:hunter2@cache.example.org:6379/0", "redis://***@cache.example.org:6379/0"),
        ("redis://:hunter2@cache:6379/0", "redis://***@cache:6379/0"),
        ("redis://ada@cache/0", "redis://***@cache/0"),
        ("redis://:p@ss/w?rd#1@cache:6379/0", "redis://***@cache:6379/0"),
        ("redis://:pa ss'\"<w@cache/0", "redis://***@cache/0"),
        ("redis://cache/0?password=hunter2&timeout=3", "redis://cache/0?password=***&timeout=3"),
        ("unix:///run/redis.sock?db=0&password=hunter2", "unix:///run/redis.sock?db=0&password=***"),
        ("sentinel://:p@h1:26379;sentinel://:q@h2:26379", "sentinel://***@h1:26379;sentinel://***@h2:26379"),
        ("ada:hunter2@cache:6379/0", "***@cache:6379/0"),
        ("redis:/ada:hunter2@cache", "***@cache"),
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("https://example.org:8443/@scope/x", "https://example.org:8443/@scope/x"),
        ("sqlite:///srv/data/triggers@1.db", "sqlite:///srv/data/triggers@1.db"),
        ("sqlite:triggers@1.db", "sqlite:triggers@1.db"),
        ("memory://tests", "memory://tests"),
        ("", ""),
        ("://@", "://@"),
        ("\ud800://a:b@c", "\ud800://***@c"),
    ],
)
def test_safe_urls_show_where_and_not_who(url: str, expected: str) -> None:
    assert safe_url(url) == expected
    assert safe_url(expected) == expected


def test_urls_keep_equal_credentials_equal(redact: Redactor) -> None:
    one, two = redact.url("redis://:p ss@h1/0?token=abc"), redact.url("redis://:p ss@h2/0?token=abd")
    assert hidden(one) == "redis://…@h1/0?token=…"
    assert MARKER.findall(one)[0] == MARKER.findall(two)[0]
    assert MARKER.findall(one)[1] != MARKER.findall(two)[1]
    assert redact.url(one) == one


# --- markers ------------------------------------------------------------------------------------------------------

M = "[redacted:0123456789ab]"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (M, "$"),
        (f"password={M}", "$"),
        ({"scheduled": {"plane": M}}, "$.scheduled.plane"),
        ({"scheduled": {"seats": [1, (2, M)]}}, "$.scheduled.seats[1][1]"),
        ({"a b": {1: {"x": M.encode()}}}, "$['a b'][1].x"),
        ({"a": {M: 1}}, f"$.a['{M}']"),
        ({"a": frozenset({M})}, "$.a[0]"),
        ([{"b": 1}, {"b": M}, {"b": M}], "$[1].b"),
        ({"a": "[redacted:]", "b": "[redacted]", "c": "redacted"}, None),
        (None, None),
        (7, None),
    ],
)
def test_a_marker_is_found_and_its_path_told(value: object, path: str | None) -> None:
    assert contains_marker(value) == path


def test_every_redacted_value_contains_a_marker(redact: Redactor) -> None:
    assert contains_marker(redact.value({"landed": {"contact": "ada@example.org"}})) == "$.landed.contact"


def test_looking_for_markers_ends_in_values_that_contain_themselves() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert contains_marker(loop) is None
