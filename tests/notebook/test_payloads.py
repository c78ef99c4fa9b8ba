from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.notebook.payloads import MAX_TEXT, fold
from triggers_nb.notebook.stories import traceback_html

VALUES = st.recursive(
    st.none() | st.integers() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=30,
)


@given(VALUES)
def test_any_value_is_shown_as_escaped_html(value):
    shown = fold(value)

    assert shown.startswith('<div class="tnb-json">')
    assert "<script" not in shown


def test_hostile_values_are_only_text():
    shown = fold({"<img src=x onerror=alert(1)>": "</code><script>alert(1)</script>", "bell\x07": "\u202eevil"})

    assert "<img" not in shown
    assert "<script" not in shown
    assert "\u202e" not in shown


def test_a_huge_value_is_cut_and_says_how_to_get_all_of_it():
    shown = fold({"log": "x" * 1_000_000, "rows": [{"n": [i]} for i in range(5000)]}, get_all="ws['a'].all")

    assert len(shown) < 40_000
    assert "1,000,002 characters" in shown
    assert "4,950 more" in shown
    assert "ws[&#x27;a&#x27;].all" in shown


def test_a_text_that_just_fits_is_not_cut():
    assert "Cut" not in fold("x" * (MAX_TEXT - 2), get_all="all")


def test_a_value_that_contains_itself_ends():
    value: dict[str, object] = {}
    value["again"] = value

    assert "…" in fold(value)


TRACE = """Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/celery/app/trace.py", line 451, in trace_task
    R = retval = fun(*args, **kwargs)
  File "/srv/app/tasks/seats.py", line 21, in read_row
    seats = row["<script>"]
ValueError: no seats for <b>you</b>
"""


def test_a_traceback_shows_the_applications_frames_and_folds_the_libraries():
    shown = traceback_html(TRACE)

    folded, _, rest = shown.partition("</details>")
    assert "1 library frame" in folded
    assert "trace_task" in folded
    assert "read_row" in rest
    assert "&lt;b&gt;you" in shown
    assert "<b>you" not in shown
    assert "<script>" not in shown


@given(st.text())
def test_any_text_is_shown_as_a_traceback(text):
    assert "<script" not in traceback_html(text)
