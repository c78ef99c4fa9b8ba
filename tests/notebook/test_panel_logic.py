import pytest

import triggers_nb as tnb
from tests.notebook.conftest import answer, execute, finish
from triggers_nb.errors import ConfirmationRequired, InvalidValue, PlanUsed, ReadOnlyError
from triggers_nb.manager import trigger_managers
from triggers_nb.notebook.panel_logic import PanelLogic
from triggers_nb.render.cascade_nodes import node_attribute
from triggers_nb.session import Session
from triggers_nb.task import TriggerTask

PATCH = '{"scheduled": {"plane": {"seats": 178}}}'


@pytest.fixture
def panel(ws):
    return PanelLogic(ws["flight-N1"])


def test_what_failed_is_selected_first_and_explained(panel):
    assert panel.current == "t_identify#0"
    detail = panel.detail()
    assert "t_identify#0 failed: KeyError" in detail
    assert "it blocks t_rebook" in detail
    assert "_run" in detail


def test_secrets_are_in_nothing_that_is_shown(make_workspace):
    panel = PanelLogic(make_workspace(redact=False)["flight-N1"])
    panel.handle({"do": "open", "id": "replay"})
    answer(panel, patch='{"scheduled": {"password": "hunter3"}}')

    shown = repr((panel.bar(), panel.rows(), panel.detail(), panel.sheet.state(), panel.picture()))
    assert "hunter" not in shown
    assert "[redacted:" in shown


def test_a_replay_with_a_patch_goes_through_the_manager_and_shows_its_python(panel, ws, calls):
    panel.handle({"do": "open", "id": "replay"})
    state = answer(panel, patch=PATCH)
    assert state["button"] == "Replay 1 instance"
    assert "- plane: null" in state["difference"]
    assert "+ plane: { &quot;seats&quot;: 178 }" in state["difference"]
    assert "replayed" in state["preview"]

    execute(panel, reason="found in the register")

    assert calls["_post_replay"] == 1
    assert ws["flight-N1"].instances().set_index("instance").loc["t_identify#1", "status"] == "finished"
    assert panel.executed.said == "1 done"
    assert panel.current == "t_identify#1"
    python = panel.executed.python
    assert python == (
        "ws['flight-N1'].replay('t_identify#0', merge_kwargs={'scheduled': {'plane': {'seats': 178}}}, "
        "reason='found in the register')"
    )


def test_the_python_that_is_shown_does_the_same(make_workspace):
    ws = make_workspace()
    panel = PanelLogic(ws["flight-N1"])
    panel.handle({"do": "open", "id": "replay"})
    answer(panel, patch=PATCH)
    execute(panel)

    eval(panel.executed.python.replace("flight-N1", "flight-N2"), {"ws": ws})
    finish()

    assert list(ws["flight-N2"].instances()["status"]) == list(ws["flight-N1"].instances()["status"])


def test_a_second_click_on_the_button_does_nothing(panel, ws, calls):
    panel.handle({"do": "open", "id": "replay"})
    click = {"do": "execute", "plan_id": answer(panel, patch=PATCH)["plan_id"], "form": dict(panel.sheet.form)}

    panel.handle(click)
    panel.handle(click)
    finish()

    assert calls["_post_replay"] == 1
    assert ws["flight-N1"].instances(task="t_identify").shape[0] == 2


def test_a_second_click_on_a_tab_leaves_the_sheet_open_with_what_was_typed(panel):
    panel.handle({"do": "open", "id": "replay"})
    answer(panel, patch=PATCH)
    panel.handle({"do": "open", "id": "replay"})
    assert panel.sheet.form["patch"] == PATCH

    panel.handle({"do": "cancel"})
    assert panel.sheet.state() == {}


def test_a_form_that_was_changed_after_the_preview_is_not_executed(panel, calls):
    panel.handle({"do": "open", "id": "replay"})
    state = answer(panel, patch=PATCH)

    with pytest.raises(PlanUsed, match="changed since the preview"):
        panel.handle({"do": "execute", "plan_id": state["plan_id"], "form": {"patch": "{}"}})

    assert calls["_post_replay"] == 0


