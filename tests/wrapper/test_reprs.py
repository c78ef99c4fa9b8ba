"""What a notebook shows of workspaces, sessions, tasks and instances."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

import triggers_nb as tnb
from tests.analysis.histories import UID, History, Obey, histories
from triggers_nb.analysis.reading import Source
from triggers_nb.redaction import Redactor
from triggers_nb.session_views import SessionView
from triggers_nb.storages import urls
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.views import StoreView

PLAYED = [("fire", 0, 1), ("run", 0, "fail"), ("fire", 2, 0)]


@pytest.fixture
def view() -> SessionView:
    return SessionView(Source(History().play(PLAYED).store, Redactor()), UID)


def text(thing: Any) -> str:
    bundle = thing._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "<script" not in bundle["text/html"]
    if hasattr(thing, "_repr_html_"):
        assert thing._repr_html_() == bundle["text/html"]
    found: str = bundle["text/plain"]
    return found


def test_a_session_says_what_is_unresolved_and_what_happened(view: SessionView) -> None:
    said = text(view)

    assert said.startswith(f"{UID} · session · manager default · memory://")
    assert "✗ 1 failed  ◷ 1 scheduled" in said
    assert "3 of 3 tasks unresolved: t_each, t_first, t_second." in said
    assert "No instance yet: t_second (waits for t_first)." in said
    assert "ValueError: no seats in t_first#0" in said
    assert "t_first#0 → failed" in said
    assert next(line for line in said.splitlines() if "t_first#0  " in line).endswith("t_second")


def test_a_resolved_session_says_so() -> None:
    played = History().play([("fire", 0, 1), ("run", 0, "finish"), ("fire", 2, 1), ("run", 0, "finish")])
    played.play([("run", 0, "finish")])

    assert "All 3 tasks resolved." in text(SessionView(Source(played.store), UID))


def test_the_past_says_when_it_was(view: SessionView) -> None:
    assert "as it was after event 2" in text(view.at(2))
    assert "1 scheduled" in text(view.at(2))


def test_an_instance_shows_its_kwargs_redacted_and_its_traceback(view: SessionView) -> None:
    said = text(view["t_first#0"])

    assert "t_first#0 failed: ValueError: no seats in t_first#0; it blocks t_second." in said
    assert '"password": "[redacted:' in said
    assert "hunter2" not in said
    assert "Traceback (most recent call last):" in said


def test_a_task_shows_its_directives_and_instances(view: SessionView) -> None:
    said = text(view["t_first"])

    assert "after" in said
    assert '["go"]' in said
    assert "t_first#0  ✗ failed" in said
    assert "t_second has no instance yet: t_first#0 failed (ValueError)." in text(view["t_second"])


def test_an_unknown_name_suggests_near_ones(view: SessionView) -> None:
    with pytest.raises(KeyError, match="Did you mean 't_first'"):
        view["t_frist"]
    with pytest.raises(TypeError):
        iter(view)  # type: ignore[call-overload]


def test_a_workspace_shows_the_sessions_last_changed() -> None:
    store = MemoryStore()
    state = History().play(PLAYED).store.state(UID)
    assert state is not None
    for n in range(12):
        store.load(f"order/{n:02}", state)
    said = text(StoreView(Source(store)))

    assert "In 12 sessions, 12 with something unresolved." in said
    assert "✗ 12 failed  ◷ 12 scheduled" in said
    assert "order/09" in said
    assert "order/10" not in said
    assert "and 2 more sessions: ws.sessions()" in said


def test_an_empty_workspace_says_so() -> None:
    assert "There are no sessions." in text(tnb.connect("memory://empty-repr"))


def test_a_workspace_says_where_and_how(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    store.embedded = False  # type: ignore[misc]
    store.url = "redis://cache:6379/0"
    monkeypatch.setitem(urls._stores, "redis://cache:6379/0", store)
    said = text(tnb.connect("redis://cache:6379/0", actor="ada"))

    assert said.splitlines()[0] == "redis://cache:6379/0 · workspace · read-only · ada · production"


@given(histories)
@settings(max_examples=40)
def test_every_state_can_be_shown_and_always_the_same(history: list[Any]) -> None:
    played = History().play(history)
    view = SessionView(Source(played.store), UID)

    assert view._repr_mimebundle_() == view._repr_mimebundle_()
    for name in [*played.storage.tasks, *played.storage.instance_names()]:
        text(view[name])
    for level in ("task", "instance"):
        text(view.plot(level))  # type: ignore[arg-type]
    text(view.timeline())
    text(StoreView(Source(played.store)).plot())


def test_hostile_names_are_shown_and_do_nothing() -> None:
    hostile = '<img src=x onerror="alert(1)">'
    ws = tnb.connect("memory://hostile-repr")
    s = ws.create(hostile, {hostile: {"after": [hostile + "!"], "run": Obey.name}})
    s.fire(hostile + "!", {hostile: hostile}, reason=hostile)
    from triggers_nb.runners import ThreadingTaskRunner

    ThreadingTaskRunner.join_all()
    for thing in (ws, s, s[hostile], s[hostile + "#0"], s.at(1), s.plot(), s.timeline(), ws.plot()):
        source = thing._repr_mimebundle_()["text/html"]
        assert "<img src=x" not in source
        assert 'onerror="' not in source


def test_a_picture_can_be_kept(view: SessionView, tmp_path: Any) -> None:
    path = view.plot().save(tmp_path / "cascade.svg")

    assert path.read_text(encoding="utf-8").startswith("<svg ")
    assert "t_first" in str(view.plot())
