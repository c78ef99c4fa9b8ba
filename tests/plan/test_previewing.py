"""Previews: what they say, and that they leave everything as it is."""

import logging
import threading
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
import redis

import triggers_nb as tnb
from tests.plan import fifo
from tests.plan.flights import connect, make_fleet
from tests.storages.redis_servers import RedisServer
from triggers_nb.errors import CommitConflict, InvalidValue
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.plan.frames import COMPARISON, PREVIEW
from triggers_nb.plan.trying import MAX_RESTARTS
from triggers_nb.recovery import recover

COLUMNS = ["action", "target", "to_status", "certainty", "origin"]


@trigger_managers.register("tests-meddler")
class Meddler(TriggerManager):
    """Does in its hook whatever a test has put there."""

    acts: ClassVar[list[Callable[[TriggerManager, str], object]]] = []

    def _post_fire(self, trigger_name, tasks_scheduled):
        for act in self.acts:
            act(self, trigger_name)


@pytest.fixture
def meddle():
    """A function that sets what the hooks of managers `tests-meddler` do."""
    yield Meddler.acts.append
    Meddler.acts.clear()


def rows(frame, *columns):
    return [
        tuple(None if value is pd.NA else value for value in row)
        for row in frame[list(columns or COLUMNS)].itertuples(index=False)
    ]


# What it says ---------------------------------------------------------------------------------------------------------


def test_every_consequence_is_a_row_with_certainty_and_origin():
    session = make_fleet(1)["f0"]

    preview = session.plan.replay("t_import#0", merge_kwargs={"scheduled": {"plane": "N1"}}).preview()

    assert rows(preview) == [
        ("status", "t_import#0", "replayed", "certain", "direct"),
        ("create", "t_import#1", "scheduled", "certain", "direct"),
        ("status", "t_import#1", "finished", "if_succeeds", "cascade"),
        ("fire", "t_import", None, "if_succeeds", "cascade"),
        ("apply", "t_rebook#0", "scheduled", "if_succeeds", "cascade"),
        ("status", "t_rebook#0", "finished", "if_succeeds", "cascade"),
        ("fire", "t_rebook", None, "if_succeeds", "cascade"),
        ("create", "t_close#0", "scheduled", "if_succeeds", "cascade"),
        ("status", "t_close#0", "finished", "if_succeeds", "cascade"),
        ("fire", "t_close", None, "if_succeeds", "cascade"),
    ]
    assert list(preview.columns) == PREVIEW.names
    assert preview["kwargs"][1]["scheduled"]["plane"] == "N1"
    assert preview["kwargs"][4] is None, "its kwargs rest on a result that nobody knows"


def test_a_skip_with_a_cascade_is_certain_as_far_as_no_task_runs():
    session = make_fleet(1)["f0"]

    preview = session.plan.skip("t_import#0", cascade=True, result={"seats": 50}).preview()

    assert rows(preview, "target", "certainty")[:4] == [
        ("t_import#0", "certain"),
        ("t_import", "certain"),
        ("t_rebook#0", "certain"),
        ("t_rebook#0", "if_succeeds"),
    ]
    assert preview["kwargs"][1] == {"seats": 50}
    assert preview["kwargs"][2] == {"cancelled": {}, "t_import": {"seats": 50}}


def test_what_stays_blocked_is_said():
    session = make_fleet(1)["f0"]

    skipped = session.plan.skip("t_import#0").preview()
    failing = session.plan.replay("t_import#0").preview(outcomes={"t_import": LookupError("still no plane")})

    for preview in (skipped, failing):
        blocked = preview[preview["action"].eq("blocked")]
        assert rows(blocked, "target", "trigger") == [("t_rebook", "t_import"), ("t_close", "t_rebook")]
    assert "blocked" not in list(session.plan.skip("t_import#0", cascade=True).preview()["action"])


def test_and_every_adds_and_unless_abandons():
    ws = connect()
    ws.store.clear()
    session = ws.create(
        "s",
        {
            "t_each": {"after": [], "andEvery": "tick", "run": "x"},
            "t_wait": {"after": ["go", "tick"], "unless": ["stop"], "run": "x"},
        },
    )
    session.fire("tick")

    assert ("create", "t_each#1", "scheduled", "certain", "direct") in rows(session.plan.fire("tick").preview())
    assert ("apply", "t_wait#0", "abandoned", "certain", "direct") in rows(session.plan.fire("stop").preview())