def test_an_instance_that_moved_on_is_refused_and_reported(panel, ws, calls):
    panel.handle({"do": "open", "id": "replay"})
    answer(panel, patch=PATCH)
    ws["flight-N1"].skip("t_identify#0")

    with pytest.raises(Exception, match="t_identify#0"):
        execute(panel)

    assert panel.executed.said == "1 refused"
    assert "t_identify#0" in panel.executed.wrong[0]
    assert calls["_post_replay"] == 0


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ('{"scheduled": ', "line 1, column 15"),
        ('{"sheduled": {}}', "scheduled"),
        ('{"scheduled": {"plane": "[redacted:0123456789ab]"}}', "[redacted:…]"),
        ("[]", "found a list"),
        ('{"scheduled": {"plane": {{tail}}}}', "no column 'tail'"),
    ],
)
def test_a_patch_that_cannot_be_used_says_why_and_offers_no_button(panel, patch, said):
    panel.handle({"do": "open", "id": "replay"})

    state = answer(panel, patch=patch)

    assert said in state["problem"]["text"]
    assert state["button"] == state["plan_id"] == ""


def test_a_redaction_marker_is_never_stored(panel):
    panel.handle({"do": "open", "id": "replay"})
    answer(panel, patch='{"scheduled": {"password": "[redacted:0123456789ab]"}}')

    assert isinstance(panel.sheet.problem, InvalidValue)


def test_a_skip_with_cascade_fires_the_task(panel, ws, calls):
    panel.handle({"do": "open", "id": "skip"})
    answer(panel, cascade=True, result='{"plane": null}')
    execute(panel)

    assert calls["_post_skip"] == 1
    assert ws["flight-N1"].triggers().set_index("trigger").loc["t_identify", "fired"]


def test_hooks_are_named_until_they_are_simulated(panel):
    panel.handle({"do": "open", "id": "skip"})
    assert "CountingManager._post_skip" in panel.sheet.state()["hooks"]

    state = answer(panel, hooks=True)

    assert state["hooks"] == []
    assert state["with_hooks"]


def test_a_status_can_be_set_and_metadata_merged(panel, ws):
    panel.handle({"do": "select", "id": "t_rebook#0"})
    panel.handle({"do": "open", "id": "update"})
    assert "Choose a status" in panel.sheet.state()["hint"]
    answer(panel, status="abandoned", metadata='{"by": "ops"}')
    execute(panel)

    storage = ws["flight-N1"].storage
    assert storage["t_rebook#0"].status == "abandoned"
    assert storage["t_rebook#0"].metadata["by"] == "ops"


class Talk(TriggerTask):
    """Says that something is wrong, and finishes."""

    def _run(self, context):
        with context.get_logger_context() as logger:
            logger.error("the disk is full")


def test_messages_that_somebody_has_to_look_at_are_seen_in_the_row_and_resolved(ws):
    session = ws.create("talk", {"t_talk": {"after": ["go"], "run": Talk.name}})
    session.fire("go")
    finish()
    panel = PanelLogic(session)
    assert panel.rows()[0][-1] == "log ERROR, open"

    panel.handle({"do": "open", "id": "resolve_logs"})
    preview = panel.sheet.state()["preview"]
    assert "messages are resolved" in preview
    assert "finished" not in preview
    execute(panel)
    assert panel.rows()[0][-1] == ""


def test_firing_offers_what_is_known_and_what_each_would_release(panel, ws):
    panel.handle({"do": "open", "id": "fire"})
    trigger = panel.sheet.state()["fields"][0]
    options = {name: (released, keys) for name, released, keys in trigger["options"]}

    assert options["finalized"][0] == "releases t_close#0"
    assert options["cancelled"][0] == "releases nothing now"
    assert options["scheduled"][1] == ["tail", "plane", "password"]
    assert panel.sheet.state()["hint"] == "Choose a trigger, or type its name."

    answer(panel, trigger="finalized", kwargs='{"by": "ops"}')
    execute(panel)

    assert ws["flight-N1"].storage["t_close#0"].status == "finished"
    assert panel.executed.python == "ws['flight-N1'].fire('finalized', kwargs={'by': 'ops'})"


def test_a_near_miss_of_a_trigger_is_pointed_out(panel):
    panel.handle({"do": "open", "id": "fire"})

    state = answer(panel, trigger="finalised")

    assert "Did you mean 'finalized'" in state["warning"]
    assert state["button"] == "Fire 'finalised'"


