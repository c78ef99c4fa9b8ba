"""The read API of workspaces and sessions, on every storage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import networkx as nx
import pandas as pd
import pytest

import triggers_nb as tnb
from tests.analysis.histories import UID, History
from tests.storages.redis_servers import redis_place, redis_server  # noqa: F401  (fixtures)
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.schema import MOMENT, SCHEMAS, SPAN
from triggers_nb.core.records import from_us
from triggers_nb.errors import UnknownName, UnknownSession
from triggers_nb.session_views import SessionView
from triggers_nb.storages import urls
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.sqlite import SqliteStore
from triggers_nb.storages.store import Store
from triggers_nb.views import StoreView

PLAYED = [
    ("fire", 0, 1), ("run", 0, "fail"), ("replay", 0, 0), ("run", 0, "fail"), ("fire", 2, 0), ("run", 0, "finish"),
    ("fire", 2, 1), ("run", 0, "retry"), ("fire", 5, 2), ("metadata", 0, 3), ("configure", 0, 0), ("claim", 0, 0),
]  # fmt: skip


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "redis":
        yield request.getfixturevalue("redis_place").open()
    else:
        made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "views.db")
        yield made
        made.close()


@pytest.fixture
def ws(store: Store, monkeypatch: pytest.MonkeyPatch) -> tnb.Workspace:
    History(store).play(PLAYED)
    monkeypatch.setitem(urls._stores, "memory://views", store)
    return tnb.connect("memory://views")


def facts(frame: pd.DataFrame, kind: str) -> list[dict[str, Any]]:
    """All that does not depend on when and by whom it was made."""
    varying = {column.name for column in SCHEMAS[kind].columns if column.dtype in (MOMENT, SPAN)}
    varying |= {"action_id", "actor", "traceback"}
    kept = frame[[name for name in frame.columns if name not in varying]]
    return kept.astype(object).where(kept.notna(), None).to_dict("records")


def test_every_storage_gives_the_same_frames(ws: tnb.Workspace) -> None:
    plain = tnb.connect("memory://views", redact=False)
    other = msgspec.structs.replace(plain._source, store=History().play(PLAYED).store)
    expected = StoreView(other)

    for kind in ("sessions", "instances", "failures", "events"):
        arguments = {"payloads": True} if kind in ("instances", "failures") else {}
        assert facts(getattr(plain, kind)(**arguments), kind) == facts(getattr(expected, kind)(**arguments), kind)
    s, theirs = plain[UID], expected[UID]
    for kind in ("tasks", "triggers", "instances", "failures", "events"):
        assert facts(getattr(s, kind)(), kind) == facts(getattr(theirs, kind)(), kind)


def test_every_storage_remembers_all_of_the_past(store: Store) -> None:
    played = History(store).play(PLAYED)
    view = SessionView(Source(store), UID)

    for seq, state in played.states.items():
        past = view.at(seq)
        found = past._state()
        assert (found.cells, found.seq, found.modified_us) == (state.cells, state.seq, state.modified_us)
        assert past.occurred_at == from_us(state.modified_us)
        assert past.instances()["status"].tolist() == past.at(seq).instances()["status"].tolist()


def test_a_session_is_one_of_its_workspace(ws: tnb.Workspace) -> None:
    s = ws[UID]

    for kind in ("instances", "failures", "events", "stuck"):
        own, all_of_them = getattr(s, kind)(), getattr(ws, kind)()
        assert facts(own, kind) == facts(all_of_them, kind)


def test_instances_are_chosen(ws: tnb.Workspace) -> None:
    everything = ws.instances()

    assert ws.instances(status="failed")["status"].tolist() == ["failed"]
    assert ws.instances(task="t_each")["task"].unique().tolist() == ["t_each"]
    assert ws.instances(task=["t_each", "t_first"])["task"].nunique() == 2
    assert ws.instances("nothing*").empty
    assert ws.instances(since="1h")["instance"].tolist() == everything["instance"].tolist()
    assert ws.instances(until="1h").empty
    assert ws.instances("hist*", status=["finished", "running"])["instance"].tolist() == [
        row.instance for row in everything.itertuples() if row.status in ("finished", "running")
    ]
    assert ws[UID].instances(task="t_first", status="replayed")["instance"].tolist()[0] == "t_first#0"
    with pytest.raises(UnknownName, match=r"no task 't_frist'. Did you mean 't_first'"):
        ws[UID].instances(task="t_frist")


def test_a_span_chooses_the_rows_not_only_their_sessions(ws: tnb.Workspace) -> None:
    # Given a moment after the failures, since when something else has been done in their session
    s = tnb.connect("memory://views", mode="read-write", env="test")[UID]
    before, moment = ws.events(), ws.events()["occurred_at"].max() + pd.Timedelta(microseconds=1)
    failed = ws.failures()
    s.fire("something_else")

    # Then what is older is not within it, and what is newer is
    assert ws.failures(since=moment).empty
    assert ws.failure_groups(since=moment).empty
    assert ws.events(since=moment, max_results=1)["trigger"].tolist() == ["something_else"]
    assert not ws.instances(since=moment)["last_modified_at"].lt(moment).any()
    assert ws.failures(until=moment)["instance"].tolist() == failed["instance"].tolist()
    assert ws.events(until=moment)["seq"].tolist() == before["seq"].tolist()
    assert ws.sessions(since=moment)["session_uid"].tolist() == [UID]
    assert ws.sessions(until=moment).empty


@pytest.mark.parametrize("limit", [0, -1, 2.5, "5", True])
def test_a_limit_that_makes_no_sense_is_refused(limit: Any) -> None:
    ws = tnb.connect("memory://limits")

    for call in (ws.sessions, ws.instances, ws.failures, ws.events):
        with pytest.raises(ValueError, match="max_results="):
            call(max_results=limit)


def test_payloads_are_redacted_unless_asked_otherwise(ws: tnb.Workspace) -> None:
    assert "hunter2" not in ws.instances(payloads=True).to_csv()
    assert "hunter2" not in ws[UID].triggers(payloads=True).to_csv()
    assert "hunter2" in tnb.connect("memory://views", redact=False).instances(payloads=True).to_csv()


def test_markers_are_equal_for_equal_values_and_keys(ws: tnb.Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def markers() -> set[str]:
        kwargs = tnb.connect("memory://views").instances(payloads=True)["kwargs"]
        return {value["password"] for each in kwargs for value in each.values() if "password" in value}

    assert len(markers()) == 1
    assert markers() != markers()
    monkeypatch.setenv("TRIGGERS_REDACTION_KEY", "0123456789abcdef0123")
    assert markers() == markers()


def test_a_session_that_is_gone_says_so_whatever_is_asked(ws: tnb.Workspace) -> None:
    s = ws[UID]
    ws._source.store.delete(UID)

    for ask in (s.instances, s.tasks, s.triggers, s.failures, s.events, s.stuck, s.graph, s.plot, s.timeline):
        with pytest.raises(UnknownSession, match=UID):
            ask()
    with pytest.raises(UnknownSession):
        s.explain("t_first#0")
    with pytest.raises(UnknownSession):
        s.at(1)


def test_graphs_are_graphs(ws: tnb.Workspace) -> None:
    s = ws[UID]

    tasks = s.graph()
    assert tasks.nodes["t_first"]["kind"] == "task"
    assert tasks.nodes["go"]["kind"] == "trigger"
    assert tasks.edges["t_first", "t_second", "after"]["cascade"]
    instances = s.graph("instance")
    assert set(instances) == set(s.instances()["instance"])
    assert instances.has_edge("t_first#0", "t_first#1", "replay")
    assert nx.is_directed_acyclic_graph(instances)
    with pytest.raises(ValueError, match="level='tasks'"):
        s.graph("tasks")  # type: ignore[arg-type]


def test_cascades_are_edges_between_instances() -> None:
    played = History().play([("fire", 0, 1), ("run", 0, "fail"), ("skip", 0, True), ("run", 0, "finish")])
    graph = SessionView(Source(played.store), UID).graph("instance")
    assert graph.has_edge("t_first#0", "t_second#0", "cascade")
    assert graph.number_of_edges() == 1


def test_a_fleet_is_one_graph(ws: tnb.Workspace) -> None:
    graph = ws.graph()
    statuses = ws.instances().groupby("task")["status"].value_counts()

    for task in ("t_first", "t_each"):
        assert graph.nodes[task]["counts"] == statuses[task].to_dict()
    assert graph.nodes["t_first"]["n_sessions"] == 1
    assert graph.nodes["nobody"]["fired"]


def test_what_an_instance_blocks(ws: tnb.Workspace) -> None:
    first = ws[UID].instances(task="t_first")["instance"].iloc[-1]

    assert "t_second" in [blocked.task for blocked in ws[UID].impact(first)]
    with pytest.raises(UnknownName):
        ws[UID].impact("t_no#0")


def test_failures_are_grouped(ws: tnb.Workspace) -> None:
    groups = ws.failure_groups()

    assert groups["n_instances"].tolist() == [1]
    assert groups["exception_type"].tolist() == ["builtins.ValueError"]
    assert groups["fingerprint"].tolist() == ws.failures()["fingerprint"].tolist()
    assert tnb.failure_groups(ws.failures())["fingerprint"].tolist() == groups["fingerprint"].tolist()
    assert ws.failure_groups("nothing*").empty


def test_uids_are_listed_like_summaries(store: Store) -> None:
    for n in (3, 1, 2):
        History(store, uid=f"order-{n}")
    summaries = list(store.summaries())
    middle = summaries[1].modified_us

    assert store.uids() == [summary.uid for summary in summaries] == ["order-2", "order-1", "order-3"]
    assert store.uids(since_us=middle) == ["order-2", "order-1"]
    assert store.uids(until_us=middle) == ["order-3"]
    store.delete("order-1")
    assert store.uids() == ["order-2", "order-3"]
