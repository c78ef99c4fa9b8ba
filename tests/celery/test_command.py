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


@pytest.fixture
def pending(tmp_path):
    """The URL of a storage of this machine with an instance that nobody has taken."""
    url = f"sqlite:///{tmp_path / 'pending.db'}"
    manager = TriggerManager(CacheStorageBackend("order-17", url).derive(handover="defer"))
    manager.update_configuration({"t_elsewhere": {"after": ["start"], "run": "proj.tasks.Elsewhere"}})
    manager.fire("start")
    return url


def test_an_instance_whose_class_this_process_lacks_stays_pending(pending, capsys, tmp_path, monkeypatch):
    assert cli.main(["recover", "--url", pending, "--json"]) == 1

    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"out of reach": 1}
    assert CacheStorageBackend("order-17", pending)["t_elsewhere#0"].status == "scheduled"

    # And the same with the module that defines it does it, at once
    (tmp_path / "elsewhere_tasks.py").write_text(
        "from triggers_nb import TriggerTask\n"
        "class Elsewhere(TriggerTask):\n"
        "    name = 'proj.tasks.Elsewhere'\n"
        "    def _run(self, context): return {}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert cli.main(["recover", "--url", pending, "--import", "elsewhere_tasks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"handed over": 1}
    ThreadingTaskRunner.join_all()
    assert CacheStorageBackend("order-17", pending)["t_elsewhere#0"].status == "finished"


def test_a_storage_that_is_not_there_is_refused_and_not_made(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("TRIGGERS_URL")
    monkeypatch.chdir(tmp_path)

    for argv in (["--url", "sqlite:///typo.db"], []):
        assert cli.main(["recover", *argv]) == 2
        assert "there is no file" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_recovered_is_an_error(deferred, capsys):
    assert cli.main(["recover", "--url", deferred.server.url, "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {"failed": 1}
    assert deferred.statuses() == {"t_echo#0": "scheduled"}


@pytest.mark.parametrize(
    ("argv", "code", "complaint"),
    [
        (["--url", "nowhere"], 2, "nowhere"),
        (["--url", "redis://127.0.0.1:1"], 1, "cannot be reached"),
        (["--import", "no.such.module"], 2, "No module named 'no'"),
        (["--import", ""], 2, "--import ''"),
        (["--import", "broken_module"], 2, "ZeroDivisionError"),
        (["--limit", "0"], 2, "a whole number from 1 on"),
        (["--limit", "9" * 5000], 2, "too long"),
        (["--celery-app", "nope:app"], 2, "No module named 'nope'"),
        (["--celery-app", "broken_module:app"], 2, "ZeroDivisionError"),
        (["--celery-app", "tests.celery.app:ROUTES"], 2, "expected a Celery application"),
        (["--runner", "nope"], 2, "no runner is registered as"),
    ],
)
def test_what_cannot_be_asked_for_is_told_in_a_line(capsys, argv, code, complaint, tmp_path, monkeypatch):
    # Given a storage in which nothing is due, and a module that cannot be imported
    (tmp_path / "broken_module.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)

    try:
        found = cli.main(["recover", *argv])
    except SystemExit as ended:
        found = ended.code

    captured = capsys.readouterr()
    assert (found, captured.out) == (code, "")
    assert complaint in captured.err.splitlines()[-1]
