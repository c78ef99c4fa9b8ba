"""Making plans: what may be pointed at, what may be given for each target, what is refused, what a plan says."""

import re
from decimal import Decimal

import pandas as pd
import pytest

from tests.plan.flights import connect, make_fleet, status
from triggers_nb.errors import InvalidStatus, InvalidValue, UnknownInstance, UnknownSession, UnknownTrigger
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.redaction import Redactor

PATCH = {"scheduled": {"plane": "N1"}}


def planes(plan):
    return [action.arguments["kwargs"]["scheduled"]["plane"] for action in plan.actions]


def test_a_name_a_list_an_instance_and_a_frame_point_at_the_same():
    session = make_fleet(1)["f0"]
    selections = [
        "t_import#0",
        ["t_import#0"],
        session.storage["t_import#0"],
        session.failures(),
        session.instances(task="t_import"),
    ]

    targets = [[(a.uid, a.target) for a in session.plan.replay(each).actions] for each in selections]

    assert targets == [[("f0", "t_import#0")]] * 5


def test_any_frame_with_the_two_columns_selects_in_its_order():
    ws = make_fleet(3)
    frame = pd.DataFrame({"instance": "t_import#0", "session_uid": ["f2", "f0"], "mine": [1, 2]}, index=[7, 7])

    assert [action.uid for action in ws.plan.replay(frame).actions] == ["f2", "f0"]


def test_kwargs_are_a_mapping_a_series_aligned_on_the_frame_or_a_callable_of_the_row():
    ws = make_fleet(3)
    frame = ws.failures().sort_values("session_uid").assign(plane=["N1", "N2", "N3"])
    series = frame["plane"].map(lambda plane: {"scheduled": {"plane": plane}})

    assert planes(ws.plan.replay(frame, merge_kwargs=PATCH)) == ["N1"] * 3
    assert planes(ws.plan.replay(frame, merge_kwargs=series)) == ["N1", "N2", "N3"]
    assert planes(ws.plan.replay(frame[frame["plane"].ne("N2")], merge_kwargs=series)) == ["N1", "N3"]
    assert planes(ws.plan.replay(frame, merge_kwargs=lambda row: {"scheduled": {"plane": row["plane"]}})) == [
        "N1",
        "N2",
        "N3",
    ]
    assert planes(ws["f0"].plan.replay("t_import#0", merge_kwargs=lambda name: {"scheduled": {"plane": name}})) == [
        "t_import#0"
    ]


def test_a_series_is_aligned_by_label_and_nothing_is_guessed():
    ws = make_fleet(2)
    frame = ws.failures()
    series = pd.Series([PATCH, PATCH], index=["a", "b"])

    with pytest.raises(ValueError, match="nothing for row 0"):
        ws.plan.replay(frame, merge_kwargs=series)
    with pytest.raises(ValueError, match="select the targets by the frame"):
        ws["f0"].plan.replay("t_import#0", merge_kwargs=series)
    with pytest.raises(InvalidValue, match="expected a mapping for 't_import#0' of session"):
        ws.plan.replay(frame, merge_kwargs=pd.Series([None, PATCH], index=frame.index))
    with pytest.raises(TypeError, match="expected a mapping, a Series of mappings, or a callable"):
        ws.plan.replay(frame, kwargs=[PATCH])


def test_a_merge_reaches_the_stored_kwargs_and_a_replacement_leaves_nothing_else():
    session = make_fleet(1)["f0"]

    merged = session.plan.replay("t_import#0", merge_kwargs=PATCH).actions[0].arguments["kwargs"]
    replaced = session.plan.replay("t_import#0", kwargs=PATCH).actions[0].arguments["kwargs"]

    # The stored password comes along although every frame hides it
    assert merged == {"scheduled": {"plane": "N1", "carrier": "AA", "password": "hunter2"}}
    assert replaced == PATCH
    with pytest.raises(ValueError, match="pass one of them"):
        session.plan.replay("t_import#0", kwargs=PATCH, merge_kwargs=PATCH)


def test_what_is_passed_may_be_changed_afterwards():
    session = make_fleet(1)["f0"]
    patch = {"scheduled": {"planes": ["N1"]}}
    plans = [session.plan.replay("t_import#0", kwargs=patch), session.plan.fire("scheduled", patch)]

    patch["scheduled"]["planes"].append("N2")

    assert all("N2" not in repr(plan.actions) for plan in plans)


