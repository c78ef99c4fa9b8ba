"""The commands that look at a storage."""

import json
import os
import subprocess
import sys
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


def test_what_stands_twice_in_a_configuration_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "tasks.json"
    file.write_text(
        """{
            "t_ship": {"after": ["paid"], "run": "proj.Ship"},
            "t_bill": {"after": ["paid"], "after": ["packed"], "run": "proj.Bill",
                       "withParams": {"packed": {"n": [{"x": 1, "x": 2}]}}},
            "t_ship": {"after": ["packed"], "run": "proj.Ship"}
        }"""
    )
    found = json.loads(printed(capsys, "lint", str(file), "--json", code=1))
    assert [(each["code"], each["task"], each["names"]) for each in found if each["code"] == "duplicate"] == [
        ("duplicate", "t_ship", ["t_ship"]),
        ("duplicate", "t_bill", ["after"]),
        ("duplicate", "t_bill", ["x"]),
    ]
    assert "'t_ship' stands in the file more than once" in printed(capsys, "lint", str(file), code=1)


def complaint(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The one line that a command says which cannot be done; argparse puts its usage above."""
    try:
        code = cli.main(argv)
    except SystemExit as ended:
        code = int(ended.code or 0)
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, "")
    assert "Traceback" not in captured.err
    return captured.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe{}", "JSON in UTF-8"),
        (b"{", "JSON in UTF-8"),
        (b"", "JSON in UTF-8"),
        (b"[" * 100_000, "in one another"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "in one another"),
    ],
)
def test_a_file_that_is_no_configuration_is_told_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, problem: str
) -> None:
    file = tmp_path / "tasks.json"
    file.write_bytes(content)
    said = complaint(capsys, "lint", str(file))
    assert str(file) in said
    assert problem in said


def test_a_configuration_that_is_not_there_is_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert "No such file" in complaint(capsys, "lint", "/nowhere/tasks.json")


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["sessions", "--since", "yesterday"], "expected a datetime with a time zone, or an age such as"),
        (["sessions", "--since", "2026-02-08T12:00"], "it has no time zone"),
        (["failures", "--since", "99999999999d"], "since='99999999999d'"),
        (["sessions", "--max", "9" * 23], "too long"),
        (["sessions", "--max", "9" * 5000], "too long"),
        (["sessions", "--max", "-1"], "a whole number from 1 on"),
    ],
)
def test_arguments_of_which_nothing_can_be_made_are_told_in_a_line(
    url: str, capsys: pytest.CaptureFixture[str], argv: list[str], problem: str
) -> None:
    assert problem in complaint(capsys, *argv, "--url", url)


@pytest.mark.parametrize("since", ["1h", "999999d", "99999999d", "1970-01-01T00:00:00+00:00"])
def test_long_ago_is_all_there_is(url: str, capsys: pytest.CaptureFixture[str], since: str) -> None:
    assert len(json.loads(printed(capsys, "sessions", "--since", since, "--url", url, "--json"))) == 3


@pytest.mark.filterwarnings("always::triggers_nb.errors.CredentialsWarning")
def test_a_password_in_the_command_is_warned_of_as_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sessions", "--url", "redis://:hunter22@127.0.0.1:1/0"]) == 1
    said = capsys.readouterr().err
    assert "set TRIGGERS_URL instead of passing --url" in said
    assert "notebook" not in said
    assert "hunter22" not in said


@pytest.mark.parametrize("command", [["triggers-nb"], [sys.executable, "-m", "triggers_nb"]])
def test_the_command_says_its_version(command: list[str]) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run = subprocess.run(
        [*command, "--version"], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert run.stdout == f"triggers-nb {tnb.__version__}\n"
