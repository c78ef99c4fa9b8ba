import pandas as pd
import pytest

from tests.notebook.conftest import answer, execute, finish
from triggers_nb.errors import ConfirmationRequired, ReadOnlyError
from triggers_nb.notebook.triage_logic import TriageLogic

PATCH = '{"scheduled": {"plane": {"seats": 178}}}'


@pytest.fixture
def triage(ws):
    return TriageLogic(ws)


def test_failures_of_one_cause_are_one_group_and_all_are_selected(triage):
    (group,) = triage.group_list()

    assert (group["type"], group["task"], group["n"]) == ("KeyError", "t_identify", 3)
    assert group["said"] == "3 sessions · blocks 3 tasks"
    assert [row[0] for row in triage.rows()] == ["flight-N1", "flight-N2", "flight-N3"]
    assert triage.tabs()[0]["label"] == "Replay 3"
    assert "N1" in triage.detail()


def test_a_whole_group_is_replayed_with_one_patch(triage, ws, calls):
    triage.handle({"do": "open", "id": "replay"})
    state = answer(triage, patch=PATCH)
    assert state["button"] == "Replay 3 instances in 3 sessions"
    assert state["confirm"] == ""
    execute(triage, reason="INC-7")

    assert calls["_post_replay"] == 3
    assert triage.executed.said == "3 done"
    triage.refresh()
    assert triage.group_list() == []
    assert triage.detail() == ""
    assert set(ws.instances(task="t_identify")["status"]) == {"replayed", "finished"}
    assert set(ws.events().query("action == 'replay'")["reason"]) == {"INC-7"}


def test_a_column_gives_each_instance_its_own_value(ws):
    names = ["flight-N1", "flight-N2", "flight-N3"]
    values = pd.DataFrame({"session_uid": names, "instance": "t_identify#0", "seats": [178, 20, 144]})
    ws["flight-N1"].update_status("t_rebook#0", "failed")  # a failure without a value
    triage = TriageLogic(ws, values=values)
    assert triage.rows()[1][4] == "20"

    triage.handle({"do": "open", "id": "replay"})
    answer(triage, patch='{"scheduled": {"plane": {"seats": {{seats}}}}}')
    execute(triage)

    seats = [ws[name].storage["t_identify#1"].kwargs["scheduled"]["plane"]["seats"] for name in names]
    assert seats == [178, 20, 144]
    assert {type(each) for each in seats} == {int}


def test_the_python_of_a_group_does_the_same(make_workspace):
    ws = make_workspace()
    triage = TriageLogic(ws)
    triage.handle({"do": "open", "id": "skip"})
    answer(triage, cascade=True, result='{"plane": null}')
    python = triage.sheet._python("INC-7", "memory")

    result = eval(python, {"ws": ws, "pd": pd})
    finish()

    assert result.counts == {"done": 3}


def test_a_skip_of_a_group_has_to_be_confirmed(triage, ws, calls):
    triage.handle({"do": "open", "id": "skip"})
    answer(triage, cascade=True)
    assert triage.sheet.state()["confirm"] == "memory"

    with pytest.raises(ConfirmationRequired):
        execute(triage)
    assert not calls
    execute(triage, confirm="memory")

    assert calls["_post_skip"] == 3
    assert ws.failures().empty


def test_only_what_is_selected_is_changed(triage, ws):
    triage.handle({"do": "check", "ids": ["flight-N2\nt_identify#0"], "on": False})
    assert triage.tabs()[0]["label"] == "Replay 2"
    triage.handle({"do": "open", "id": "replay"})
    triage.handle({"do": "check", "ids": ["flight-N3\nt_identify#0"], "only": True})
    assert triage.sheet.state()["button"] == "Replay 1 instance"
    execute(triage)

    assert ws["flight-N3"].storage["t_identify#0"].status == "replayed"
    assert ws["flight-N1"].storage["t_identify#0"].status == "failed"
    assert "flight-N3" in triage.executed.python

    triage.refresh()
    triage.handle({"do": "check", "on": False})
    assert all(tab["refused"] == "no instance is selected" for tab in triage.tabs())
    with pytest.raises(ValueError, match="no instance is selected"):
        triage.handle({"do": "open", "id": "skip"})


def test_a_trigger_is_fired_on_the_sessions_that_are_selected(triage, ws):
    triage.handle({"do": "open", "id": "fire"})
    state = answer(triage, trigger="finalized")
    assert state["button"] == "Fire 'finalized' in 3 sessions"
    execute(triage)

    assert set(ws.instances(task="t_close")["status"]) == {"finished"}


def test_changes_from_elsewhere_are_seen_and_cost_only_what_changed(triage, make_workspace):
    elsewhere = make_workspace()
    assert not triage.look(0.0)

    elsewhere["flight-N2"].skip("t_identify#0")
    assert triage.look(0.0)
    triage.refresh()

    assert [row[0] for row in triage.rows()] == ["flight-N1", "flight-N3"]
    assert triage.counts()["failed"] == 2
    assert not triage.look(0.0)


def test_a_session_that_is_deleted_is_gone_after_a_while(triage, ws):
    ws.store.delete("flight-N2")

    assert any(triage.look(0.0) for _ in range(20))
    triage.refresh()

    assert [row[0] for row in triage.rows()] == ["flight-N1", "flight-N3"]
    assert triage.bar()["about"].endswith("2 sessions")
    assert not any(triage.look(0.0) for _ in range(20))


def test_a_pattern_leaves_other_sessions_alone(ws):
    triage = TriageLogic(ws, "*-N[12]")

    assert [row[0] for row in triage.rows()] == ["flight-N1", "flight-N2"]


def test_read_only_is_enforced(make_workspace, calls):
    triage = TriageLogic(make_workspace(mode="read-only"))
    assert triage.bar()["refused"].startswith("read-only")

    with pytest.raises(ReadOnlyError):
        triage.handle({"do": "open", "id": "replay"})
    assert not calls


def test_a_failure_without_an_exception_is_in_a_group_of_its_own(ws):
    ws["flight-N1"].update_status("t_rebook#0", "failed")
    triage = TriageLogic(ws)
    (group,) = [group for group in triage.group_list() if group["n"] == 1]
    triage.handle({"do": "group", "id": group["id"]})
    assert [row[1] for row in triage.rows()] == ["t_rebook#0"]

    triage.handle({"do": "open", "id": "skip"})
    execute(triage)

    assert ws["flight-N1"].storage["t_rebook#0"].status == "skipped"


def test_nothing_failed_is_nothing_to_do(make_workspace):
    ws = make_workspace()
    ws.plan.skip(ws.failures()).execute(confirm="memory")
    triage = TriageLogic(ws)

    assert triage.group_list() == triage.rows() == []
    assert all(tab["refused"] for tab in triage.tabs())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pd.DataFrame({"instance": ["a"]}), "no column session_uid"),
        (pd.DataFrame({"session_uid": ["a", "a"], "instance": ["b", "b"], "x": [1, 2]}), "twice"),
    ],
)
def test_values_that_name_no_instances_are_refused(ws, values, said):
    with pytest.raises(ValueError, match=said):
        TriageLogic(ws, values=values)
