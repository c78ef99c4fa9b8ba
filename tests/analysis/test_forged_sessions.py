"""What a forged session holds is read, or told to be damaged; it never takes down what is said of the others."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from msgspec import msgpack

import triggers_nb as tnb
from tests.analysis.histories import History, Nowhere
from triggers_nb.errors import ConfigurationError, StorageError, UnknownName, UnreadableSession
from triggers_nb.storages.store import Cell, DueItem, SessionState, StoredEvent
from triggers_nb.workspace import Workspace

HISTORY = [
    ("fire", 0, 1), ("fire", 2, 1), ("run", 0, "fail"), ("run", 0, "finish"), ("replay", 0, 1), ("fire", 2, 2),
    ("run", 0, "skip"), ("status", 0, "abandoned"), ("fire", 2, 1), ("claim", 0, 0), ("fire", 2, 3),
    ("configure", 0, 0), ("configure", 2, 0), ("fire", 0, 1), ("run", 0, "fail"), ("draft", 0, 1), ("fire", 2, 3),
]  # fmt: skip
PLAYED = History(uid="good").play(HISTORY)
STATE = PLAYED.store.state("good")
assert STATE is not None
EVENTS = PLAYED.store.events("good")
SCHEDULED = next(f"i:{i.name}" for i in PLAYED.storage if i.status == "scheduled")
#: Position of the metadata in an instance's record.
METADATA = 13


class Session(NamedTuple):
    state: SessionState
    events: list[StoredEvent]
    #: What was forged.
    said: Sequence[object] = ()

    def __repr__(self) -> str:
        return f"{self.said}"


def ext(code: int, value: Any) -> msgpack.Ext:
    return msgpack.Ext(code, msgpack.encode(value))


LAST = ext(1, ["9999-12-31T23:59:59.999999", 0, [-86_399_999_999, None]])
NAIVE = ext(1, ["2013-01-01T00:00:00", 0, None])
HUGE = ext(9, "0x" + "f" * 5000)

values = st.sampled_from(
    [None, True, [], {}, -1, 0, 7, 2**53, 2**63, 2**64 - 1, 1e308, float("nan"), float("inf"), "", "x\0", "a\nb",
     "<b>&", "x" * 5000, b"", b"\xff", [1], {"a": {"b": [None]}}, "t_first#0", "t_first#00", LAST, NAIVE, HUGE,
     ext(4, [999_999_999, 0, 0]), ext(5, "NaN"), ext(5, "1E+999999"), ext(7, [1, "a"]), ext(99, 0),
     {"created": "x", "running": 1}, {"failed": NAIVE, "finished": 3}, {"created": LAST}]
)  # fmt: skip
keys = st.sampled_from(
    ["timestamps", "cooldown", "depth", "parent", "logLevel", "logsResolved", "exceptionInfo", "exceptionType",
     "exceptionContext", "result", "actualKwargs", "cascade", "", "x\0"]
)  # fmt: skip
moments = st.sampled_from([0, -1, 2**53, 2**62, -(2**62), 253_402_300_800_000_000, -62_135_596_800_000_001])
odd_cells = st.sampled_from(
    [
        "",
        "c:",
        "i:",
        "i:t_first",
        "i:#0",
        "k:",
        "g:",
        "t:",
        "x",
        "i:nope#0",
        "c:t_new",
        "c:a\nb",
        "k:\0",
        "i:t_first#00",
    ]
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from paths(each, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@st.composite
def forged_bytes(draw: st.DrawFn, data: bytes) -> bytes:
    """What is well-formed, but holds something else in one place."""
    value = msgpack.decode(data)
    path = draw(st.sampled_from(list(paths(value))))
    old = value
    for key in path:
        old = old[key]
    new = {**old, draw(keys): draw(values)} if isinstance(old, dict) and draw(st.booleans()) else draw(values)
    if isinstance(old, bytes) and draw(st.booleans()):
        new = bytes([draw(st.sampled_from([0, 64, 127, 128, 255]))]) * len(old)
    return msgpack.encode(replaced(value, path, new))


@st.composite
def forged_sessions(draw: st.DrawFn) -> Session:
    cells, counts, due, events = dict(STATE.cells), dict(STATE.counts), dict(STATE.due), list(EVENTS)
    fields: dict[str, int] = {}
    said: list[object] = []
    for _ in range(draw(st.integers(1, 3))):
        kind = draw(
            st.sampled_from(["cell", "metadata", "odd cell", "no cell", "event", "moment", "count", "due", "field"])
        )
        if kind == "cell":
            name = draw(st.sampled_from(sorted(STATE.cells)))
            cells[name] = Cell(1, draw(forged_bytes(STATE.cells[name].data)))
        elif kind == "metadata":
            name = draw(st.sampled_from(sorted(name for name in STATE.cells if name.startswith("i:"))))
            cells[name] = with_metadata(name, draw(keys), draw(values))
        elif kind == "odd cell":
            cells[draw(odd_cells)] = STATE.cells[draw(st.sampled_from(sorted(STATE.cells)))]
        elif kind == "no cell":
            cells.pop(draw(st.sampled_from(sorted(STATE.cells))), None)
        elif kind in ("event", "moment"):
            at = draw(st.integers(0, len(events) - 1))
            new = {"at_us": draw(moments)} if kind == "moment" else {"data": draw(forged_bytes(EVENTS[at].data))}
            events[at] = events[at]._replace(**new)
        elif kind == "count":
            counts[draw(st.sampled_from([*sorted(counts), "l:99", "l:²", "l:-1", "l:" + "9" * 5000]))] = draw(moments)
        elif kind == "due":
            due[draw(st.sampled_from([*sorted(due), "p:t_each#0", "x", ""]))] = DueItem(draw(moments), b"\xff")
        else:
            fields[draw(st.sampled_from(["created_us", "modified_us"]))] = draw(moments)
        said.append(kind)
    forged = msgspec.structs.replace(STATE, cells=cells, counts=counts, due=due, **fields)
    said += [(name, cell.data[:2000]) for name, cell in cells.items() if cell != STATE.cells.get(name)]
    said += [each for each, was in zip(events, EVENTS, strict=True) if each != was]
    said += [sorted(set(counts.items()) - set(STATE.counts.items())), due, fields]
    return Session(forged, events, said)


def with_metadata(name: str, key: str, value: Any) -> Cell:
    record = msgpack.decode(STATE.cells[name].data)
    record[METADATA] = {**record[METADATA], key: value}
    return Cell(1, msgpack.encode(record))


def connect(*sessions: tuple[str, Session]) -> Workspace:
    ws = tnb.connect("memory://forged", runner=Nowhere.name)
    ws.store.clear()
    for uid, session in sessions:
        ws.store.load(uid, session.state, session.events)  # type: ignore[attr-defined]
    return ws


exports = count()


def read_fleet(ws: Workspace, path: Path) -> dict[str, Any]:
    """Everything that can be asked of all sessions, as far as it tells of the good one."""
    frames = {
        "sessions": ws.sessions(),
        "instances": ws.instances(payloads=True),
        "failures": ws.failures(payloads=True),
        "stuck": ws.stuck(older_than="0s"),
        "events": ws.events(),
    }
    groups, graph, exported = ws.failure_groups(), ws.graph(), ws.export(path / str(next(exports)), payloads=True)
    told = (ws._repr_html_(), ws._repr_mimebundle_()["text/plain"], ws.plot()._repr_html_(), repr(ws.plot()))
    frames["written"] = _written(exported.path)
    for frame in (*frames.values(), groups):
        frame.to_string()
        frame._repr_html_()
    assert all(told)
    n_failed = frames["failures"]["session_uid"].eq("good").sum()
    good = {name: _told(frame[frame["session_uid"].eq("good")]) for name, frame in frames.items()}
    return good | {
        "groups": groups["n_instances"].sum() >= n_failed,
        "graph": {"t_first", "t_each", "go"} <= set(graph),
    }


def _told(frame: Any) -> str:
    told = frame.drop(columns=["observed_at", "age"], errors="ignore").to_csv(index=False)
    return re.sub("redacted:[0-9a-f]+", "redacted", told)


def _written(path: Path) -> Any:
    import pandas as pd

    return pd.concat([pd.read_parquet(each) for each in sorted((path / "instances").rglob("*.parquet"))])


@pytest.fixture(scope="module", autouse=True)
def nothing_is_overdue() -> Iterator[None]:
    """However long the tests take, what waits is as stuck at their end as at their beginning."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("triggers_nb.analysis.stuck.OVERDUE_US", 10**15)
        yield