@pytest.mark.parametrize(
    "outcomes", [{"t_import": {"seats": 3}}, {"t_import#1": {"seats": 3}}, {("f0", "t_import#1"): {"seats": 3}}]
)
def test_outcomes_are_assumed_by_task_by_name_or_by_session_and_name(outcomes):
    preview = make_fleet(1)["f0"].plan.replay("t_import#0").preview(outcomes=outcomes)

    fired = preview[preview["target"].eq("t_import")]
    assert rows(fired, "certainty") == [("certain",)]
    assert fired["kwargs"].item() == {"seats": 3}


def test_an_exception_that_is_assumed_for_many_keeps_nothing_of_the_preview():
    ws = make_fleet(3)
    error = LookupError("still no plane")

    ws.plan.replay(ws.failures()).preview(outcomes={"t_import": error})

    assert error.__traceback__ is error.__context__ is None


def test_an_outcome_that_was_assumed_in_vain_is_said_and_nonsense_refused():
    plan = make_fleet(1)["f0"].plan.replay("t_import#0")

    preview = plan.preview(outcomes={"t_improt": {}})

    assert "t_improt" in list(preview.loc[preview["action"].eq("note"), "target"])
    with pytest.raises(InvalidValue, match=r"outcomes\['t_import'\]"):
        plan.preview(outcomes={"t_import": 3})
    with pytest.raises(ValueError, match="max_steps=-1"):
        plan.preview(max_steps=-1)
    with pytest.raises(TypeError, match="expected a subclass of TriggerManager"):
        plan.preview(manager="default")


def test_a_cycle_ends_with_a_row_that_says_so():
    ws = connect()
    ws.store.clear()
    session = ws.create("s", {"t_again": {"after": [], "andEvery": "t_again", "run": "x"}})

    preview = session.plan.fire("t_again").preview(max_steps=5)

    assert rows(preview.tail(1), "action", "detail") == [("stopped", "after 5 instances (max_steps)")]
    assert preview["to_status"].eq("finished").sum() == 5


def test_a_target_that_has_moved_on_is_said_to_be_refused():
    ws = make_fleet(1)
    plan = ws["f0"].plan.replay("t_import#0")
    ws["f0"].update_metadata("t_import#0", {"looked": "at"})

    preview = plan.preview()

    assert rows(preview, "action")[0] == ("refused",)
    assert "StaleTarget" in preview["detail"][0]


# Hooks ----------------------------------------------------------------------------------------------------------------


def test_without_hooks_those_that_are_overridden_are_named_once():
    ws = make_fleet(3, manager="tests-meddler")

    preview = ws.plan.replay(ws.failures()).preview()

    left_out = preview[preview["action"].eq("not simulated")]
    assert rows(left_out, "target", "origin") == [("Meddler._post_fire", "hook")]


def test_a_hook_that_raises_leaves_a_row(meddle):
    def break_down(manager, trigger):
        if trigger == "t_import":
            raise RuntimeError("no network")

    session = make_fleet(1, manager="tests-meddler")["f0"]
    meddle(break_down)

    preview = session.plan.replay("t_import#0").preview(hooks=True)

    assert rows(preview[preview["action"].eq("hook")], "detail", "origin") == [
        ("builtins.RuntimeError: no network", "hook")
    ]
    assert ("apply", "t_rebook#0", "scheduled", "if_succeeds", "cascade") in rows(preview)


WRITES = ["commit", "trim_events", "postpone", "settle", "acquire_lock", "release_lock", "delete", "clear"]


def everything_about(ws, journal: Path):
    return (
        {uid: (ws.store.state(uid), ws.store.events(uid), ws.store.first_event_seq(uid)) for uid in ws},
        ws.store.due(),
        ws.store.next_due_us(),
        journal.read_bytes() if journal.exists() else b"",
        {thread.name for thread in threading.enumerate()},
    )


