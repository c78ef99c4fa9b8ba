"""Celery workers as processes of their own, on an application that a distribution of the tests registers."""

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import celery
import psutil
import pytest

from tests.celery import app as application
from tests.conftest import ROOT
from tests.storages.redis_servers import RedisServer
from triggers_nb import CacheStorageBackend, TriggerManager
from triggers_nb.manager import trigger_managers
from triggers_nb.storages.urls import open_store

T = TypeVar("T")

#: What does not happen within that time does not happen.
TIMEOUT_S = 240.0

ENTRY_POINTS = """\
[triggers.managers]
orders = tests.celery.app:OrdersManager
"""


@pytest.fixture(scope="session")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with an installed distribution whose entry point is the manager ``orders``."""
    place = tmp_path_factory.mktemp("site")
    info = place / "tests_of_workers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tests-of-workers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    sys.path.append(str(place))
    trigger_managers.refresh()
    yield place
    sys.path.remove(str(place))
    trigger_managers.refresh()


class Worker:
    """``celery worker`` with two child processes."""

    def __init__(self, url: str, site: Path, log: Path, *options: str, **environment: str) -> None:
        self.log = log
        command = [sys.executable, "-m", "celery", "-A", "tests.celery.app", "worker", "-l", "INFO", "-c", "2"]
        command += ["-Q", "celery,express", "-n", f"{log.stem}@%h", *options]
        self.environment = {
            **os.environ,
            "TRIGGERS_URL": url,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(site)]),
            "COVERAGE_PROCESS_START": "",
            **environment,
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(command, cwd=log.parent, env=self.environment, stdout=output, stderr=output)

    def wait_for_log(self, text: str) -> str:
        """Wait until its log says something, and return all that it says."""
        return wait_for(lambda: said if text in (said := self.log.read_text(errors="replace")) else "", text)

    def kill(self) -> None:
        """End it and its children as a power cut would."""
        family = [self.process.pid, *(child.pid for child in psutil.Process(self.process.pid).children(recursive=True))]
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()


def wait_for(look: Callable[[], T], what: str) -> T:
    """Wait until a look finds something that is true; for what nothing can wake us up."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {TIMEOUT_S:.0f} s for {what}"
        time.sleep(0.05)
    return found


class Session:
    """A session, and what its tasks and hooks report."""

    def __init__(self, server: RedisServer, uid: str, manager: str = "orders") -> None:
        self.server, self.uid = server, uid
        self.store = open_store(server.url)
        #: What a web process has: it sends work, and knows no task.
        self.app = celery.Celery("sender", broker=server.url, set_as_current=False)
        self.app.conf.task_routes = application.ROUTES
        storage = CacheStorageBackend(uid, self.store).derive(runner="celery", celery_app=self.app)
        self.manager: TriggerManager = trigger_managers.get(manager, storage)

    def configure(self, **tasks: dict) -> None:
        self.manager.update_configuration(tasks)

    def statuses(self) -> dict[str, str]:
        return {instance.name: instance.status for instance in self.manager.storage}

    def wait(self, **statuses: str) -> None:
        """Wait until instances have these statuses; ``t_a__0`` is ``t_a#0``."""
        expected = {name.replace("__", "#"): status for name, status in statuses.items()}
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            state = self.store.state(self.uid)
            found = self.statuses()
            if {name: found.get(name) for name in expected} == expected:
                return
            assert time.monotonic() < deadline, f"expected {expected}, found {found}"
            self.store.wait_for_events({self.uid: state.seq}, 1.0)

    def __getitem__(self, name: str):
        return self.manager.storage[name]

    def reports(self) -> list[str]:
        """Names of the instances whose bodies began to run, in that order."""
        return [json.loads(line)[0] for line in self.server.admin.lrange(application.report_key(self.uid), 0, -1)]

    def wait_for_report(self) -> int:
        """Wait until a body runs that nobody has waited for, and return its process id."""
        answer = self.server.admin.blpop([application.report_key(self.uid)], timeout=TIMEOUT_S)
        assert answer is not None, "nothing ran"
        return json.loads(answer[1])[1]

    def wait_for_hook(self) -> tuple[str, list[str], int]:
        answer = self.server.admin.blpop([application.hooks_key(self.uid)], timeout=TIMEOUT_S)
        assert answer is not None, "no hook was called"
        return tuple(json.loads(answer[1]))

    def hooks(self) -> list[list]:
        """What the hook was called with, in that order."""
        return [json.loads(line)[:2] for line in self.server.admin.lrange(application.hooks_key(self.uid), 0, -1)]

    def let_go(self) -> None:
        self.server.admin.rpush(application.gate_key(self.uid), "on")

    def messages(self) -> list[dict]:
        """The arguments of the messages that no worker has taken."""
        raw = self.server.admin.lrange("celery", 0, -1)
        return [json.loads(base64.b64decode(json.loads(each)["body"]))[1] for each in raw]
