"""Celery workers that are killed while they work."""

from collections import Counter

import pytest

from tests.celery.workers import wait_for
from tests.faults.invariants import check_invariants, recover_all
from tests.faults.test_servers import AWAY
from triggers_nb.recovery import recover

WAIT = {"t_wait": {"after": ["start"], "run": "tests.Wait"}, "t_next": {"after": ["t_wait"], "run": "tests.Echo"}}


def test_a_worker_killed_while_a_task_runs(session, start_worker):
    session.configure(**WAIT)
    first = start_worker(TRIGGERS_LEASE_S="1")
    session.manager.fire("start")
    session.wait_for_report()

    # When the whole worker is killed, then its task is lost once its lease has run out
    first.kill()
    assert session.statuses() == {"t_wait#0": "running"}
    done = wait_for(lambda: recover(session.store, runner="celery", celery_app=session.app), "the lease to run out")
    assert done == {"worker lost": 1}
    assert session["t_wait#0"].metadata["exceptionType"] == "triggers_nb.errors.WorkerLost"

    # And its message, which another worker gets, starts nothing
    second = start_worker(VISIBILITY_TIMEOUT_S="1")
    second.wait_for_log(f"instance 't_wait#0' of session {session.uid!r} is failed: it does not start")
    assert session.reports() == []

    # And it can be replayed
    session.manager.replay_failed_instance("t_wait#0")
    session.wait_for_report()
    session.let_go()
    session.wait(t_wait__0="replayed", t_wait__1="finished", t_next__0="finished")
    recover_all(session.store, runner="celery", celery_app=session.app)
    check_invariants(session.store, session.uid)


@pytest.mark.usefixtures("short_grace")
def test_a_worker_killed_before_it_starts_what_it_has_taken(session, start_worker):
    # Given a worker both of whose processes are busy, and that holds two messages more
    session.configure(t_wait={"after": [], "andEvery": "start", "run": "tests.Wait"})
    worker = start_worker("--prefetch-multiplier", "2", TRIGGERS_LEASE_S="1")
    for _ in range(4):
        session.manager.fire("start")
    session.wait_for_report()
    session.wait_for_report()
    wait_for(lambda: session.server.admin.llen("celery") == 0, "the worker to take all messages")

    # When it is killed, then another one gets what had not started, from recovery
    worker.kill()
    start_worker()
    done = Counter()
    while done["worker lost"] < 2 or done["handed over"] < 2:
        done.update(wait_for(lambda: recover(session.store, runner="celery", celery_app=session.app), "what is left"))
    for _ in range(2):
        session.wait_for_report()
        session.let_go()
    recover_all(session.store, runner="celery", celery_app=session.app)

    assert done["worker lost"] == 2
    assert sorted(session.statuses().values()) == ["failed", "failed", "finished", "finished"]
    assert session.reports() == []
    check_invariants(session.store, session.uid)


def test_the_beat_recovers(session, start_worker, tmp_path):
    session.configure(**WAIT)
    session.let_go()
    session.manager.storage.handover = "defer"
    session.manager.fire("start")

    start_worker("-B", "-s", str(tmp_path / "schedule"))

    session.wait(t_wait__0="finished", t_next__0="finished")


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_other_pools_run_tasks_too(session, start_worker, pool):
    session.configure(**WAIT)
    session.let_go()
    start_worker("-P", pool)

    session.manager.fire("start")

    session.wait(t_wait__0="finished", t_next__0="finished")
    recover_all(session.store, runner="celery", celery_app=session.app)
    check_invariants(session.store, session.uid)


@pytest.mark.long
@pytest.mark.usefixtures("short_grace", "short_lease")
def test_the_server_is_killed_and_started_again_under_a_worker(session, start_worker):
    session.configure(
        t_slow={"after": [], "andEvery": "start", "run": "tests.Slow"},
        t_next={"after": [], "andEvery": "t_slow", "run": "tests.Echo"},
    )
    start_worker()
    for n in range(40):
        session.manager.fire("start", {"n": n})
    wait_for(lambda: len(session.reports()) > 10, "some to run")

    session.server.kill()
    session.server.start()
    recover_all(session.store, runner="celery", celery_app=session.app)

    # Then all have run, but those that could not report at that moment, or not for so long that they counted as lost
    instances = list(session.manager.storage)
    failed = {each.metadata["exceptionType"] for each in instances if each.status == "failed"}
    assert failed <= {*AWAY, "triggers_nb.errors.WorkerLost"}
    assert sum(each.config.name == "t_slow" for each in instances) == 40
    assert set(Counter(session.reports()).values()) == {1}
    assert {each.name for each in instances if each.status == "finished"} <= set(session.reports())
    check_invariants(session.store, session.uid)
