"""A while of everything at once, with processes that are killed at random."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter

import psutil
import pytest

from tests.celery.workers import Session
from tests.conftest import ROOT
from tests.faults.invariants import check_invariants, recover_all
from triggers_nb.core.codec import decode_value
from triggers_nb.core.events import decode_event
from triggers_nb.recovery import recover

N_SESSIONS = 12
#: Firing processes that are started in all, and how often each fires at most.
N_FIRING = 9
FIRES_EACH = 100
#: How many firings are acknowledged between two kills; a kill comes as often on a slow machine as on a fast one.
BETWEEN_KILLS = (20, 40)
CONFIGURATION = {
    "t_a": {"after": [], "andEvery": "start", "run": "tests.Slow"},
    "t_b": {"after": [], "andEvery": "t_a", "run": "tests.Flaky"},
    "t_c": {"after": ["never"], "andEvery": "t_b", "unless": ["other"], "run": "tests.Echo"},
}


class Chaos:
    """Two workers and three firing processes at a time, all of which may be killed."""

    def __init__(self, session: Session, start_worker, site, seed: int) -> None:
        self.chance = random.Random(seed)
        self.session, self.start_worker, self.site = session, start_worker, site
        self.workers = [self._worker(), self._worker()]
        self.firing: list[subprocess.Popen] = []
        self.n_started = self.n_kills = 0

    def _worker(self):
        return self.start_worker("--prefetch-multiplier", "4", VISIBILITY_TIMEOUT_S="5")

    def keep_firing(self) -> bool:
        """Start another firing process if one has ended; False once all of them have."""
        self.firing = [each for each in self.firing if each.poll() is None]
        while len(self.firing) < 3 and self.n_started < N_FIRING:
            arguments = ("fire_many", self.session.uid, f"f{self.n_started}", str(FIRES_EACH), str(N_SESSIONS))
            command = [sys.executable, "-m", "tests.faults.children", self.session.server.url, *arguments]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.site)])}
            self.firing.append(subprocess.Popen(command, env=environment))
            self.n_started += 1
        return bool(self.firing)

    def let_them_fire(self) -> None:
        """Wait until so many more firings have been acknowledged, or no process fires."""
        goal = self.n_acknowledged() + self.chance.randint(*BETWEEN_KILLS)
        while self.n_acknowledged() < goal and any(each.poll() is None for each in self.firing):
            time.sleep(0.05)

    def n_acknowledged(self) -> int:
        return int(self.session.server.admin.llen("acknowledged"))

    def kill_something(self) -> None:
        what = self.chance.random()
        if what < 0.3:
            self.chance.choice(self.firing).kill()
        elif what < 0.7:
            worker = self.chance.choice(self.workers)
            children = psutil.Process(worker.process.pid).children()
            if children:
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.chance.choice(children).send_signal(signal.SIGKILL)
                self.n_kills += 1
        else:
            index = self.chance.randrange(2)
            self.workers[index].kill()
            self.workers[index] = self._worker()
            self.n_kills += 2


def fired_ids(session: Session) -> list[str]:
    changes = [change for event in session.store.events(session.uid) for change in decode_event(event.data).changes]
    return [decode_value(each.kwargs)["id"] for each in changes if each.action == "fire" and each.target == "start"]


def check_session(session: Session) -> int:
    """Every instance that should exist exists, and no body ran twice; returns how many were lost."""
    check_invariants(session.store, session.uid)
    instances = list(session.manager.storage)
    created = Counter(each.config.name for each in instances if "parent" not in each.metadata)
    finished = Counter(each.config.name for each in instances if each.status == "finished")
    assert created["t_a"] == len(fired_ids(session))
    assert created["t_b"] == finished["t_a"]
    assert created["t_c"] == finished["t_b"]
    runs = Counter(session.reports())
    failed = {each.name for each in instances if each.status == "failed"}
    ended = {each.name for each in instances if each.status in ("finished", "replayed")}
    assert set(runs.values()) == {1}
    assert ended <= runs.keys() <= ended | failed
    assert {session[name].metadata["exceptionType"] for name in failed} <= {"triggers_nb.errors.WorkerLost"}
    return len(failed)


@pytest.mark.long
def test_nothing_is_lost_and_nothing_runs_twice(own_redis, start_worker, distribution, monkeypatch):
    monkeypatch.setenv("TRIGGERS_GRACE_S", "5")
    monkeypatch.setenv("TRIGGERS_LEASE_S", "15")
    sessions = [Session(own_redis, f"soak-{n}") for n in range(N_SESSIONS)]
    for session in sessions:
        session.configure(**CONFIGURATION)
    store, app = sessions[0].store, sessions[0].app
    chaos = Chaos(sessions[0], start_worker, distribution, seed=1)
    chaos.session.uid = "soak"

    # When processes fire, and processes are killed, while somebody recovers
    done: Counter[str] = Counter()
    while chaos.keep_firing():
        chaos.let_them_fire()
        chaos.kill_something()
        done.update(recover(store, runner="celery", celery_app=app))
    done += recover_all(store, runner="celery", celery_app=app)

    # Then every trigger that was fired is recorded, once, and what failed was run by a process that was killed
    sessions[0].uid = "soak-0"
    acknowledged = {each.decode() for each in own_redis.admin.lrange("acknowledged", 0, -1)}
    fired = Counter(each for session in sessions for each in fired_ids(session))
    assert set(fired.values()) == {1}
    assert acknowledged <= set(fired)
    assert len(acknowledged) > 150
    lost = sum(check_session(session) for session in sessions)
    assert lost <= chaos.n_kills
    print(f"{len(fired)} firings, {chaos.n_kills} workers killed, {lost} instances lost, {dict(done)}")

    # And what was lost can be run again
    for session in sessions:
        for instance in session.manager.storage:
            if instance.status == "failed":
                session.manager.replay_failed_instance(instance)
    recover_all(store, runner="celery", celery_app=app)
    for session in sessions:
        check_invariants(store, session.uid)
        statuses = Counter(session.statuses().values())
        assert set(statuses) <= {"finished", "replayed", "unstarted"}
