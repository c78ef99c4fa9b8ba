"""Who may change what: modes, environments and typed confirmations, enforced below everything that people see."""

import threading

import pytest

from tests.plan import fifo
from tests.plan.flights import connect, make_fleet, make_flight, status
from triggers_nb.errors import ConfirmationRequired, PlanUsed, ReadOnlyError
from triggers_nb.manager import TriggerManager, trigger_managers


@pytest.fixture
def shared(monkeypatch):
    """A function that connects to a store that counts as one that others use, too."""
    make_fleet(3)
    store = connect().store
    monkeypatch.setattr(type(store), "embedded", False)
    return connect


def every_way_to_change(ws):
    session = ws["f0"]
    return {
        "fire": lambda: session.fire("cancelled"),
        "replay": lambda: session.replay("t_import#0"),
        "skip": lambda: session.skip("t_import#0"),
        "update_status": lambda: session.update_status("t_import#0", "finished"),
        "update_metadata": lambda: session.update_metadata("t_import#0", {"a": 1}),
        "resolve_logs": lambda: session.resolve_logs("t_import#0"),
        "configure": lambda: session.configure({"t_x": {"after": ["x"], "run": "x"}}),
        "create": lambda: ws.create("new", {"t_x": {"after": ["x"], "run": "x"}}),
        "plan": lambda: ws.plan.replay(ws.failures()).execute(),
        "manager.fire": lambda: session.manager.fire("cancelled"),
        "manager.replay": lambda: session.manager.replay_failed_instance("t_import#0"),
        "manager.recover": lambda: session.manager.recover(),
        "lock": lambda: session.storage.acquire_lock(),
    }


WAYS = list(every_way_to_change({"f0": None}))


@pytest.mark.parametrize("way", WAYS)
def test_nothing_changes_through_a_read_only_workspace_in_any_thread(way, shared):
    ws = shared()
    assert (ws.mode, ws.env) == ("read-only", "production")
    before = {uid: ws.store.state(uid) for uid in ws}
    change = every_way_to_change(ws)[way]
    errors = []

    def attempt():
        try:
            change()
        except ReadOnlyError as error:
            errors.append(str(error))

    attempt()
    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()

    assert len(errors) == 2
    assert all("ws.writable(confirm='production')" in text for text in errors), "it shows the line that would allow it"
    assert {uid: ws.store.state(uid) for uid in ws} == before


@pytest.mark.parametrize("way", WAYS)
def test_every_change_in_production_has_to_be_confirmed(way, shared):
    ws = shared(mode="read-write")
    before = {uid: ws.store.state(uid) for uid in ws}

    with pytest.raises(ConfirmationRequired, match="production"):
        every_way_to_change(ws)[way]()

    assert {uid: ws.store.state(uid) for uid in ws} == before


def test_a_single_change_is_confirmed_by_typing_the_phrase(shared):
    ws = shared(mode="read-write")
    plan = ws["f0"].plan.replay("t_import#0")
    assert plan.needs_confirmation
    assert "confirm='production'" in repr(plan)

    with pytest.raises(ConfirmationRequired, match=r"'prod' was typed, expected confirm='production'"):
        plan.execute(confirm="prod")
    assert plan.execute(confirm="production").counts == {"done": 1}

    # Which confirms nothing else
    with pytest.raises(ConfirmationRequired):
        ws["f1"].replay("t_import#0")
    with pytest.raises(ConfirmationRequired):
        ws["f0"].manager.fire("cancelled")


def test_a_block_is_confirmed_once_and_what_was_made_in_it_refuses_after_it(shared):
    ws = shared()
    plan, later = ws["f0"].plan.replay("t_import#0"), ws["f2"].plan.replay("t_import#0")

    with ws.writable(confirm="production") as rw:
        # A plan made on ws is executed on rw, once; bulk and handles need no further word
        assert rw.execute(plan, reason="found").counts == {"done": 1}
        with pytest.raises(PlanUsed):
            rw.execute(plan)
        assert rw.plan.fire(["f0", "f1"], "noticed").execute().counts == {"done": 2}
        assert rw["f1"].skip("t_import#0", cascade=True).counts == {"done": 1}
        manager, storage, inside = rw["f1"].manager, rw["f1"].storage, rw["f1"].plan.fire("cancelled")
        manager.fire("noticed")
        # Outside of rw nothing has changed
        with pytest.raises(ReadOnlyError):
            ws.execute(later)

    for change in (
        lambda: manager.fire("noticed"),
        storage.acquire_lock,
        lambda: rw.execute(later),
        inside.execute,
        lambda: rw["f1"].fire("noticed"),
    ):
        with pytest.raises(ReadOnlyError, match=r"block of ws.writable\(…\) is over"):
            change()
    assert not later.is_used, "it can be executed in another block"
    with ws.writable(confirm="production") as rw:
        assert rw.execute(later).counts == {"done": 1}


