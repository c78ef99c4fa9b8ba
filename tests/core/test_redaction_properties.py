"""What holds for redaction whatever is redacted."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.redaction import Redactor, contains_marker, safe_url

MARKER = re.compile(r"\[redacted:[0-9a-f]{12}\]")
REDACT = Redactor(b"0123456789abcdef")

# Texts of the pieces that the rules look for, so that they meet in every order.
PIECES = [
    "token", "password", "pwd", "api_key", "cookie", "Authorization", "Bearer ", "Basic ", "email", "phone", "address",
    "key", "secret", "--token", " -u ", "auth", "=", ":", "=>", "==", ",", ";", "&", "?", "@", "://", "(", ")", "[",
    "]", "{", "}", "<", ">", "</", "'", '"', "\\", '\\"', "\\n", "|", "-", "_", ".", "/", "%", "%40", "*", "${X}",
    "{x}", "a", "1", "A", "aB3", "x.org", "é", "日本", "\ud800", " ", "\n", '  File "x", line 1\n    ', "hunter2",
    "ada@example.org", "4111111111111111", "redis://a:b@h/0", "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.x",
    "AKIA" + 16 * "A", "ghp_" + 36 * "a", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----",
    "[redacted:0123456789ab]", "[redacted:", "0123456789ab]", "none",
]  # fmt: skip
pieces = st.sampled_from(PIECES)
texts = st.text() | st.lists(pieces, max_size=14).map("".join)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts | st.binary(max_size=20)
names = st.sampled_from(["flight", "token", "email", "n", "a@b.example.org", "tokens", "pass"]) | texts
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=12,
)
secrets = st.text("abcdefghijklmnopqrstuvwxyz0123456789ABCDEFXYZ+/", min_size=12, max_size=40).filter(
    lambda text: any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
)


@given(texts)
def test_redacting_a_text_twice_is_redacting_it_once(text: str) -> None:
    once = REDACT.text(text)
    assert REDACT.text(once) == once


@given(values)
def test_redacting_a_value_twice_is_redacting_it_once(value: Any) -> None:
    once = REDACT.value(value)
    assert REDACT.value(once) == once


@given(texts)
def test_urls_are_redacted_once_and_never_raise(text: str) -> None:
    once = REDACT.url(text)
    assert REDACT.url(once) == once
    assert safe_url(safe_url(text)) == safe_url(text)


@given(texts)
def test_markers_in_a_text_stay_whole(text: str) -> None:
    for found in MARKER.finditer(text):
        redacted = REDACT.text(f"a {found[0]} b")
        assert redacted == f"a {found[0]} b"
    assert "[redacted:" not in MARKER.sub("", REDACT.text(MARKER.sub("", text).replace("[redacted:", "")))


def shape(value: Any) -> Any:
    """The structure of a value, without what it holds."""
    if isinstance(value, dict):
        return [shape(item) for item in value.values()]
    return (type(value), [shape(item) for item in value]) if isinstance(value, list | tuple) else "leaf"


@given(values)
def test_the_structure_stays_where_no_name_is_sensitive(value: Any) -> None:
    def rename(item: Any) -> Any:
        if isinstance(item, dict):
            return {f"n{i}": rename(child) for i, child in enumerate(item.values())}
        return type(item)(map(rename, item)) if isinstance(item, list | tuple) else item

    plain = rename(value)
    assert shape(REDACT.value(plain)) == shape(plain)


@given(values)
def test_the_argument_does_not_change(value: Any) -> None:
    before = repr(value)
    REDACT.value(value)
    assert repr(value) == before


@given(values, values)
def test_values_are_equal_under_a_sensitive_name_exactly_if_their_markers_are(one: Any, two: Any) -> None:
    redacted_one, redacted_two = REDACT.value([one, one], key="secret"), REDACT.value([two, two], key="secret")
    if one == two:
        assert redacted_one == redacted_two
    elif json_of(one) != json_of(two):
        assert redacted_one != redacted_two


def json_of(value: Any) -> str:
    """A text that is equal for values which differ in type only (1 and "1", a tuple and a list)."""
    return json.dumps(value, default=lambda item: item.decode("latin-1"), sort_keys=True).replace('"', "")


@given(secrets, secrets)
def test_equal_secrets_are_equal_in_texts_and_values_and_different_ones_differ(one: str, two: str) -> None:
    in_text = MARKER.findall(REDACT.text(f'POST failed: {{"api_key": "{one}", "n": 3}}'))
    assert in_text == [REDACT.value(one, key="api_key")] == MARKER.findall(REDACT.text(f"--api-key={one} -v"))
    assert (REDACT.value(two, key="api_key") == in_text[0]) == (one == two)


@given(secrets, texts)
def test_a_named_secret_never_gets_out(secret: str, text: str) -> None:
    value = {"note": [text, {"client_secret": secret}], "password": {text: secret}}
    redacted = REDACT.value(value)
    assert secret not in repr(redacted).replace(repr(REDACT.text(text)), "")
    assert contains_marker(redacted) is not None


HOSTILE = [
    "a", "@", "a@", "a@a.", "token", "token=", "token: ", 'token="', "token='", 'token=\\"', "token=(a", '"token": [',
    "token=a\n", "://", "://a:", "://:a@", "?key=", 'key = "A1a', "-----BEGIN PRIVATE KEY-----", "eyJ", "-eyJ", "eyJa.",
    "4111 ", "DE89 ", "AKIA", "sk-", "SG.", "Bearer a", "Basic aaaaaaaa=", "8Q~", "12345678:AA", "\\", '\\"',
    "password: ", "cookie: ", "cookie: a ", "authorization: ", "('cookie', '", "--password ", "phone: 1 ", "address=",
    "<password>", "[redacted:", "[redacted:0123456789ab]", "password={", "password=a;b ", "password=a)",
    'File "x", line 1\n    token=a\n', "é", "İ", "\ud800", "\n", " ", "[", "'", " -u a:",
]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("unit", HOSTILE)
def test_a_megabyte_of_anything_is_redacted_in_steps_that_grow_with_its_length(unit: str) -> None:
    """Given a text of one piece repeated, when it is redacted, then that ends: a quadratic rule would take hours."""
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    redacted = REDACT.text(text)
    assert len(redacted) <= 30 * len(text)
    assert safe_url(text) is not None


def test_a_megabyte_of_random_characters_is_redacted() -> None:
    text = "".join(chr(33 + (i * i * 7919 + i * 104729) % 94) for i in range(1_000_000))
    once = REDACT.text(text)
    assert REDACT.text(once) == once