@pytest.fixture(scope="module")
def expected(nothing_is_overdue: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return read_fleet(connect(("good", Session(STATE, EVENTS))), tmp_path_factory.mktemp("expected"))


@given(forged_sessions())
@settings(max_examples=40, phases=[Phase.generate])
def test_a_forged_session_never_takes_down_what_is_said_of_the_fleet(
    expected: dict[str, Any], tmp_path_factory: pytest.TempPathFactory, forged: Session
) -> None:
    ws = connect(("good", Session(STATE, EVENTS)), ("forged", forged))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadableSession)
        found = read_fleet(ws, tmp_path_factory.mktemp("forged"))

    assert found == expected


def read_session(ws: Workspace, uid: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Everything that can be asked of one session, and shown of it."""
    session = ws[uid]
    yield from (
        (name, lambda name=name: getattr(session, name)().to_string())  # type: ignore[misc]
        for name in ("tasks", "instances", "triggers", "failures", "events", "stuck")
    )
    yield "payloads", lambda: session.instances(payloads=True).to_string()
    yield "trigger payloads", lambda: session.triggers(payloads=True).to_string()
    yield "graph", lambda: (repr(session.plot()), session.plot()._repr_html_())
    yield "instance graph", lambda: (repr(session.plot("instance")), session.plot("instance")._repr_html_())
    yield "timeline", lambda: (repr(session.timeline()), session.timeline()._repr_html_())
    yield "html", session._repr_html_
    yield "diff", lambda: session.diff(1, 12).to_string()
    yield "at", lambda: session.at(5)._repr_html_()
    yield "lint", lambda: tnb.lint({name: task.serialize() for name, task in session.storage.tasks.items()})
    yield "storage", lambda: (session.storage.debug_repr(), session.storage.get_instances_with_unresolved_logs())
    for name in STATE.cells:
        if name.startswith(("i:", "c:")):
            yield f"explain {name}", lambda name=name[2:]: session.explain(name)._repr_mimebundle_()  # type: ignore[misc]
            yield f"show {name}", lambda name=name[2:]: session[name]._repr_mimebundle_()  # type: ignore[misc]
        if name.startswith("i:"):
            yield f"impact {name}", lambda name=name[2:]: session.impact(name)  # type: ignore[misc]


#: What says why something cannot be read: it is damaged, not there, or no configuration that could be linted.
REFUSALS = (StorageError, UnknownName, ConfigurationError)


@given(forged_sessions())
@settings(max_examples=40, phases=[Phase.generate])
def test_of_a_forged_session_everything_is_read_or_told_to_be_damaged(forged: Session) -> None:
    ws = connect(("forged", forged))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadableSession)
        for _, read in read_session(ws, "forged"):
            with suppress(*REFUSALS):
                read()


def forge(change: str, value: Any) -> Session:
    kind, _, where = change.partition(" ")
    cells, counts, events, fields = dict(STATE.cells), dict(STATE.counts), list(EVENTS), {}
    if kind == "metadata":
        cells[SCHEDULED] = with_metadata(SCHEDULED, where, value)
    elif kind == "count":
        counts[where] = value
    elif kind == "event":
        events[0] = events[0]._replace(at_us=value)
    elif kind == "without":
        del cells[where]
    else:
        fields[where] = value
    return Session(msgspec.structs.replace(STATE, cells=cells, counts=counts, **fields), events)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("metadata cooldown", ["soon"]),
        ("metadata cooldown", float("inf")),
        ("metadata cooldown", 10**19),
        ("metadata depth", "deep"),
        ("metadata logLevel", []),
        ("metadata parent", {"name": 1}),
        ("metadata timestamps", {"failed": NAIVE, "finished": 3, "scheduled": "soon"}),
        ("metadata result", HUGE),
        ("count l:²", 1),
        ("count l:" + "9" * 5000, 1),
        ("event at_us", 2**62),
        ("field modified_us", 2**62),
        ("field created_us", -(2**62)),
        ("without head", None),
        ("without c:t_first", None),
    ],
)
def test_what_was_found_to_be_taken_for_something_else_is_told(
    expected: dict[str, Any], tmp_path: Path, change: str, value: Any
) -> None:
    ws = connect(("good", Session(STATE, EVENTS)), ("forged", forge(change, value)))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadableSession)
        assert read_fleet(ws, tmp_path) == expected
        for _, read in read_session(ws, "forged"):
            with suppress(*REFUSALS):
                read()