def test_a_block_ends_when_it_raises(shared):
    ws = shared()

    with pytest.raises(KeyError), ws.writable(confirm="production") as rw:
        raise KeyError("oops")

    with pytest.raises(ReadOnlyError, match="is over"):
        rw["f0"].fire("cancelled")


@pytest.mark.parametrize("typed", [None, "", "Production", "memory", "triggers.db"])
def test_a_block_does_not_open_with_another_phrase(typed, shared):
    with pytest.raises(ConfirmationRequired, match="expected confirm='production'"), shared().writable(confirm=typed):
        pass


@pytest.mark.parametrize(
    ("options", "phrase"),
    [({"env": "prod-eu"}, "prod-eu"), ({"env": "staging"}, "staging"), ({}, "memory")],
)
def test_the_phrase_is_the_environment_or_what_the_storage_is(options, phrase):
    make_fleet(2)
    ws = connect(**options)
    plan = ws.plan.skip(ws.failures())

    with pytest.raises(ConfirmationRequired) as raised:
        plan.execute()

    assert raised.value.phrase == phrase
    assert plan.execute(confirm=phrase).counts == {"done": 2}


@pytest.mark.parametrize("env", ["production", "Production", " production ", "prod-eu", "eu-prod", "aws_production2"])
def test_an_environment_is_production_however_it_is_spelled(env, shared):
    ws = shared(mode="read-write", env=env)

    with pytest.raises(ConfirmationRequired):
        ws["f0"].fire("cancelled")
    with pytest.raises(ReadOnlyError):
        ws["f0"].manager.fire("cancelled")


def test_the_phrase_of_a_file_is_its_name(tmp_path):
    ws = make_fleet(2, f"sqlite:///{tmp_path}/night shift.db")

    with pytest.raises(ConfirmationRequired, match=r"expected confirm='night shift\.db'"):
        ws.plan.skip(ws.failures()).execute()


@pytest.mark.parametrize(
    ("make", "asks"),
    [
        (lambda ws, frame: ws.plan.skip(frame), True),
        (lambda ws, frame: ws.plan.skip(frame, cascade=True), True),
        (lambda ws, frame: ws.plan.update_status(frame, "finished", cascade=True), True),
        (lambda ws, frame: ws.plan.update_status(frame, "finished"), False),
        (lambda ws, frame: ws.plan.replay(frame), False),
        (lambda ws, frame: ws.plan.skip(frame.head(1), cascade=True), False),
        (lambda ws, frame: ws.plan.fire(frame, "cancelled"), False),
    ],
)
def test_anywhere_skips_and_cascades_in_bulk_are_confirmed_and_nothing_else(make, asks):
    ws = make_fleet(2)
    plan = make(ws, ws.failures())

    assert plan.needs_confirmation is asks
    if asks:
        with pytest.raises(ConfirmationRequired, match="'memory'"):
            plan.execute()
        assert status(ws) == "failed"
    assert set(plan.execute(confirm="memory" if asks else None).counts) == {"done"}


def test_a_plan_is_bound_to_its_storage():
    make_fleet(1)
    plan = connect()["f0"].plan.replay("t_import#0")

    with pytest.raises(ValueError, match="made on memory://flights, this workspace is memory://elsewhere"):
        connect("memory://elsewhere").execute(plan)


@trigger_managers.register("tests-reaching")
class Reaching(TriggerManager):
    """Fires in its hook."""

    def _post_fire(self, trigger_name, tasks_scheduled):
        self.fire("noticed", once=True)


def test_a_hook_changes_production_only_within_a_confirmed_change(shared):
    fifo.forget()
    ws = shared(mode="read-write", manager="tests-reaching", allow_manager_change=True)
    session = make_flight(ws, "reaching", confirm="production")
    kept = session.manager

    session.fire("more", confirm="production")

    assert "noticed" in session.storage.latest_kwargs
    # And a hook that is called on a handle that was kept is refused
    with pytest.raises(ConfirmationRequired):
        kept._post_fire("more", [])


def test_what_was_made_from_a_workspace_keeps_its_mode_whatever_becomes_of_other_workspaces():
    make_fleet(1)
    read_only = connect(mode="read-only")
    session = read_only["f0"]
    read_write = connect()

    read_write["f0"].fire("cancelled")

    with pytest.raises(ReadOnlyError):
        session.fire("cancelled")
    assert session.workspace.mode == "read-only"
    assert "rw.execute(plan" in repr(session.plan.replay("t_import#0"))