def test_results_metadata_and_kwargs_of_firings_may_differ_by_row_too():
    ws = make_fleet(2)
    frame = ws.failures().sort_values("session_uid").assign(seats=[50, 172])

    skip = ws.plan.skip(frame, cascade=True, result=lambda row: {"seats": int(row["seats"])})
    note = ws.plan.update_metadata(frame, lambda row: {"ticket": row["session_uid"]})
    fire = ws.plan.fire(frame, "scheduled", lambda row: {"seats": int(row["seats"])})

    assert [action.arguments["result"] for action in skip.actions] == [{"seats": 50}, {"seats": 172}]
    assert [action.arguments["metadata"] for action in note.actions] == [{"ticket": "f0"}, {"ticket": "f1"}]
    assert [action.arguments["kwargs"] for action in fire.actions] == [{"seats": 50}, {"seats": 172}]


def test_each_callable_gets_a_row_of_its_own():
    ws = make_fleet(3)
    frame = ws.failures().sort_values("session_uid").assign(seats=[50, 172, 9])
    frame.index = pd.Index([7, 7, "last"])

    def take_seats(row: pd.Series) -> dict[str, object]:
        taken = {"row": str(row.name), "seats": int(row["seats"])}
        row["seats"] = 0
        return taken

    plan = ws.plan.update_status(frame, "finished", metadata=take_seats, cascade=True, cascade_kwargs=take_seats)
    expected = [{"row": "7", "seats": 50}, {"row": "7", "seats": 172}, {"row": "last", "seats": 9}]

    assert [action.arguments["metadata"] for action in plan.actions] == expected
    assert [action.arguments["cascade_kwargs"] for action in plan.actions] == expected
    assert frame["seats"].to_list() == [50, 172, 9]


def test_several_triggers_are_fired_in_order():
    session = make_fleet(1)["f0"]

    result = session.plan.fire(["t_import", "cancelled"]).execute()

    assert list(result.frame["target"]) == ["t_import", "cancelled"]
    assert list(session.instances(task="t_rebook")["status"]) == ["scheduled"]


def test_kwargs_of_an_unknown_trigger_are_refused_with_near_names():
    with pytest.raises(UnknownTrigger, match=r"'schedulled'.*Did you mean 'scheduled'"):
        make_fleet(1)["f0"].plan.replay("t_import#0", merge_kwargs={"schedulled": {"plane": "N1"}})


@pytest.mark.parametrize("method", ["replay", "skip", "update_metadata", "fire"])
def test_a_redaction_marker_is_refused_naming_the_path(method):
    session = make_fleet(1)["f0"]
    hidden = {"scheduled": {"crew": [{"email": Redactor().text("ada@example.org")}]}}
    calls = {
        "replay": lambda: session.plan.replay("t_import#0", merge_kwargs=hidden),
        "skip": lambda: session.plan.skip("t_import#0", result=hidden),
        "update_metadata": lambda: session.plan.update_metadata("t_import#0", hidden),
        "fire": lambda: session.plan.fire("scheduled", hidden),
    }

    with pytest.raises(InvalidValue, match=re.escape("scheduled.crew[0].email")):
        calls[method]()


def test_a_value_that_cannot_be_stored_is_refused_naming_the_path():
    with pytest.raises(InvalidValue, match=r"scheduled.*when"):
        make_fleet(1)["f0"].plan.replay("t_import#0", kwargs={"scheduled": {"when": object()}})


SECRETS = {
    "fire": lambda ws: ws["f0"].plan.fire("noticed", {"password": ("hunter2",)}),
    "fire something else": lambda ws: ws["f0"].plan.fire("noticed", [("password", "hunter2"), {"token": ("hunter2",)}]),
    "fire in a manager": lambda ws: ws["f0"].manager.fire("noticed", {"login": {"password": [("hunter2",)]}}),
    "merge": lambda ws: ws.plan.replay(ws.failures(), merge_kwargs={"scheduled": {"password": ("hunter2",)}}),
    "merge by row": lambda ws: ws.plan.replay(ws.failures(), merge_kwargs=lambda row: ["password=hunter2"]),
    "merge flat": lambda ws: ws.plan.replay(ws.failures(), merge_kwargs={"scheduled": "password=hunter2"}),
    "a text": lambda ws: ws["f0"].replay("t_import#0", merge_kwargs="password=hunter2"),
    "a key": lambda ws: ws["f0"].fire("noticed", {("password", "hunter2"): 1}),
    "a set": lambda ws: ws["f0"].fire("noticed", {"passwords": {("hunter2",)}}),
    "metadata": lambda ws: ws["f0"].update_metadata("t_import#0", {"api_key": ("hunter2",)}),
    "a configuration": lambda ws: ws["f0"].configure(
        {"t": {"after": ["a"], "run": "x", "withParams": {"a": {"password": ("hunter2",)}}}}
    ),
    "parameters": lambda ws: ws["f0"].configure(
        {"t": {"after": ["a"], "run": "x", "withParams": [{"password": "hunter2"}]}}
    ),
}


