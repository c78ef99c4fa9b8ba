"""Fingerprints: the same for the same cause, wherever and whenever it is seen; another for another cause."""

import collections
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggers_nb.analysis.fingerprints import FINGERPRINT_VERSION, fingerprint, top_frame
from triggers_nb.analysis.messages import mask_message

CORPUS = Path(__file__).parent / "corpus" / "tracebacks.json"
HEADER = "Traceback (most recent call last):\n"
CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"

Error = dict[str, Any]


@pytest.fixture(scope="module")
def corpus() -> list[Error]:
    rows: list[Error] = json.loads(CORPUS.read_text("utf-8"))
    return rows


def print_of(error: Error, **changes: Any) -> str:
    row = {**error, **changes}
    return fingerprint(row["type"], row["message"], row["traceback"])


def score(rows: list[Error]) -> tuple[float, float]:
    """Return precision and recall of "the same group", over all pairs."""
    found = [(print_of(row), row["group"]) for row in rows]
    together = count_pairs(found)
    return together / count_pairs([mine for mine, _ in found]), together / count_pairs([group for _, group in found])


def count_pairs(labels: list[Any]) -> int:
    return sum(n * (n - 1) // 2 for n in collections.Counter(labels).values())


def test_the_corpus_is_large_enough(corpus: list[Error]) -> None:
    held_out = {row["group"] for row in corpus if row["held_out"]}
    groups = {row["group"] for row in corpus}
    assert len(corpus) >= 200
    assert len(groups) >= 60
    assert 0.25 < len(held_out) / len(groups) < 0.4


@pytest.mark.parametrize("held_out", [False, True])
def test_the_groups_are_those_that_a_person_makes(corpus: list[Error], held_out: bool) -> None:
    rows = [row for row in corpus if row["held_out"] is held_out]
    precision, recall = score(rows)
    part = "held out" if held_out else "tuned on"
    print(f"{part}: {len(rows)} tracebacks, pairwise precision {precision:.3f}, recall {recall:.3f}")
    assert precision >= 0.95
    assert recall >= 0.95


def test_line_numbers_do_not_count(corpus: list[Error]) -> None:
    for row in corpus:
        moved = re.sub(
            r'(?m)^( *(?:\| )?  File ".*", line )(\d+)',
            lambda found: f"{found[1]}{int(found[2]) + 7}",
            row["traceback"],
        )
        assert print_of(row, traceback=moved) == print_of(row), row["group"]


@settings(max_examples=100, deadline=None)
@given(st.data(), st.lists(st.from_regex(r"[a-z0-9._-]{1,12}", fullmatch=True), min_size=1, max_size=4), st.booleans())
def test_where_an_application_is_does_not_count(
    corpus: list[Error], data: Any, folders: list[str], windows: bool
) -> None:
    row = data.draw(st.sampled_from(corpus))
    root = "C:\\" + "\\".join(folders) if windows else "/" + "/".join(folders)

    def move(found: re.Match[str]) -> str:
        path = f"/app/{found[2]}"
        return f'{found[1]}{root}{path.replace("/", chr(92)) if windows else path}"'

    application = r"(?:/srv/flights|/home/deploy/releases/20260318|/app)/app/"
    moved = re.sub(rf'(File "){application}([^"]*)"', move, row["traceback"])
    assert print_of(row, traceback=moved) == print_of(row)


def test_modules_of_exception_types_do_not_count() -> None:
    assert fingerprint("app.errors.Full", "x", "") == fingerprint("Full", "x", "") != fingerprint("Empty", "x", "")


def test_a_fingerprint_is_short_and_tells_its_version() -> None:
    assert re.fullmatch(rf"v{FINGERPRINT_VERSION}-[0-9a-f]{{12}}", fingerprint("KeyError", "'x'", ""))


def test_other_processes_find_the_same(corpus: list[Error]) -> None:
    row = corpus[0]
    texts = (row["type"], row["message"], row["traceback"])
    code = f"from triggers_nb.analysis.fingerprints import fingerprint; print(fingerprint(*{texts!r}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == print_of(row)


def frames(*functions: str, file: str = "/srv/app/tasks/seats.py", code: str = "x()") -> str:
    return HEADER + "".join(f'  File "{file}", line 3, in {name}\n    {code}\n' for name in functions)


@pytest.mark.parametrize("depth", [2, 3, 10, 500])
def test_the_depth_of_a_recursion_does_not_count(depth: int) -> None:
    shallow = frames("run", "walk", "walk_list", "walk") + "KeyError: 'x'\n"
    deep = frames("run", *["walk", "walk_list"] * depth, "walk") + "KeyError: 'x'\n"
    assert fingerprint("KeyError", "'x'", deep) == fingerprint("KeyError", "'x'", shallow)


def test_where_an_endless_recursion_began_and_broke_off_does_not_count() -> None:
    said = ["maximum recursion depth exceeded", "maximum recursion depth exceeded while calling a Python object"]
    stacks = [
        ["run", *["a", "b"] * 40],
        ["run", "b", *["a", "b"] * 30, "a"],
        ["run", "go", "go", *["a", "b"] * 9, "leaf"],
    ]
    found = {
        fingerprint("RecursionError", message, frames(*stack) + f"RecursionError: {message}\n")
        for message in said
        for stack in stacks
    }
    assert len(found) == 1
    other = frames("run", *["a", "c"] * 40) + "RecursionError: x\n"
    assert fingerprint("RecursionError", said[0], other) not in found


def test_what_caused_a_failure_counts() -> None:
    def wrapped(key: str, link: str, raising: str = "raise BookingError('failed')") -> str:
        first = frames("book", code=f"row['{key}']") + f"KeyError: '{key}'\n"
        return first + link + frames("run", "book", code=raising) + "BookingError: failed\n"

    for link in (CAUSE, CONTEXT):
        seats, year = (fingerprint("BookingError", "failed", wrapped(key, link)) for key in ("seats", "year"))
        assert seats != year
    aside = [fingerprint("BookingError", "failed", wrapped(key, CONTEXT, "fetch()")) for key in ("seats", "year")]
    assert aside[0] == aside[1]


def test_trying_again_does_not_count() -> None:
    once = frames("run", "fetch") + "OSError: gone\n"
    again = frames("fetch") + "OSError: gone\n" + CONTEXT + once
    assert fingerprint("OSError", "gone", once) == fingerprint("OSError", "gone", again)


def test_notes_do_not_count() -> None:
    noted = [frames("run") + f"ValueError: no seats\nin row {row}\n" for row in (1, 22)]
    assert len({fingerprint("ValueError", "no seats", text) for text in noted}) == 1


def test_the_words_that_a_line_of_code_fills_in_do_not_count() -> None:
    code = 'raise LookupError(f"No such user: {name}")'
    names = [
        fingerprint("LookupError", f"No such user: {n}", frames("run", code=code) + f"LookupError: No such user: {n}\n")
        for n in ("anna", "bob")
    ]
    assert names[0] == names[1]


def test_an_installed_application_is_told_by_its_prefix() -> None:
    text = (
        frames("run", file="/opt/lib/python3.11/site-packages/booking/tasks.py")
        + frames("get", file="/srv/x/vendored.py")[len(HEADER) :]
    )
    assert top_frame(text + "KeyError: 'x'\n", app_prefixes=("booking",)) == "booking.tasks:run"
    assert top_frame(text + "KeyError: 'x'\n") == "x.vendored:get"
    found = {
        fingerprint("KeyError", "'x'", text, app_prefixes=prefixes) for prefixes in ((), ("booking",), ("/srv/x",))
    }
    assert len(found) == 3


def test_the_top_frame_is_the_applications_innermost() -> None:
    library = frames("decode", file="/usr/lib/python3.11/json/decoder.py")[len(HEADER) :]
    assert top_frame(frames("run", "read") + library + "ValueError: x\n") == "tasks.seats:read"
    assert (
        top_frame(frames("read") + "KeyError: 'x'\n" + CAUSE + HEADER + library + "ValueError: x\n")
        == "tasks.seats:read"
    )
    assert top_frame("") is None


def test_without_type_and_message_the_traceback_tells_them() -> None:
    text = frames("run") + "app.errors.Full: flight 12\n"
    assert fingerprint("", "", text) == fingerprint("app.errors.Full", "flight 77", text.replace("12", "77"))


@pytest.mark.parametrize(
    "messages",
    [
        ["flight 12 is full", "flight UA1545 is full", "flight 0x7f3a is full", "flight JFK is full"],
        ["no 12", "no 6f1c0c1e-9a0b-4a57-8f43-0a9e1c3b5d7f", "no 6f1c0c1e9a0b4a578f430a9e1c3b5d7f", "no -1.5e7"],
        ["left at 2013-01-01", "left at 2013-01-01T05:15:00Z", "left at 1/2/2013", "left at 1 Jan 2013 05:15"],
        ["left at 05:15", "left at 2013-01-01 05:15:00.123+02:00", "left at Tue, 01 Jan 2013 05:15:00 GMT"],
        ["cannot read /data/a.csv", "cannot read C:\\data\\b.csv", "cannot read data/x/c", "cannot read b.csv"],
        ["down: 10.0.0.7:80", "down: db.internal", "down: localhost", "down: https://a.de/x?y=1", "down: [fe80::1]:80"],
        ["no plane 'N1'", 'no plane "two words"', "no plane “x”", "no plane «Ил»", "no plane 'cut off"],
        ["1 seat left", "12 seats left"],
        ["planes [1, 2]", "planes ['a']", "planes []", "planes {'a': None, 'b': [1]}"],
        ["bad mail anna@example.com", "bad mail b.x+y@mail.example.org"],
        ["user=anna failed", "user=bob failed"],
        ["token [redacted:1a2b]", "token [redacted:ffff]"],
        ["rows: row 1 is bad", "rows: row 1 is bad; row 2 is bad; row 3 is bad"],
        ["便12が見つかりません", "便٧が見つかりません"],
    ],
)  # fmt: skip
def test_messages_that_differ_in_values_are_masked_to_the_same(messages: list[str]) -> None:
    assert len({mask_message(message, "ValueError") for message in messages}) == 1


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("KeyError", "'seats'", "'year'"),
        ("AttributeError", "'NoneType' object has no attribute 'seats'", "'NoneType' object has no attribute 'year'"),
        ("NameError", "name 'seats' is not defined", "name 'year' is not defined"),
        ("app.errors.ModuleNotFoundError", "No module named 'app.seats'", "No module named 'app.year'"),
        ("ImportError", "cannot import name 'a' from 'app'", "cannot import name 'b' from 'app'"),
        ("TypeError", "f() got an unexpected keyword argument 'a'", "f() got an unexpected keyword argument 'b'"),
        ("OperationalError", "no such table: flights", "no such table: planes"),
        ("HTTPError", "HTTP Error 404: Not Found", "HTTP Error 500: Internal Server Error"),
        ("ServiceError", "answered with status 404", "answered with status 503"),
        ("TypeError", "cannot convert int64", "cannot convert float64"),
    ],
)  # fmt: skip
def test_messages_of_different_causes_stay_different(kind: str, one: str, other: str) -> None:
    assert mask_message(one, kind) != mask_message(other, kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("KeyError", "'N12'"), ("KeyError", "('UA', 1545)"), ("ValueError", "'seats'"), ("KeyError", "42")],
)
def test_quoted_values_are_masked(kind: str, message: str) -> None:
    assert mask_message(message, kind) == "<*>"


