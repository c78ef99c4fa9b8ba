"""Tracebacks taken apart: what Python prints is understood, and nothing that anybody prints is a problem."""

import sys
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggers_nb.analysis.tracebacks import HEADER, Raised, parse

CONTEXT = "During handling of the above exception, another exception occurred:"


def text_of(function: Callable[[], object]) -> str:
    try:
        function()
    except Exception:
        return traceback.format_exc()
    return "nothing was raised"


def fail(message: str = "no seats") -> None:
    raise ValueError(message)


def chain(*, cause: bool) -> None:
    try:
        fail()
    except ValueError as error:
        if cause:
            raise RuntimeError("booking failed") from error
        raise RuntimeError("booking failed")  # noqa: B904 - that is what is tried here


def group(depth: int = 0) -> None:
    errors: list[Exception] = []
    for function in (fail, lambda: {}["seats"], *([lambda: group(depth - 1)] if depth else [])):
        try:
            function()
        except Exception as error:
            errors.append(error)
    raise ExceptionGroup("rows failed", errors)


def recurse(n: int) -> None:
    if n == 0:
        fail()
    recurse(n - 1)


def functions(raised: Raised) -> list[str]:
    return [frame.function for frame in raised.frames]


def test_frames_type_and_message_are_told() -> None:
    story = parse(text_of(fail))
    assert (story.final.type, story.final.message, story.final.link) == ("ValueError", "no seats", "")
    assert functions(story.final) == ["text_of", "fail"]
    last = story.final.frames[-1]
    assert last.file == __file__
    assert last.code == "raise ValueError(message)"
    assert last.line == fail.__code__.co_firstlineno + 1


@pytest.mark.parametrize(("cause", "link"), [(True, "cause"), (False, "context")])
def test_a_chain_is_told_in_order(cause: bool, link: str) -> None:
    first, last = parse(text_of(lambda: chain(cause=cause))).exceptions
    assert (first.type, first.link, last.type, last.link) == ("ValueError", "", "RuntimeError", link)
    assert functions(first) == ["chain", "fail"]
    assert functions(last) == ["text_of", "<lambda>", "chain"]


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_groups_hold_their_members(depth: int) -> None:
    final = parse(text_of(lambda: group(depth))).final
    for left in range(depth, -1, -1):
        assert final.type == "ExceptionGroup"
        assert final.message == f"rows failed ({2 + (left > 0)} sub-exceptions)"
        assert functions(final)[-1] == "group"
        assert [member.final.type for member in final.members] == ["ValueError", "KeyError", "ExceptionGroup"][
            : 2 + (left > 0)
        ]
        assert functions(final.members[1].final) == ["group", "<lambda>"]
        final = final.members[-1].final


def test_a_group_can_be_a_cause_and_have_one() -> None:
    def both() -> None:
        try:
            try:
                fail()
            except ValueError as error:
                raise ExceptionGroup("all failed", [KeyError("year")]) from error
        except ExceptionGroup as error:
            raise LookupError("gave up") from error

    first, middle, last = parse(text_of(both)).exceptions
    assert [one.type for one in (first, middle, last)] == ["ValueError", "ExceptionGroup", "LookupError"]
    assert [one.link for one in (first, middle, last)] == ["", "cause", "cause"]
    assert [member.final.message for member in middle.members] == ["'year'"]


def test_a_wide_group_is_read_up_to_where_it_was_cut_off() -> None:
    final = parse(
        text_of(lambda: (_ for _ in ()).throw(ExceptionGroup("x", [ValueError(str(n)) for n in range(40)])))
    ).final
    assert len(final.members) == 15


def test_recursion_is_read_with_its_repeated_lines() -> None:
    names = functions(parse(text_of(lambda: recurse(50))).final)
    assert names[-1] == "fail"
    assert set(names[2:-1]) == {"recurse"}


