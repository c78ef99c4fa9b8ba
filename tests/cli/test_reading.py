"""The commands that look at a storage."""

import json
from pathlib import Path

import pytest

import triggers_nb as tnb
from triggers_nb import cli
from triggers_nb.runners import ThreadingTaskRunner
from triggers_nb.testing import FailingTask


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Given a storage with three sessions, two of which have failed for the same cause."""
    url = f"sqlite:///{tmp_path / 'day.db'}"
    with tnb.connect(url) as ws:
        for uid in ("order/1", "order/2", "idle"):
            session = ws.create(uid, {"t_pay": {"after": ["go"], "run": FailingTask.name}})
            if uid != "idle":
                session.fire("go", {"password": "hunter22"})
        ThreadingTaskRunner.join_all()
    return url


def printed(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert cli.main(argv) == code
    return capsys.readouterr().out


def test_sessions_are_listed(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "sessions", "--url", url)
    assert "order/1" in text
    assert "idle" in text
    rows = json.loads(printed(capsys, "sessions", "order/*", "--url", url, "--json"))
    assert {row["session_uid"]: row["failed"] for row in rows} == {"order/1": 1, "order/2": 1}
    assert json.loads(printed(capsys, "sessions", "--url", url, "--json", "--max", "1"))[0]["observed_at"]


def test_failures_are_grouped_by_cause(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    (group,) = json.loads(printed(capsys, "failures", "--url", url, "--json"))
    assert (group["n_instances"], group["n_sessions"], group["task"]) == (2, 2, "t_pay")
    assert "always fails" in printed(capsys, "failures", "--url", url)


def test_one_session_is_shown(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "show", "order/1", "--url", url)
    assert "t_pay#0" in text
    assert "hunter22" not in text
    (row,) = json.loads(printed(capsys, "show", "order/1", "--url", url, "--json"))
    assert row["status"] == "failed"


def test_what_is_not_there_is_said_and_not_made(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["show", "order/9", "--url", url]) == 1
    assert "order/9" in capsys.readouterr().err
    assert cli.main(["sessions", "--url", f"sqlite:///{tmp_path / 'typo.db'}"]) == 2
    assert "typo.db" in capsys.readouterr().err
    assert not (tmp_path / "typo.db").exists()


def test_a_configuration_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(json.dumps({"t_a": {"after": ["t_b"], "run": "x"}, "t_b": {"after": ["t_a"], "run": "x"}}))
    findings = json.loads(printed(capsys, "lint", str(file), "--json", code=1))
    assert "cycle" in {finding["code"] for finding in findings}
    assert "cycle" in printed(capsys, "lint", str(file), code=1)
    file.write_text("[1]")
    assert cli.main(["lint", str(file)]) == 1
    assert "object of task names" in capsys.readouterr().err
