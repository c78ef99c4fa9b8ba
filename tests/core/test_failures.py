"""Exceptions are recorded whatever they are: describing one never fails."""

from typing import Any

import pytest

from triggers_nb.core.codec import MAX_DEPTH, decode_value
from triggers_nb.core.failures import MAX_MESSAGE, MAX_TRACEBACK, describe
from triggers_nb.errors import with_context


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def context_of(error: BaseException) -> Any:
    return decode_value(describe(error).metadata["exceptionContext"])


def test_type_message_and_traceback_are_recorded() -> None:
    failure = describe(raised(LookupError("no seats")), log_level=40)
    text = decode_value(failure.metadata["exceptionInfo"])
    assert (failure.type, failure.message, failure.log_level) == ("builtins.LookupError", "no seats", 40)
    assert "in raised" in text
    assert text.endswith("LookupError: no seats\n")


def test_causes_and_groups_are_in_the_traceback() -> None:
    try:
        try:
            raise KeyError("seat")
        except KeyError as cause:
            raise ExceptionGroup("several", [ValueError("one"), TypeError("two")]) from cause
    except ExceptionGroup as error:
        text = decode_value(describe(error).metadata["exceptionInfo"])
    for part in ("KeyError: 'seat'", "ValueError: one", "TypeError: two", "direct cause"):
        assert part in text


def test_context_is_recorded() -> None:
    error = with_context(with_context(ValueError(), {"tail": "N1", "n": 1}), {"n": 2})
    assert context_of(error) == {"tail": "N1", "n": 2}
    assert context_of(ValueError()) == {}


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("context", "key", "shown"),
    [
        ({"ok": 1, "bad": object}, "bad", "<class 'object'>"),
        ({"ok": 1, "bad": float("nan")}, "bad", "nan"),
        ({"ok": 1, 5: "five"}, "5", "five"),
        ({"ok": 1, "\ud800": "\udfff"}, "\\ud800", "'\\udfff'"),
        ({"ok": 1, "deep": nested(MAX_DEPTH), "bad": object}, "deep", "{'a': {'a'"),
    ],
)
def test_what_cannot_be_stored_of_a_context_is_described(context: Any, key: str, shown: str) -> None:
    found = context_of(with_context(ValueError(), context))
    assert found["ok"] == 1
    assert found[key].startswith(shown)


class Wicked(Exception):
    """An exception of which nothing can be asked."""

    def __str__(self) -> str:
        raise RuntimeError("no message")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    @property
    def context(self) -> Any:
        raise RuntimeError("no context")


def test_a_wicked_exception_is_recorded_nevertheless() -> None:
    failure = describe(raised(Wicked()))
    assert failure.type.endswith(".Wicked")
    assert failure.message == "<message cannot be shown: RuntimeError>"
    assert "no context" in str(context_of(Wicked()))


def test_a_context_that_is_no_mapping_is_recorded() -> None:
    error = ValueError()
    error.context = [object()]  # type: ignore[attr-defined]
    assert context_of(error)["context"].startswith("[<object")


def test_texts_are_bounded_and_can_be_stored() -> None:
    failure = describe(raised(ValueError("\ud800" + "x" * 1_000_000)))
    text = decode_value(failure.metadata["exceptionInfo"])
    assert len(failure.message) == MAX_MESSAGE
    assert failure.message.startswith("\\ud800x")
    assert len(text) < MAX_TRACEBACK + 100
    assert "characters left out" in text
