"""A configuration is read whole or refused whole, with an error that says where and why."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.core.codec import decode_value
from triggers_nb.core.configuration import MAX_NAME, is_name, parse_configuration
from triggers_nb.core.instances import TaskConfig
from triggers_nb.errors import ConfigurationError

GOOD: dict[str, Any] = {"after": ["go"], "run": "app.Task"}


@pytest.mark.parametrize(
    ("directives", "directive", "found", "expected"),
    [
        ({"run": "app.Task"}, "after", "nothing", "required"),
        ({"after": ["go"]}, "run", "nothing", "required"),
        ({**GOOD, "after": []}, "after", "[]", "at least one trigger"),
        ({**GOOD, "after": None}, "after", "None", "a list or set of triggers"),
        ({**GOOD, "after": "go"}, "after", "'go'", "a list or set of triggers"),
        ({**GOOD, "after": b"go"}, "after", "b'go'", "a list or set of triggers"),
        ({**GOOD, "after": {"go": 1}}, "after", "{'go': 1}", "a list or set of triggers"),
        ({**GOOD, "after": 5}, "after", "5", "a list or set of triggers"),
        ({**GOOD, "after": ["go", 5]}, "after", "5", "a trigger's name"),
        ({**GOOD, "after": ["go", None]}, "after", "None", "a trigger's name"),
        ({**GOOD, "after": [""]}, "after", "''", "a trigger's name"),
        ({**GOOD, "after": ["a\nb"]}, "after", r"'a\nb'", "a trigger's name"),
        ({**GOOD, "after": [["go"]]}, "after", "['go']", "a trigger's name"),
        ({**GOOD, "after": ["x" * (MAX_NAME + 1)]}, "after", "xxx", "a trigger's name"),
        ({**GOOD, "run": ""}, "run", "''", "name of a task class"),
        ({**GOOD, "run": None}, "run", "None", "name of a task class"),
        ({**GOOD, "run": int}, "run", "<class 'int'>", "name of a task class"),
        ({**GOOD, "run": ["app.Task"]}, "run", "['app.Task']", "name of a task class"),
        ({**GOOD, "andEvery": ""}, "andEvery", "''", "None or a name"),
        ({**GOOD, "andEvery": ["go"]}, "andEvery", "['go']", "None or a name"),
        ({**GOOD, "andEvery": 0}, "andEvery", "0", "None or a name"),
        ({**GOOD, "unless": "stop"}, "unless", "'stop'", "a list or set of triggers"),
        ({**GOOD, "unless": ""}, "unless", "''", "a list or set of triggers"),
        ({**GOOD, "unless": 0}, "unless", "0", "a list or set of triggers"),
        ({**GOOD, "unless": False}, "unless", "False", "a list or set of triggers"),
        ({**GOOD, "unless": {}}, "unless", "{}", "a list or set of triggers"),
        ({**GOOD, "unless": [0]}, "unless", "0", "a trigger's name"),
        ({**GOOD, "using": ""}, "using", "''", "None or a name"),
        ({**GOOD, "using": object}, "using", "<class 'object'>", "None or a name"),
        ({**GOOD, "withParams": [1]}, "withParams", "[1]", "a mapping of mappings"),
        ({**GOOD, "withParams": {"go": 1}}, "withParams['go']", "1", "a mapping of kwargs"),
        ({**GOOD, "withParams": {"go": {"a": (1,)}}}, "withParams", "(1,)", "withParams['go']['a']"),
        ({**GOOD, "withParams": {"go": {1: 2}}}, "withParams", "1", "a string as key"),
        ({**GOOD, "withParams": {1: {}}}, "withParams", "1", "a string as key"),
        ({**GOOD, 5: "five"}, "5", "5", "a string"),
        ({**GOOD, "owner": object}, "directives['owner']", "<class 'object'>", "that can be stored"),
        ({**GOOD, "owner": float("nan")}, "directives['owner']", "nan", "finite"),
        (None, "", "None", "a mapping of directives"),
        ([("after", ["go"])], "", "[('after', ['go'])]", "a mapping of directives"),
    ],
)
def test_a_wrong_directive_is_named_with_what_was_found_and_what_is_expected(
    directives: Any, directive: str, found: str, expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_configuration({"t_good": GOOD, "t_bad": directives})
    message = str(caught.value)
    assert (caught.value.task, caught.value.directive) == ("t_bad", directive)
    assert message.startswith("task 't_bad'")
    assert directive in message
    assert found in message
    assert expected in message
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", ["", None, 5, b"t", "a\x00b", "a\ud800", "x" * (MAX_NAME + 1), "t#1", ("t",)])
def test_a_wrong_task_name_is_an_error(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"a task's name"):
        parse_configuration({name: GOOD})


@pytest.mark.parametrize("configuration", [None, [], "t", 5, {"t"}])
def test_a_configuration_is_a_mapping(configuration: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"^configuration: found .*expected a mapping of task names"):
        parse_configuration(configuration)


@pytest.mark.parametrize("after", [["b", "a", "b"], {"a", "b"}, ("a", "b"), frozenset("ab"), iter("ab")])
def test_triggers_may_be_any_collection_and_order_is_irrelevant(after: Any) -> None:
    record = parse_configuration({"t": {"after": after, "run": "app.Task"}})["t"]
    assert record.after == ("a", "b")


def test_after_may_be_empty_with_and_every() -> None:
    record = parse_configuration({"t": {"after": [], "andEvery": "tick", "run": "app.Task"}})["t"]
    assert record.after == ("tick",)
    assert record.and_every == "tick"


def test_none_leaves_a_directive_out() -> None:
    nothing = dict.fromkeys(("andEvery", "unless", "using", "withParams"))
    assert parse_configuration({"t": {**GOOD, **nothing}}) == parse_configuration({"t": GOOD})


def test_what_is_no_directive_is_kept() -> None:
    record = parse_configuration({"t": {**GOOD, "owner": {"team": "ops"}, "name": "x", "self": 1}})["t"]
    config = TaskConfig.from_record("t", record)
    assert config.extra == {"owner": {"team": "ops"}, "name": "x", "self": 1}


def test_changing_what_was_passed_in_changes_nothing_that_was_read() -> None:
    directives = {**GOOD, "withParams": {"go": {"a": [1]}}, "owner": ["ops"]}
    record = parse_configuration({"t": directives})["t"]
    directives["withParams"]["go"]["a"].append(2)
    directives["owner"].append("dev")
    assert decode_value(record.with_params) == {"go": {"a": [1]}}
    assert decode_value(record.extra) == {"owner": ["ops"]}


names = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="#"), min_size=1, max_size=20)
directive_sets = st.fixed_dictionaries(
    {"after": st.sets(names, min_size=1, max_size=3), "run": names},
    optional={
        "andEvery": st.none() | names,
        "unless": st.sets(names, max_size=3),
        "using": st.none() | names,
        "withParams": st.dictionaries(names, st.dictionaries(names, st.integers(), max_size=2), max_size=2),
        "owner": names,
    },
)


@given(configuration=st.dictionaries(names, directive_sets, max_size=3))
def test_a_serialized_configuration_reads_back_as_the_same(configuration: dict[str, Any]) -> None:
    records = parse_configuration(configuration)
    configs = {name: TaskConfig.from_record(name, record) for name, record in records.items()}
    assert parse_configuration({name: config.serialize() for name, config in configs.items()}) == records
    assert parse_configuration(configs) == records


@given(name=st.text(max_size=5) | st.integers() | st.none())
def test_a_name_is_a_text_that_can_be_shown_and_stored(name: Any) -> None:
    if is_name(name):
        assert name.encode()
        assert "\n" not in name
        assert "\x00" not in name


def test_a_misspelt_directive_that_is_required_is_pointed_out():
    with pytest.raises(ConfigurationError, match="is required; is 'aftr' meant to be it"):
        parse_configuration({"t_a": {"aftr": ["go"], "run": "X"}})
