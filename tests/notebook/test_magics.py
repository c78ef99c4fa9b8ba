import pytest
from IPython.core.error import UsageError
from IPython.testing.globalipapp import start_ipython

import triggers_nb as tnb
from triggers_nb.session import Session
from triggers_nb.workspace import Workspace


@pytest.fixture(scope="module")
def whole_shell():
    return start_ipython()


@pytest.fixture
def shell(whole_shell):
    whole_shell.user_ns.pop("ws", None)
    whole_shell.run_line_magic("load_ext", "triggers_nb")
    return whole_shell


def test_connect_keeps_the_workspace_as_ws(shell):
    returned = shell.run_line_magic("triggers", "connect memory://magics-connect")

    assert isinstance(returned, Workspace)
    assert shell.user_ns["ws"] is returned


def test_lines_do_what_the_api_does(shell):
    ws = shell.user_ns["ws"] = tnb.connect("memory://magics-lines")
    ws.create("order/1", {"t_a": {"after": ["go"], "run": "app.A"}})
    ws.create("other", {"t_a": {"after": ["go"], "run": "app.A"}})

    assert list(shell.run_line_magic("triggers", "sessions 'order/*'")["session_uid"]) == ["order/1"]
    assert shell.run_line_magic("triggers", "failures").empty
    shown = shell.run_line_magic("triggers", "show order/1")
    assert isinstance(shown, Session)
    assert shown.uid == "order/1"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "%triggers connect"),
        ("sesions", "Did you mean 'sessions'"),
        ("show", "got 0 arguments"),
        ("show a b", "got 2 arguments"),
        ("show 'a", "No closing quotation"),
        ("sessions", "no workspace named ws"),
    ],
)
def test_a_line_that_cannot_be_done_says_what_was_expected(shell, line, said):
    with pytest.raises(UsageError) as caught:
        shell.run_line_magic("triggers", line)

    assert said in str(caught.value)