@pytest.mark.parametrize("scheme", ["memory", "sqlite"])
def test_a_preview_never_writes_runs_publishes_or_logs(scheme, tmp_path, journal, meddle, caplog, monkeypatch):
    # Given hooks that change, lock, schedule, fail, read, and reach for another session
    url = f"sqlite:///{tmp_path}/flights.db" if scheme == "sqlite" else "memory://flights"
    ws = make_fleet(2, url, manager="tests-meddler")
    touched = []

    def reach(manager, trigger):
        with manager.storage.acquire_lock() as locked:
            locked["t_rebook#0"].metadata["locked"] = True
            locked.save()
        manager.fire("scheduled", {"again": trigger}, once=True)
        manager.update_instance_metadata("t_import#0", {"n": len(list(manager.storage))})
        touched.append(manager.storage.debug_repr()["metas"])
        manager.recover()

    def stray(manager, trigger):
        other = tnb.CacheStorageBackend("f1", url)
        type(manager)(other).fire("cancelled")

    before, handed_over = everything_about(ws, journal), fifo.waiting()
    meddle(reach)
    meddle(stray)
    written = []
    writes = {name: lambda *_, name=name, **__: written.append(name) for name in WRITES}
    monkeypatch.setattr(ws.store, "__class__", type("Recorded", (type(ws.store),), writes))
    caplog.set_level(logging.DEBUG)

    # When all of it is tried out
    for plan in (ws.plan.replay(ws.failures()), ws["f0"].plan.fire(["cancelled", "t_import"])):
        preview = plan.preview(hooks=True)
        # Then the hooks have run, on the overlay
        assert preview["origin"].eq("hook").any()
        # And reaching for another session was refused, which a row says
        assert preview["detail"].str.contains("session 'f1'.*a preview changes nothing elsewhere").any()

    # And nothing is different from before: cells, events, locks, due items, runner, journal, threads, log
    assert touched
    assert written == []
    assert everything_about(ws, journal) == before
    assert fifo.waiting() == handed_over
    assert [record for record in caplog.records if record.name.startswith("triggers")] == []


def test_a_preview_leaves_every_byte_in_redis_as_it_is(meddle):
    server = RedisServer()
    try:
        ws = make_fleet(2, server.url, manager="tests-meddler", env="dev", mode="read-write")
        with redis.Redis.from_url(server.url) as client:

            def dump():
                return {
                    key: (client.dump(key), client.ttl(key)) for key in client.scan_iter()
                }, client.pubsub_channels()

            before = dump()
            meddle(lambda manager, trigger: manager.fire("noticed", {"after": trigger}, once=True))
            preview = ws.plan.skip(ws.failures(), cascade=True).preview(hooks=True)

            assert preview["origin"].eq("hook").any()
            assert dump() == before
        ws.close()
    finally:
        server.kill()
        server.remove()


def lock_and_release(url):
    with tnb.CacheStorageBackend("f1", url).acquire_lock():
        pass


AGAINST_OTHERS = {
    "clear": lambda url: tnb.CacheStorageBackend("other", url).cache.clear(),
    "clear the store": lambda url: tnb.CacheStorageBackend("other", url).store.clear(),
    "delete": lambda url: tnb.CacheStorageBackend("other", url).store.delete("f1"),
    "trim": lambda url: tnb.CacheStorageBackend("f1", url).store.trim_events("f1", 0),
    "lock": lock_and_release,
    "settle": lambda url: tnb.CacheStorageBackend("f1", url).store.settle("f1", "p:t_import#0"),
    "fire": lambda url: TriggerManager(tnb.CacheStorageBackend("made", url)).fire("go"),
    "fire here": lambda url: Meddler(tnb.CacheStorageBackend("f0", url)).fire("go"),
    "recover": recover,
    "fire by a workspace": lambda url: tnb.connect(url)["f1"].fire("cancelled"),
}


@pytest.mark.parametrize("is_swallowed", [False, True])
@pytest.mark.parametrize("act", AGAINST_OTHERS.values(), ids=AGAINST_OTHERS)
def test_a_hook_changes_no_store_while_a_plan_is_tried_out_and_a_row_says_that_it_wanted_to(
    act, is_swallowed, tmp_path, meddle, journal
):
    # Given a hook that opens the storage by its URL, and may keep its errors to itself
    url = f"sqlite:///{tmp_path}/flights.db"
    ws = make_fleet(2, url, manager="tests-meddler")
    before = everything_about(ws, journal)

    def reach(manager, trigger):
        with suppress(Exception) if is_swallowed else nullcontext():
            act(url)

    meddle(lambda manager, trigger: manager.fire("noticed", {"after": trigger}, once=True))
    meddle(reach)

    # When a plan is tried out
    preview = ws["f0"].plan.fire("cancelled").preview(hooks=True)

    # Then nothing is changed, one row says what was refused, and the other hook has been tried out all the same
    assert everything_about(ws, journal) == before
    said = preview[preview["detail"].str.contains("a preview changes nothing elsewhere", na=False)]
    assert said["action"].unique().tolist() == (["note"] if is_swallowed else ["hook"])
    assert said["origin"].unique().tolist() == ["hook"]
    assert ("fire", "noticed", None, "certain", "hook") in rows(preview)
    # And afterwards the same is allowed
    Meddler.acts.clear()
    act(url)


