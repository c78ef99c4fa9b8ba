"""Groups of failures: what is counted, in which order, in which columns."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triggers_nb.analysis.failure_groups import GROUPS, failure_groups, title
from triggers_nb.analysis.schema import FAILURES

START = datetime(2013, 2, 8, tzinfo=UTC)
COLUMNS = {
    "fingerprint": "string", "exception_type": "string", "sample_message": "string", "task": "string",
    "top_frame": "string", "n_instances": "Int64", "n_sessions": "Int64", "first_seen": "datetime64[us, UTC]",
    "last_seen": "datetime64[us, UTC]", "n_blocked": "Int64", "sample_instances": "object",
    "observed_at": "datetime64[us, UTC]",
}  # fmt: skip


def failure(uid: str, instance: str, fingerprint: str | None = "v1-a", **values: Any) -> dict[str, Any]:
    return {
        "session_uid": uid, "instance": instance, "task": instance.partition("#")[0], "exception_type": "KeyError",
        "exception_message": "'seats'", "fingerprint": fingerprint, "top_frame": "tasks.seats:read_row",
        "failed_at": START, "blocked": [], **values,
    }  # fmt: skip


def grouped(*failures: dict[str, Any]) -> list[dict[str, Any]]:
    rows = failure_groups(pd.DataFrame(list(failures))).to_dict("records")
    return [{str(column): value for column, value in row.items()} for row in rows]


@pytest.mark.parametrize("frame", [FAILURES.frame({}), pd.DataFrame([failure("a", "t#0")])], ids=["empty", "one"])
def test_columns_and_dtypes_are_the_same_with_and_without_failures(frame: pd.DataFrame) -> None:
    groups = failure_groups(frame)
    assert {name: str(dtype) for name, dtype in groups.dtypes.items()} == COLUMNS
    assert list(groups.columns) == list(COLUMNS) == GROUPS.names
    assert groups.index.equals(pd.RangeIndex(len(frame)))


def test_the_largest_group_comes_first_then_by_fingerprint() -> None:
    groups = grouped(
        failure("a", "t#0", "v1-c"),
        failure("a", "t#1", "v1-b"),
        failure("a", "t#2", "v1-a"),
        failure("b", "t#0", "v1-b"),
    )
    assert [group["fingerprint"] for group in groups] == ["v1-b", "v1-a", "v1-c"]


def test_instances_sessions_and_blocked_tasks_are_counted_once() -> None:
    first = failure("a", "t#0", blocked=["t_next", "t_report"])
    (group,) = grouped(first, first, failure("a", "t#1", blocked=["t_next"]), failure("b", "t#0", blocked=["t_next"]))
    assert (group["n_instances"], group["n_sessions"], group["n_blocked"]) == (3, 2, 3)


def test_samples_are_the_latest_failures() -> None:
    later = [
        failure(f"s{number}", "t#0", failed_at=START + timedelta(hours=number), exception_message=f"'N{number}'")
        for number in range(7)
    ]
    (group,) = grouped(*later)
    assert group["sample_message"] == "'N6'"
    assert group["sample_instances"] == ["s6/t#0", "s5/t#0", "s4/t#0", "s3/t#0", "s2/t#0"]
    assert (group["first_seen"], group["last_seen"]) == (START, START + timedelta(hours=6))


def test_the_most_frequent_task_is_named() -> None:
    (group,) = grouped(failure("a", "t_b#0"), failure("a", "t_c#0"), failure("a", "t_c#1"), failure("a", "t_b#1"))
    assert group["task"] == "t_b"
    (group,) = grouped(failure("a", "t_b#0"), failure("a", "t_c#0"), failure("a", "t_c#1"))
    assert group["task"] == "t_c"


def test_failures_without_an_exception_are_a_group_of_their_own() -> None:
    bare = {"exception_type": None, "exception_message": None, "top_frame": None, "failed_at": pd.NaT}
    groups = grouped(failure("a", "t#0", None, **bare), failure("b", "t#0", None, **bare), failure("a", "t#1"))
    assert [group["n_instances"] for group in groups] == [2, 1]
    assert groups[0]["fingerprint"] is None
    assert groups[0]["first_seen"] is pd.NaT
    assert groups[0]["sample_instances"] == ["a/t#0", "b/t#0"]


def test_observed_at_is_kept() -> None:
    seen = [START + timedelta(minutes=1), START + timedelta(minutes=2)]
    (group,) = grouped(failure("a", "t#0", observed_at=seen[0]), failure("b", "t#0", observed_at=seen[1]))
    assert group["observed_at"] == seen[1]
    assert grouped(failure("a", "t#0"))[0]["observed_at"] is pd.NaT


def test_a_frame_without_the_columns_is_refused_by_their_names() -> None:
    frame = pd.DataFrame([failure("a", "t#0")]).drop(columns=["blocked", "task"])
    with pytest.raises(ValueError, match=r"no column task, blocked .*ws\.failures\(\)"):
        failure_groups(frame)


@pytest.mark.parametrize("value", [3, None, [], {"fingerprint": []}])
def test_what_is_no_frame_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^found .* expected a pandas\.DataFrame"):
        failure_groups(value)


def test_the_frame_is_not_changed() -> None:
    frame = pd.DataFrame([failure("b", "t#0"), failure("a", "t#0")])
    before = frame.copy(deep=True)
    failure_groups(frame)
    pd.testing.assert_frame_equal(frame, before)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.integers(0, 9), st.sampled_from(["v1-a", "v1-b", None]), st.integers(0, 9),
            st.lists(st.sampled_from(["x", "y", "z"]), unique=True),
        ),
        max_size=30, unique_by=lambda row: row[:2],
    ),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_counts_are_those_of_a_plain_loop_in_any_order(rows: list[Any], random: Any) -> None:
    failures = [
        failure(uid, f"t#{number}", fingerprint, failed_at=START + timedelta(hours=hour), blocked=blocked)
        for uid, number, fingerprint, hour, blocked in rows
    ]
    shuffled = random.sample(failures, len(failures))
    frames = [pd.DataFrame(order, columns=list(failure("", "#"))) for order in (failures, shuffled)]
    groups, again = map(failure_groups, frames)
    pd.testing.assert_frame_equal(groups, again)
    for group in groups.to_dict("records"):
        mine = [row for row in failures if row["fingerprint"] == group["fingerprint"]]
        assert group["n_instances"] == len(mine)
        assert group["n_sessions"] == len({row["session_uid"] for row in mine})
        assert group["n_blocked"] == len({(row["session_uid"], task) for row in mine for task in row["blocked"]})
        assert group["last_seen"] == max(row["failed_at"] for row in mine)
    assert groups["n_instances"].sum() == len(failures)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (("app.errors.BookingError", "tasks.seats:book", "no seats"), "BookingError in tasks.seats:book: no seats"),
        (("ValueError", None, "two\nlines\x1b[0m\u202e"), "ValueError: two lines[0m"),
        (("NotReady", pd.NA, pd.NA), "NotReady"),
        ((None, None, None), "Failed without an exception"),
        (("E", "m:f", "x" * 200), "E in m:f: " + "x" * 109 + "…"),
    ],
)
def test_a_title_is_one_readable_line(row: tuple[Any, Any, Any], expected: str) -> None:
    assert title(dict(zip(("exception_type", "top_frame", "sample_message"), row, strict=True))) == expected
