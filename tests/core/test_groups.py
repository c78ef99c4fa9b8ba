"""Open instances of a task are kept as ranges of numbers, whatever is added and taken away."""

from hypothesis import given
from hypothesis import strategies as st

from triggers_nb.core import records as rec
from triggers_nb.core import transitions
from triggers_nb.core.records import MAX_LINKS, ConfigRecord, Group, InstanceRecord, Raw, TaskRecord
from triggers_nb.core.work import Slice, Work

EMPTY = Raw(b"\x80")
helds = st.sampled_from([(), ("a",), ("a", "b")])
seens = st.sampled_from([(), ("x",)])


def instance(index: int, held: tuple[str, ...], seen: tuple[str, ...]) -> InstanceRecord:
    kwargs = dict.fromkeys(held, EMPTY)
    return InstanceRecord("t", index, 0, rec.new_stamps(1, 0), seen=seen, kwargs=kwargs)


def indices(ranges: tuple[int, ...]) -> list[int]:
    return [index for i in range(0, len(ranges), 2) for index in range(ranges[i], ranges[i + 1])]


def members(record: TaskRecord) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
    return {index: (group.held, group.seen) for group in record.groups for index in indices(group.ranges)}


@given(
    steps=st.lists(
        st.tuples(st.booleans(), st.integers(0, 20), helds, seens),
        max_size=40,
    )
)
def test_groups_hold_exactly_what_is_open(
    steps: list[tuple[bool, int, tuple[str, ...], tuple[str, ...]]],
) -> None:
    # given a session that does not exist, so that nothing has to be read
    work = Work(Slice("s", 0, {}), "test", 1)
    expected: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    # when instances are opened, moved and closed
    for is_open, index, held, seen in steps:
        if index in expected:
            transitions.close_instance(work, instance(index, *expected.pop(index)))
        if is_open:
            transitions.open_instance(work, instance(index, held, seen))
            expected[index] = (held, seen)
    # then the groups say so, each range once, sorted, none touching the next
    record = work.task("t")
    assert members(record) == expected
    assert len({(group.held, group.seen) for group in record.groups}) == len(record.groups)
    for group in record.groups:
        assert list(group.ranges) == sorted(set(group.ranges))
        assert len(group.ranges) % 2 == 0
    # and the links name them all if they are few
    names = [f"i:t#{index}" for index in sorted(expected)]
    assert list(record.links) == (names if len(names) <= MAX_LINKS else [])


@given(numbers=st.sets(st.integers(0, 60)))
def test_touching_ranges_are_joined(numbers: set[int]) -> None:
    work = Work(Slice("s", 0, {}), "test", 1)
    for number in sorted(numbers, key=lambda number: (number * 7919) % 61):
        transitions.open_instance(work, instance(number, (), ()))
    n_runs = sum(number - 1 not in numbers for number in numbers)
    (ranges,) = [group.ranges for group in work.task("t").groups] or [()]
    assert indices(ranges) == sorted(numbers)
    assert len(ranges) == 2 * n_runs


def test_a_thousand_waiting_instances_take_little_room() -> None:
    record = transitions.task_record("t", 1000, (Group(("tick",), (), (0, 1000)),))
    assert len(rec.encode_record(record)) < 40
    assert record.links == ()


def test_a_configuration_knows_its_triggers() -> None:
    config = ConfigRecord("app.Task", ("a", "b"), "b", ("x",), None, EMPTY, EMPTY)
    assert config.triggers() == {"a", "b", "x"}