def test_a_hook_cannot_execute_a_plan_while_another_is_tried_out(meddle, journal):
    ws = make_fleet(2, manager="tests-meddler")
    size = journal.stat().st_size
    meddle(lambda manager, trigger: ws["f1"].fire("cancelled"))

    preview = ws["f0"].plan.fire("cancelled").preview(hooks=True)

    assert preview["detail"].str.contains("a preview changes nothing elsewhere").any()
    assert journal.stat().st_size == size


def test_a_preview_leaves_threads_free_to_change_other_sessions(meddle):
    ws = make_fleet(2, manager="tests-meddler")
    plan = ws["f0"].plan.fire("cancelled")

    def change_elsewhere(manager, trigger):
        if manager.storage.store is not ws.store:
            thread = threading.Thread(target=ws["f1"].update_metadata, args=("t_import#0", {"by": "a thread"}))
            thread.start()
            thread.join()

    meddle(change_elsewhere)
    plan.preview(hooks=True)

    assert ws["f1"].storage["t_import#0"].metadata["by"] == "a thread"


# Other managers, other modes ------------------------------------------------------------------------------------------


class Candidate(TriggerManager):
    """Registered nowhere; fires the rebooking whatever became of the import."""

    def _post_fire(self, trigger_name, tasks_scheduled):
        self.fire("rebooked", {"by": "candidate"}, once=True)


def test_an_unregistered_candidate_is_tried_out_and_the_session_keeps_its_manager():
    ws = make_fleet(1, manager="tests-meddler")
    plan = ws["f0"].plan.skip("t_import#0", cascade=True)

    preview = plan.preview(hooks=True, manager=Candidate)

    assert ("fire", "rebooked", None, "certain", "hook") in rows(preview)
    assert ws["f0"].storage.manager_key == "tests-meddler"
    assert rows(plan.preview(manager=Candidate).tail(1), "target") == [("Candidate._post_fire",)]


def test_a_candidate_can_be_tried_out_where_the_manager_is_not_installed():
    make_fleet(1, manager="tests-meddler")
    registered = trigger_managers.get_class("tests-meddler")
    trigger_managers.unregister("tests-meddler")
    try:
        plan = connect()["f0"].plan.replay("t_import#0")
        with pytest.raises(LookupError, match="belongs to manager 'tests-meddler'"):
            plan.preview()
        assert len(plan.preview(manager=Candidate))
    finally:
        trigger_managers.register("tests-meddler")(registered)


@pytest.mark.parametrize("options", [{"mode": "read-only"}, {"env": "production"}])
def test_a_workspace_that_may_not_change_anything_can_preview(options):
    make_fleet(1)
    ws = connect(**options)

    assert rows(ws.plan.replay(ws.failures()).preview()) == rows(connect()["f0"].plan.replay("t_import#0").preview())


def test_where_nothing_says_where_work_runs_a_preview_shows_what_would_happen_and_notes_it(monkeypatch):
    ws = make_fleet(1)
    monkeypatch.setattr(type(ws.store), "embedded", False)
    ws.runner = None

    preview = ws["f0"].plan.replay("t_import#0").preview()

    assert ("create", "t_import#1", "scheduled", "certain", "direct") in rows(preview)
    (note,) = preview.loc[preview["action"].eq("note"), "detail"]
    assert "executed from here, this step is refused: NoRunner" in note


# While others work ----------------------------------------------------------------------------------------------------


def test_a_preview_starts_again_when_its_session_changes_meanwhile(meddle):
    ws = make_fleet(1, manager="tests-meddler")
    plan = ws["f0"].plan.fire("cancelled")
    moved = []

    def move_once(manager, trigger):
        if not moved and manager.storage.store is not ws.store:
            moved.append(trigger)
            other = connect()["f0"]
            thread = threading.Thread(target=other.update_metadata, args=("t_import#0", {"moved": True}))
            thread.start()
            thread.join()
            with suppress(Exception):  # a hook may swallow anything
                manager.get_unresolved_tasks()
        manager.get_unresolved_tasks()

    meddle(move_once)
    preview = plan.preview(hooks=True)

    assert moved
    assert "hook" not in list(preview["action"])
    assert len(preview[preview["target"].eq("cancelled")]) == 1