@pytest.mark.parametrize("make", SECRETS.values(), ids=SECRETS)
def test_an_error_does_not_repeat_a_secret(make):
    ws = make_fleet(1)

    with pytest.raises((TypeError, ValueError)) as caught:
        make(ws)

    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value)


def test_an_error_still_says_what_is_no_secret():
    with pytest.raises(InvalidValue, match=r"kwargs\['seats'\] = \(12, 'A'\) \(tuple\) cannot be stored"):
        make_fleet(1)["f0"].plan.fire("noticed", {"password": "hunter2", "seats": (12, "A")})


def test_all_wrong_targets_are_named_at_once():
    ws = make_fleet(9)
    frame = ws.failures()
    for uid in ["f1", "f3"]:
        ws[uid].skip("t_import#0")
    missing = pd.DataFrame({"session_uid": ["f0", "f2"], "instance": ["t_import#7", "t_imprt#0"]})

    with pytest.raises(
        InvalidStatus, match=r"(?s)skipped; only a failed instance can be replayed.*same goes for.*session 'f[13]'"
    ):
        ws.plan.replay(frame)
    with pytest.raises(UnknownInstance, match=r"'t_import#7'.*Did you mean 't_import#0'.*'t_imprt#0' of session 'f2'"):
        ws.plan.skip(missing)
    with pytest.raises(UnknownSession, match=r"'g1'.*same goes for session 'g2'"):
        ws.plan.replay(missing.assign(session_uid=["g1", "g2"]))
    with pytest.raises(UnknownSession, match=r"'g1'.*same goes for session 'g2'"):
        ws.plan.fire(["f0", "g1", "g2"], "cancelled")
    assert "g1" not in ws


@pytest.mark.parametrize(
    ("selection", "error", "said"),
    [
        (3, TypeError, "expected an instance's name"),
        ([3], TypeError, "expected an instance's name"),
        (["t_import#0", "t_import#0"], ValueError, "selected twice"),
        (pd.DataFrame({"session_uid": ["f0"]}), ValueError, "no column instance"),
        (pd.DataFrame({"session_uid": ["f1"], "instance": ["t_import#0"]}), ValueError, "use ws.plan"),
        (pd.DataFrame({"session_uid": ["f0"], "instance": [None]}), ValueError, "names no instance"),
        ("t_import", UnknownInstance, "t_import"),
    ],
)
def test_other_selections_are_refused(selection, error, said):
    with pytest.raises(error, match=said):
        make_fleet(1)["f0"].plan.replay(selection)


def test_names_without_sessions_are_no_selection_of_a_workspace():
    ws = make_fleet(1)

    with pytest.raises(TypeError, match=r"expected a frame .*: a name does not say of which session, ws\[uid\].plan"):
        ws.plan.replay("t_import#0")
    assert ws.plan.replay([]).execute().counts == {}
    with pytest.raises(TypeError, match="found None; expected a trigger's name"):
        ws.plan.fire(["f0"], None)
    with pytest.raises(TypeError, match="expected UIDs"):
        ws.plan.fire(3, "scheduled")


def test_an_empty_selection_does_nothing_and_says_so():
    ws = make_fleet(1)
    plan = ws.plan.skip(ws.failures().head(0), cascade=True)

    result = plan.execute()

    assert "Nothing to do: the selection is empty" in repr(plan)
    assert "Nothing to do" in repr(result)
    assert len(plan.preview()) == len(result.frame) == len(result.follow()) == 0
    assert list(result.frame.columns)[:3] == ["session_uid", "action", "target"]
    result.raise_for_errors()


