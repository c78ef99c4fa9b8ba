import json
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.notebook.patches import JsonProblem, parse_object, parse_patch

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), VALUES))
def test_any_json_object_is_what_python_reads(value):
    text = json.dumps(value)

    assert parse_object(text) == value


@given(st.text(max_size=60))
def test_whatever_is_typed_is_an_object_or_says_where_it_is_wrong(text):
    position = (1, 1)
    try:
        value = parse_patch(text, ["seats"]).value
    except JsonProblem as problem:
        value, position = {}, (problem.line, problem.column)

    assert isinstance(value, dict)
    assert position >= (1, 1)


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ('{"a": }', 1, 7, "Expecting value"),
        ('{"a": 1,\n "b": tru}', 2, 7, "Expecting value"),
        ('{"a": 1,\n "a": 2}', 2, 2, "occurs twice"),
        ('{"a": NaN}', 1, 7, "NaN is not JSON"),
        ('{"a": 1e999}', 1, 7, "too large"),
        ('{"a": ' + "9" * 5000 + "}", 1, 7, "the number 9999999999"),
        ("[1, 2]", 1, 1, "found a list"),
        ("null", 1, 1, "found null"),
        ("'a'", 1, 1, "Expecting value"),
        ("[" * 100_000, 1, 1, "nested too deeply"),
    ],
)
def test_a_mistake_is_told_with_its_position(text, line, column, said):
    with pytest.raises(JsonProblem) as caught:
        parse_object(text)

    assert (caught.value.line, caught.value.column) == (line, column)
    assert said in str(caught.value)


def test_nothing_typed_is_an_empty_object():
    assert parse_object("  \n") == {}
    assert parse_patch("").argument is None


def test_a_column_gives_each_row_its_own_value():
    patch = parse_patch('{"go": {"plane": {{ tail }}, "seats": [{{seats}}]}}', ["tail", "seats"])
    frame = pd.DataFrame({"tail": ["N1", None], "seats": pd.array([178, None], dtype="Int64")})

    assert [patch.for_row(frame.iloc[i]) for i in range(2)] == [
        {"go": {"plane": "N1", "seats": [178]}},
        {"go": {"plane": None, "seats": [None]}},
    ]
    assert patch.columns == ("tail", "seats")


def test_a_moment_of_a_frame_becomes_a_datetime():
    moment = datetime(2013, 2, 8, tzinfo=UTC)
    frame = pd.DataFrame({"at": pd.to_datetime([moment])})

    assert parse_patch('{"go": {"at": {{at}}}}', ["at"]).for_row(frame.iloc[0]) == {"go": {"at": moment}}


def test_braces_within_a_text_stay_text():
    assert parse_patch('{"go": {"plane": "{{tail}}"}}', ["tail"]).value == {"go": {"plane": "{{tail}}"}}


def test_an_unknown_column_is_refused_with_near_names():
    with pytest.raises(JsonProblem, match=r"line 2, column 3: no column 'tial'. Did you mean 'tail'"):
        parse_patch('{"go":\n  {{tial}}}', ["tail"])


def test_a_patch_with_columns_is_python_that_does_the_same():
    patch = parse_patch('{"go": {"plane": {{tail}}, "seats": 3}}', ["tail"])

    assert patch.python() == "lambda row: {'go': {'plane': row['tail'], 'seats': 3}}"
    assert eval(patch.python())({"tail": "N1"}) == patch.for_row({"tail": "N1"})
