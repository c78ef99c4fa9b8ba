import triggers_nb as tnb
from triggers_nb.demo.manager import FlightsManager
from triggers_nb.notebook.previews import preview_html
from triggers_nb.notebook.triage_logic import TriageLogic


def test_that_a_session_gets_another_manager_is_said(ws):
    other = tnb.connect(ws.url, manager=FlightsManager, allow_manager_change=True)

    html = preview_html(other["flight-N1"].plan.skip("t_identify#0").preview(hooks=False))

    assert "the session&#x27;s manager becomes <code>flights</code>" in html.replace("'", "&#x27;")


def test_that_the_metadata_of_a_session_changes_is_said(ws):
    frame = ws["flight-N1"].plan.skip("t_identify#0").preview(hooks=False)
    frame.loc[0, ["action", "target"]] = ["session", "metadata"]

    assert "the session's metadata changes" in preview_html(frame)


def test_equal_rows_of_several_sessions_are_one_row(ws):
    triage = TriageLogic(ws)
    triage.handle({"do": "open", "id": "skip"})

    assert triage.sheet.state()["preview"].count("t_identify#0") == 1
    assert '<span class="tnb-n">3 ×</span>' in triage.sheet.state()["preview"]