def test_a_plan_says_its_targets_environment_and_distinct_differences():
    ws = make_fleet(12, env="staging <b>")
    frame = ws.failures()
    plan = ws.plan.replay(
        frame, merge_kwargs=lambda row: {"scheduled": {"plane": "N1" if row["session_uid"] == "f3" else "N2"}}
    )

    for said in (repr(plan), re.sub(r"<style>.*?</style>|<[^>]+>", " ", plan._repr_html_()).replace("&#x27;", "'")):
        assert "Replay 12 instances in 12 sessions" in said
        assert "memory://flights" in said
        assert "staging" in said
        assert "failed → replayed" in said
        assert "… and 2 more" in said
        assert "2 distinct differences in kwargs" in said
        assert "11 × {'scheduled': {'plane': 'N2'}}" in said
    assert "<b>" not in plan._repr_html_()
    assert set(plan._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_what_a_plan_says_hides_secrets():
    session = make_fleet(1)["f0"]
    plan = session.plan.replay("t_import#0", merge_kwargs={"scheduled": {"password": "swordfish"}})

    assert "swordfish" not in repr(plan) + plan._repr_html_()
    assert "swordfish" not in plan.preview().to_string()
    assert "hunter2" not in plan.preview().to_string()


def test_an_update_says_what_it_sets_and_a_configuration_which_tasks():
    session = make_fleet(1)["f0"]

    update = repr(session.plan.update_status("t_import#0", "finished", {"by": "hand"}, cascade=True))
    configure = repr(session.plan.configure({"t_more": {"after": ["x"], "run": "y"}}))

    assert "status='finished', cascade=True" in update
    assert "{'metadata': {'by': 'hand'}}" in update
    assert "tasks: t_more" in configure


def test_values_of_any_kind_come_through():
    session = make_fleet(1)["f0"]

    session.replay("t_import#0", kwargs={"scheduled": {"price": Decimal("1.50"), "seats": {1, 2}}})

    assert session.storage["t_import#1"].kwargs == {"scheduled": {"price": Decimal("1.50"), "seats": {1, 2}}}
    assert status(session.workspace) == "replayed"


def test_a_plan_is_made_although_the_manager_is_not_installed_here_and_refused_when_it_is_executed():
    trigger_managers.register("tests-gone")(type("Gone", (TriggerManager,), {}))
    make_fleet(1, manager="tests-gone")
    trigger_managers.unregister("tests-gone")
    ws = connect()

    plan = ws.plan.replay(ws.failures())

    with pytest.raises(LookupError, match="belongs to manager 'tests-gone'"):
        plan.preview()
    assert plan.execute().frame["error"].str.contains("tests-gone").all()
    assert status(ws) == "failed"


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda plan: plan.skip("t_import#0", cascade="no"), "cascade"),
        (lambda plan: plan.update_status("t_import#0", "finished", cascade="false"), "cascade"),
        (lambda plan: plan.fire("noticed", once="no"), "once"),
        (lambda plan: plan.fire("noticed").preview(hooks="no"), "hooks"),
    ],
)
def test_what_is_neither_true_nor_false_is_not_taken_for_true(make, argument):
    ws = make_fleet(1)

    with pytest.raises(TypeError, match=f"{argument}='(no|false)': expected True or False"):
        make(ws["f0"].plan)


def test_flags_and_numbers_may_come_from_a_frame():
    ws = make_fleet(1)
    frame = ws.instances()

    plan = ws["f0"].plan.skip("t_import#0", cascade=frame["can_skip"].iloc[0])

    assert "cascade=True" in repr(plan)
    assert len(plan.preview(hooks=frame["is_resolved"].iloc[0], max_steps=frame["number"].max())) > 0
    assert ws["f0"].at(ws["f0"].events()["seq"].iloc[0]).seq == 1
    assert len(ws.instances(max_results=frame["number"].max() + len(frame))) == len(frame)


@pytest.mark.parametrize("outcomes", [[], [{"t_import": {}}], "t_import", 5])
def test_outcomes_that_are_no_mapping_are_refused(outcomes):
    ws = make_fleet(1)

    with pytest.raises(TypeError, match="expected a mapping of names to outcomes"):
        ws["f0"].plan.replay("t_import#0").preview(outcomes=outcomes)