def test_a_node_of_the_picture_selects_or_is_fired(panel):
    panel.handle({"do": "node", "id": "t_rebook"})
    assert panel.current == "t_rebook#0"

    panel.handle({"do": "node", "id": "t_close"})
    assert "t_close has no instance yet" in panel.detail()
    assert panel.refusals()["replay"] == "no instance is selected"

    panel.handle({"do": "node", "id": "cancelled"})
    assert panel.sheet.kind == "fire"
    assert panel.sheet.state()["button"] == "Fire 'cancelled'"


def test_the_slider_shows_the_session_as_it_was_and_nothing_can_be_changed_there(panel, ws):
    ws["flight-N1"].skip("t_identify#0")
    panel.refresh()
    assert {row[0]: row[1] for row in panel.rows()}["t_identify#0"] == 6

    panel.handle({"do": "seek", "seq": 2})
    assert {row[0]: row[1] for row in panel.rows()}["t_identify#0"] == 1
    assert "scheduled" in panel.picture()
    assert panel.history()["value"] == 2
    assert "event 2" in panel.refusals()["fire"]
    with pytest.raises(ValueError, match="past"):
        panel.handle({"do": "open", "id": "fire"})

    ws["flight-N1"].fire("cancelled")
    panel.refresh()
    assert {row[0]: row[1] for row in panel.rows()}["t_identify#0"] == 1

    panel.handle({"do": "seek", "seq": panel.n_events})
    assert {row[0]: row[1] for row in panel.rows()}["t_identify#0"] == 6
    assert panel.refusals()["fire"] == ""


def test_read_only_is_enforced_whatever_a_page_sends(make_workspace, calls):
    panel = PanelLogic(make_workspace(mode="read-only")["flight-N1"])
    assert all("read-only" in reason for reason in panel.refusals().values())

    with pytest.raises(ReadOnlyError):
        panel.handle({"do": "open", "id": "replay"})
    panel.sheet.open("replay", panel.targets("replay"))
    with pytest.raises(ReadOnlyError):
        execute(panel)

    assert not calls


def test_production_asks_for_its_name(make_workspace, calls):
    panel = PanelLogic(make_workspace(env="production", mode="read-write")["flight-N1"])
    panel.handle({"do": "open", "id": "skip"})
    assert panel.sheet.state()["confirm"] == "production"

    with pytest.raises(ConfirmationRequired):
        execute(panel, confirm="prod")
    assert not calls
    execute(panel, confirm="production")

    assert calls["_post_skip"] == 1
    assert panel.executed.python.endswith("confirm='production')")


def test_two_panels_agree_once_they_have_looked(ws):
    one, other = PanelLogic(ws["flight-N1"]), PanelLogic(ws["flight-N1"])
    one.handle({"do": "open", "id": "skip"})
    execute(one)

    assert other.look(5.0)
    other.refresh()
    assert other.rows() == one.rows()
    assert not other.look(0.0)


def test_a_session_that_is_deleted_and_made_again_is_noticed(ws):
    panel = PanelLogic(ws["flight-N1"])
    ws.store.delete("flight-N1")
    assert panel.look(0.0)
    panel.refresh()
    assert panel.bar()["gone"]
    assert panel.rows() == []
    assert panel.detail() == panel.picture() == ""

    ws.create("flight-N1", {"t_new": {"after": ["go"], "run": "app.New"}})
    assert panel.look(0.0)
    panel.refresh()
    assert not panel.bar()["gone"]


def test_a_manager_that_is_not_installed_leaves_reading(make_workspace, monkeypatch):
    ws = tnb.connect(make_workspace().url)
    monkeypatch.setattr(Session, "manager_class", lambda self: trigger_managers.get_class("gone"))
    panel = PanelLogic(ws["flight-N1"])

    assert len(panel.rows()) == 2
    assert all("gone" in reason for reason in panel.refusals().values())


def test_hostile_names_are_only_text(ws):
    evil = '"><img src=x onerror=alert(1)>'
    session = ws.create("hostile", {f"t_{evil}": {"after": [evil], "run": "app.A"}})
    session.fire("other" + evil, {evil: evil})
    panel = PanelLogic(session)
    panel.handle({"do": "open", "id": "fire"})

    markup = panel.picture() + panel.detail() + panel.bar()["chips"] + panel.sheet.state()["preview"]
    assert "<img" not in markup
    panel.handle({"do": "node", "id": node_attribute(evil)})
    assert "<img" not in panel.sheet.state()["preview"]