def test_messages_keep_their_lines_and_notes() -> None:
    def noted() -> None:
        error = ValueError("two\n  lines:\n\nTable")
        error.add_note("in row 7")
        raise error

    assert parse(text_of(noted)).final.message == "two\n  lines:\n\nTable\nin row 7"


@pytest.mark.parametrize(
    ("source", "kind"),
    [("1 +", "SyntaxError"), ("if x:\ny", "IndentationError"), ("if x:\n\ty\n        z", "TabError")],
)
def test_the_place_of_a_syntax_error_is_a_frame_without_a_function(source: str, kind: str) -> None:
    final = parse(text_of(lambda: compile(source, "rules.py", "exec"))).final
    assert final.type == kind
    assert (final.frames[-1].file, final.frames[-1].function) == ("rules.py", "")
    assert final.frames[-2].code.endswith('compile(source, "rules.py", "exec"))).final')


def test_a_cause_without_a_traceback_is_read() -> None:
    def caused() -> None:
        raise RuntimeError("x") from KeyError("seats")

    first, last = parse(text_of(caused)).exceptions
    assert (first.type, first.message, first.frames) == ("KeyError", "'seats'", ())
    assert last.link == "cause"


def test_a_traceback_that_is_quoted_in_a_message_caused_the_error() -> None:
    def remote() -> None:
        quoted = text_of(lambda: chain(cause=True))
        raise RuntimeError(f'worker said:\n"""\n{quoted}"""')

    story = parse(text_of(remote))
    assert story.final.type == "RuntimeError"
    assert story.final.message == 'worker said:\n"""'
    assert story.final.link == "quoted"
    assert [raised.type for raised in story.exceptions] == ["ValueError", "RuntimeError", "RuntimeError"]
    assert [raised.link for raised in story.exceptions] == ["", "cause", "quoted"]


def test_names_in_any_script_and_windows_line_ends_are_read() -> None:
    text = (
        "Traceback (most recent call last):\r\n"
        '  File "C:\\Flüge\\größe.py", line 3, in übergeben\r\n'
        "    raise Übergabefehler(x)\r\n"
        "app.fehler.Übergabefehler: Übergabe 7 fehlgeschlagen\r\n"
    )
    final = parse(text).final
    assert (final.type, final.message) == ("app.fehler.Übergabefehler", "Übergabe 7 fehlgeschlagen")
    assert (final.frames[0].file, final.frames[0].function) == ("C:\\Flüge\\größe.py", "übergeben")


@pytest.mark.parametrize("text", ["", "\n\n", "oops", "KeyError", "Traceback (most recent call last):", '  File "'])
def test_what_is_no_traceback_tells_nothing_wrong(text: str) -> None:
    assert parse(text).final.frames == ()


LINES = st.sampled_from(
    [
        HEADER, "  + Exception Group Traceback (most recent call last):",
        '  File "/srv/app.py", line 3, in f', '  File "x', "    raise X", "      ^^^", "KeyError: 'x'", "  | a", "",
        "  +-+---------------- 1 ----------------", "    +---------------- 2 ----------------",
        "    +------------------------------------", "    | ValueError: x", '"""',
        CONTEXT,
        "The above exception was the direct cause of the following exception:",
    ]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(LINES, st.text())).map("\n".join))
def test_nothing_is_a_problem(text: str) -> None:
    assert isinstance(parse(text).final.type, str)


@pytest.mark.parametrize(
    "unit",
    [
        '  File "', '  File "a", line 1, in f\n', '", line 1', f"{HEADER}\n", "  | a\n", '"""\n', "E: \n",
        f'E: """\n{HEADER}\n', "  +-+---------------- 1 ----------------\n    | x: y\n",
        f"\n{CONTEXT}\n\n{HEADER}\nE\n",
    ],
)  # fmt: skip
def test_a_megabyte_of_anything_is_read(unit: str) -> None:
    repeated = unit * (1_000_000 // len(unit))
    for text in (repeated, "  + Exception Group Traceback (most recent call last):\n" + repeated):
        assert sys.getsizeof(parse(text).final.type) < 2_000_000
