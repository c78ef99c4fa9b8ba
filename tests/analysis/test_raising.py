"""What a line of code tells about the message of the error that it raised."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggers_nb.analysis.raising import mask_filled_in


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ('raise X(f"no user {name} here")', "no user anna here", "no user <*> here"),
        ('raise X("no user %s here" % name)', "no user anna here", "no user <*> here"),
        ('raise X("from %s to %s" % (a, b))', "from JFK to Newark", "from <*> to <*>"),
        ('raise X("no user %s here", name)', "no user anna here", "no user <*> here"),
        ('raise X("no user {} here".format(name))', "no user anna here", "no user <*> here"),
        ('raise X("no user " + name)', "no user anna", "no user <*>"),
        ('raise app.errors.X(f"100 {{%}} of {name}")', "100 {%} of anna", "100 {%} of <*>"),
        ("raise X(f\"booking {row['id']} is full\")", "booking abc is full", "booking <*> is full"),
        ('raise X(plane, "no crew today")', "plane Spirit cannot fly: no crew today", "<*>no crew today"),
        ('raise KeyError(f"no user {name} here")', "'no user N1 here'", "'no user <*> here'"),
        ("raise NotFound(name)", "anna", "<*>"),
        ("return find(name)", "unknown encoding: ebcdic", "unknown encoding: <*>"),
    ],
)  # fmt: skip
def test_words_that_were_filled_in_are_masked(code: str, message: str, expected: str) -> None:
    assert mask_filled_in(message, code, "KeyError" if "KeyError" in code else "LookupError") == expected


@pytest.mark.parametrize(
    ("code", "message", "name"),
    [
        ('raise X(f"refused: {reason}")', "refused: the card is not valid", "X"),
        ('raise X(f"answered with status {status}")', "answered with status 404", "X"),
        ("raise KeyError(f\"no {name} in it\")", "'no seats in it'", "KeyError"),
        ('raise X(f"{n} seat{s} left")', "3 seats left", "X"),
        ('raise X("closed")', "closed", "X"),
        ("raise X(", "no user anna here", "X"),
        ("", "anna", "X"),
        ('raise X(f"no user {name} here")', "something else", "X"),
    ],
)  # fmt: skip
def test_reasons_and_names_stay(code: str, message: str, name: str) -> None:
    assert mask_filled_in(message, code, name).replace("<*> seat", "3 seat") == message


@settings(max_examples=200, deadline=None)
@given(st.text(), st.one_of(st.text(), st.text().map("raise X(f'a {b} {c}'".__add__)))
def test_any_code_will_do(message: str, code: str) -> None:
    assert isinstance(mask_filled_in(message, code, "ValueError"), str)