def test_a_session_that_is_never_quiet_is_said_to_be(meddle):
    ws = make_fleet(1, manager="tests-meddler")
    plan = ws["f0"].plan.fire("cancelled")
    turns = []

    def move(manager, trigger):
        if manager.storage.store is not ws.store:
            turns.append(trigger)
            thread = threading.Thread(target=connect()["f0"].update_metadata, args=("t_import#0", {"n": len(turns)}))
            thread.start()
            thread.join()
            manager.get_unresolved_tasks()

    meddle(move)

    with pytest.raises(CommitConflict, match="try again when it is quieter"):
        plan.preview(hooks=True)
    assert len(turns) == MAX_RESTARTS


# Comparing ------------------------------------------------------------------------------------------------------------


def test_two_managers_are_compared_on_the_same_plan():
    ws = make_fleet(2, manager="tests-meddler")
    plan = ws.plan.skip(ws.failures().sort_values("session_uid"), cascade=True)

    compared = tnb.compare(plan.preview(hooks=True), plan.preview(hooks=True, manager=Candidate))

    assert list(compared.columns) == COMPARISON.names
    assert {str(dtype) for dtype in compared.dtypes} == {"string", "Int64", "object"}
    differing = compared[compared["found_in"].ne("both")]
    assert rows(differing, "found_in", "session_uid", "target") == [
        ("second", "f0", "rebooked"),
        ("second", "f1", "rebooked"),
    ]
    # It stands where it happens: behind the firing that the hook follows, in its own session
    at = differing.index[0]
    assert rows(compared.loc[[at - 2]], "session_uid", "target") == [("f0", "t_import")]
    assert list(compared["session_uid"]) == sorted(compared["session_uid"])


def test_the_same_previews_have_everything_in_both_and_order_does_not_matter():
    plan = make_fleet(1)["f0"].plan.replay("t_import#0")
    preview = plan.preview()

    assert set(tnb.compare(preview, preview)["found_in"]) == {"both"}
    assert set(tnb.compare(preview, preview.iloc[::-1])["found_in"]) == {"both"}
    assert len(tnb.compare(preview.head(0), preview.head(0))) == 0
    twice = pd.concat([preview, preview])
    assert list(tnb.compare(preview, twice)["found_in"].value_counts()) == [len(preview)] * 2


def test_other_assumptions_are_shown_old_then_new():
    plan = make_fleet(1)["f0"].plan.replay("t_import#0")

    compared = tnb.compare(plan.preview(), plan.preview(outcomes={"t_import": ValueError("x")}))

    assert [*dict.fromkeys(compared["found_in"])] == ["both", "first", "second"]


def test_a_frame_that_is_no_preview_is_refused():
    preview = make_fleet(1)["f0"].plan.replay("t_import#0").preview()

    with pytest.raises(ValueError, match="second has no column action"):
        tnb.compare(preview, preview[["step"]])


def test_work_of_a_class_that_is_not_here_is_refused_and_its_preview_says_so():
    # Given a failure whose class this process does not know
    ws = tnb.connect("memory://unknown-class", handover="defer")
    s = ws.create("s", {"t": {"after": ["a"], "run": "elsewhere.Task"}})
    s.fire("a")
    s.manager.update_instance_status("t#0", "failed")

    # When it is to be replayed from here, which would only make another failure
    here = tnb.connect("memory://unknown-class")
    plan = here.plan.replay(here.failures())
    said = plan.preview()
    result = plan.execute()

    # Then the preview says what the execution does: nothing
    note = said.loc[said["action"].eq("note"), "detail"].item()
    assert note.startswith("executed from here, this step is refused: TaskNotFound: no task class 'elsewhere.Task'")
    assert "TaskNotFound" in result.frame["error"].item()
    assert here.instances()["status"].tolist() == ["failed"]

    # And it can be left to those who know the class
    assert ws.plan.replay(ws.failures()).execute().counts == {"done": 1}
    assert ws.instances()["status"].tolist() == ["replayed", "scheduled"]
