"""The command ``triggers-nb recover``."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from triggers_nb import CacheStorageBackend, TriggerManager, cli
from triggers_nb.runners.threads import ThreadingTaskRunner

CONFIGURATION = {"t_echo": {"after": ["start"], "run": "tests.Echo"}}


@pytest.fixture
def deferred(session):
    """A session whose work is left to recovery."""
    session.manager.storage.handover = "defer"
    session.configure(**CONFIGURATION)
    session.manager.fire("start")
    return session


def test_it_hands_over_to_the_workers(deferred, worker):
    command = "import sys; from triggers_nb.cli import main; sys.exit(main())"
    argv = ["recover", "--url", deferred.server.url, "--celery-app", "tests.celery.app:app", "--json"]

    done = subprocess.run(
        [sys.executable, "-c", command, *argv],
        env={**worker.environment, "PYTHONPATH": worker.environment["PYTHONPATH"].partition(os.pathsep)[2]},
        cwd=ROOT,  # where the application is found, as by Celery
        capture_output=True,
        text=True,
        check=True,
    )

    assert json.loads(done.stdout) == {"handed over": 1}
    deferred.wait(t_echo__0="finished")


def test_it_runs_tasks_in_threads_if_it_is_asked_to(deferred, capsys):
    argv = ["--url", deferred.server.url, "--runner", "threading", "--import", "tests.celery.app"]

    assert cli.main(["recover", *argv]) == 0

    assert "handed over" in capsys.readouterr().out
    ThreadingTaskRunner.join_all()
    assert deferred.statuses() == {"t_echo#0": "finished"}


def test_nothing_to_do_is_no_error(tmp_path, capsys):
    url = f"sqlite:///{tmp_path / 'idle.db'}"
    TriggerManager(CacheStorageBackend("idle", url)).update_configuration(CONFIGURATION)

    assert cli.main(["recover", "--url", url, "--json"]) == 0
    assert capsys.readouterr().out == "{}\n"


def test_what_cannot_be_recovered_is_an_error(deferred, capsys):
    assert cli.main(["recover", "--url", deferred.server.url, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"failed": 1}
    assert deferred.statuses() == {"t_echo#0": "scheduled"}


@pytest.mark.parametrize(
    ("argv", "code", "complaint"),
    [
        (["--url", "nowhere"], 2, "nowhere"),
        (["--url", "redis://127.0.0.1:1"], 1, "cannot be reached"),
        (["--import", "no.such.module"], 1, "No module named 'no'"),
        (["--limit", "0"], 2, "a whole number from 1 on"),
    ],
)
def test_what_cannot_be_asked_for_is_told_in_a_line(capsys, argv, code, complaint):
    try:
        found = cli.main(["recover", *argv])
    except SystemExit as ended:
        found = ended.code

    captured = capsys.readouterr()
    assert (found, captured.out) == (code, "")
    assert complaint in captured.err.splitlines()[-1]