KINDS = st.sampled_from(["KeyError", "ValueError", "TypeError", "RecursionError", "SyntaxError", ""])
PIECES = st.sampled_from(
    [*"'\"<>:/\\()[]{},=^+-|.%_ \n", "abc", "5", "N12", "<*>", "None", "2013-01-01", "05:15", "utf-8", "status 404",
     "“", "”", "«", "便", "é", "deadbeefcafe", "a.csv", "localhost", "http://x/y", "seats", "GiB", "days", "JFK",
     "[SQL: x", "x@y.de"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(PIECES).map("".join))


@settings(max_examples=500, deadline=None)
@given(TEXTS, KINDS)
def test_masking_twice_changes_nothing(text: str, kind: str) -> None:
    masked = mask_message(text, kind)
    assert mask_message(masked, kind) == masked


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(KINDS, st.text()),
    TEXTS,
    st.lists(st.one_of(TEXTS, st.sampled_from([HEADER, CAUSE, CONTEXT, frames("f")]))).map("".join),
)
def test_anything_has_a_fingerprint(kind: str, message: str, text: str) -> None:
    assert fingerprint(kind, message, text).startswith("v1-")
    assert top_frame(text) is None or top_frame(text)


@pytest.mark.parametrize(
    "unit",
    ["a", "1,", "a'", "“", "[", "[[1],", "a.", "/a", "\\'", "x@", "http://", "a b ", "Jan 1 ", "^\n", "<*>", "便1"],
)
def test_a_megabyte_of_anything_is_masked(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    for message in (text, f"'{text}", f"({text})"):
        assert len(mask_message(message, "KeyError")) <= 4 * len(text)
        assert fingerprint("KeyError", message, frames("run") + f"KeyError: {message}\n")
