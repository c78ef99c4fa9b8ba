"""What `recover` does with what a process left behind that was killed between two steps."""

import logging
import os
import signal
import subprocess
import sys
from decimal import Decimal

import pytest

from tests.celery.workers import wait_for
from tests.conftest import ROOT
from tests.faults.invariants import check_invariants, recover_all
from triggers_nb import CacheStorageBackend
from triggers_nb.core.failures import describe
from triggers_nb.core.records import to_us
from triggers_nb.errors import WorkerLost
from triggers_nb.recovery import MAX_FAILURES_IN_A_ROW, recover
from triggers_nb.runners.base import left_of_cooldown_s, task_runners
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.memory import MemoryStore

TWO_STEPS = {
    "t_first": {"after": ["start"], "run": "tests.Echo"},
    "t_second": {"after": ["t_first"], "run": "tests.Echo"},
}


def test_a_process_killed_between_commit_and_hand_over(session, die):
    session.configure(**TWO_STEPS)

    die("die_before_the_hand_over", session.uid)
    assert session.statuses() == {"t_first#0": "scheduled"}
    done = recover_all(session.store, runner="threading")

    assert done["handed over"] == 1
    assert session.statuses() == {"t_first#0": "finished", "t_second#0": "finished"}
    assert session.reports() == ["t_first#0", "t_second#0"]
    # Who calls which first depends on who is faster.
    assert sorted(session.hooks()) == [["start", ["t_first#0"]], ["t_first", ["t_second#0"]], ["t_second", []]]
    check_invariants(session.store, session.uid)


def test_a_process_killed_between_commit_and_hook(session, die):
    session.configure(**TWO_STEPS)

    die("die_before_the_hook", session.uid)
    assert session.hooks() == []
    done = recover_all(session.store, runner="threading")

    assert done["hooks called"] == 1
    assert sorted(session.hooks())[0] == ["start", ["t_first#0"]]
    assert len(session.hooks()) == 3
    assert session.reports() == ["t_first#0", "t_second#0"]
    check_invariants(session.store, session.uid)


def test_a_process_killed_in_a_hook_has_it_called_again(session, die):
    session.configure(**TWO_STEPS)

    die("die_in_the_hook", session.uid)
    recover_all(session.store, runner="threading")

    assert session.hooks().count(["start", ["t_first#0"]]) == 2
    assert len(session.hooks()) == 4
    check_invariants(session.store, session.uid)


def test_a_process_killed_between_a_finish_and_its_cascade(session, die):
    session.configure(**TWO_STEPS)

    die("die_before_the_cascade_is_handed_over", session.uid)
    assert session.statuses() == {"t_first#0": "finished", "t_second#0": "scheduled"}
    recover_all(session.store, runner="threading")

    assert session.statuses() == {"t_first#0": "finished", "t_second#0": "finished"}
    assert session.reports() == ["t_first#0", "t_second#0"]
    check_invariants(session.store, session.uid)


def test_a_process_killed_while_it_recovers(session, die):
    session.configure(**TWO_STEPS)
    die("die_before_the_hand_over", session.uid)

    die("die_while_it_recovers", session.uid)
    recover_all(session.store, runner="threading")

    assert session.reports() == ["t_first#0", "t_second#0"]
    check_invariants(session.store, session.uid)


def test_a_hook_that_raises_is_not_called_again(session, caplog):
    session.configure(**TWO_STEPS)
    session.manager.storage.runner = "threading"
    session.manager._post_fire = lambda *_: 1 / 0

    with pytest.raises(ZeroDivisionError):
        session.manager.fire("start")
    ThreadingTaskRunner.join_all()

    assert session.store.next_due_us() is None
    assert recover(session.store) == {}
    check_invariants(session.store, session.uid)


def test_what_the_manager_of_one_session_recovers_is_told_by_item(session, die):
    session.configure(**TWO_STEPS)
    die("die_before_the_hand_over", session.uid)
    session.manager.storage.runner = "threading"

    done = wait_for(session.manager.recover, "something to be due")

    ThreadingTaskRunner.join_all()
    done |= wait_for(session.manager.recover, "the rest to be due") if len(done) < 2 else {}
    assert sorted(done.values()) == ["handed over", "hooks called"]
    assert done["p:t_first#0"] == "handed over"


def test_nothing_is_recovered_before_it_is_due(session):
    session.configure(**TWO_STEPS)
    session.manager.fire("start")

    assert recover(session.store, runner="threading") == {}
    assert len(session.messages()) == 1


def test_several_places_recover_each_item_once(session, distribution):
    # Given two hundred sessions whose work nobody has got
    session.manager.storage.handover = "defer"
    for n in range(200):
        other = type(session.manager)(session.manager.storage.derive(uid=f"{session.uid}-{n}"))
        other.update_configuration(TWO_STEPS)
        other.fire("start")

    # When four processes recover at once
    code = "import sys; from triggers_nb.recovery import recover; \n"
    code += (
        f"sys.stdin.readline(); print(recover({session.server.url!r}, runner='celery', celery_app='tests.celery.app'))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(distribution)])}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [eval(process.communicate()[0]) for process in processes]

    # Then each was handed over once
    assert sum(each.get("handed over", 0) for each in told) == 200
    assert len({message["storage_uid"] for message in session.messages()}) == 200
    assert len(session.messages()) == 200


def test_a_session_that_is_deleted_leaves_nothing_to_recover(session):
    session.manager.storage.handover = "defer"
    session.configure(**TWO_STEPS)
    session.manager.fire("start")

    session.store.delete(session.uid)

    assert recover(session.store, runner="threading") == {}
    assert session.store.next_due_us() is None


def test_a_manager_that_is_not_installed_here_stops_nothing_else(session, caplog):
    # Given more sessions of a manager that is unknown here than failures are borne in a row, and one of another
    session.manager.storage.handover = "defer"
    for n in range(MAX_FAILURES_IN_A_ROW + 1):
        storage = session.manager.storage.derive(uid=f"{session.uid}-{n}")
        type(session.manager)(storage).update_configuration(TWO_STEPS)
        type(session.manager)(storage).fire("start")
        forget_manager(storage)
    session.configure(**TWO_STEPS)
    session.manager.fire("start")

    done = recover(session.store, runner="threading")
    ThreadingTaskRunner.join_all()

    assert done["out of reach"] == MAX_FAILURES_IN_A_ROW + 1
    assert session.statuses() == {"t_first#0": "finished", "t_second#0": "finished"}
    assert "cannot be recovered here: no manager is registered as 'gone'" in caplog.text


def forget_manager(storage):
    """Have a session remember a manager that is not installed."""
    from triggers_nb.core import transitions

    storage.transact("session", lambda work: transitions.record_manager(work, "gone"))


def test_while_the_broker_is_down_recovery_backs_off_and_gives_up_early(session, caplog, monkeypatch):
    # Given a runner whose broker is down
    calls = []

    @task_runners.register("down")
    class Down(ThreadingTaskRunner):
        def run(self, manager, task_instance):
            calls.append(task_instance.name)
            raise ConnectionError("no broker")

    try:
        session.manager.storage.handover = "defer"
        session.configure(t_many={"after": [], "andEvery": "start", "run": "tests.Echo"})
        for _ in range(3 * MAX_FAILURES_IN_A_ROW):
            session.manager.fire("start")

        # When it is recovered, then it stops early, and what was tried is not due any more
        assert recover(session.store, runner="down") == {"failed": MAX_FAILURES_IN_A_ROW}
        tried = [f"p:{name}" for name in calls]
        assert len(session.store.due()) == 2 * MAX_FAILURES_IN_A_ROW
        assert {item for _, item, _ in session.store.due()}.isdisjoint(tried)
        assert "ConnectionError: no broker" in caplog.text

        # And each time that it fails it waits for twice as long as it has waited since it was scheduled
        monkeypatch.setenv("TRIGGERS_GRACE_S", "0.001")
        scheduled_us = to_us(session[calls[0]].metadata["timestamps"]["scheduled"])
        for _ in range(3):
            assert session.store.postpone(session.uid, tried[0], -3600)
            before_us = session.store.now_us()
            assert recover(session.store, runner="down", limit=1) == {"failed": 1}
            after_us = session.store.now_us()
            assert calls[-1] == calls[0]
            next_us = session.store.state(session.uid).due[tried[0]].due_us
            assert 2 * (before_us - scheduled_us) <= next_us - scheduled_us <= 2 * (after_us - scheduled_us)
    finally:
        task_runners.unregister("down")

    # And when the broker is there again, everything runs
    for item in tried:
        session.store.postpone(session.uid, item, 0)
    recover_all(session.store, runner="threading")
    assert set(session.statuses().values()) == {"finished"}
    assert sorted(session.reports()) == sorted(session.statuses())


def test_a_running_task_keeps_its_lease(session, monkeypatch):
    monkeypatch.setenv("TRIGGERS_HEARTBEAT_S", "0.05")
    session.configure(t_wait={"after": ["start"], "run": "tests.Wait"})
    session.manager.storage.runner = "threading"
    session.manager.fire("start")
    session.wait(t_wait__0="running")

    # When it takes long, then its lease is renewed again and again
    seen = []
    while len(seen) < 6:
        assert recover(session.store) == {}
        due_us = session.store.state(session.uid).due["r:t_wait#0"].due_us
        seen += [due_us] if due_us not in seen else []
    assert seen == sorted(seen)
    session.let_go()
    ThreadingTaskRunner.join_all()

    assert session.statuses() == {"t_wait#0": "finished"}
    check_invariants(session.store, session.uid)


def test_a_task_that_takes_several_leases_long_is_not_lost(session, monkeypatch):
    # Given a store whose clock goes on when the test says so
    monkeypatch.setenv("TRIGGERS_HEARTBEAT_S", "0.05")
    store, passed_s = MemoryStore(), [0]
    monkeypatch.setattr(store, "now_us", lambda: session.store.now_us() + passed_s[0] * 1_000_000)
    manager = type(session.manager)(CacheStorageBackend(session.uid, store).derive(runner="threading"))
    manager.update_configuration({"t_wait": {"after": ["start"], "run": "tests.Wait"}})
    manager.fire("start")
    session.wait_for_report()

    # When several leases pass, of which each is renewed in time
    for _ in range(6):
        due_us = store.state(session.uid).due["r:t_wait#0"].due_us
        passed_s[0] += 80
        wait_for(lambda due_us=due_us: store.state(session.uid).due["r:t_wait#0"].due_us > due_us, "the heartbeat")
        assert recover(store) == {}
    session.let_go()
    ThreadingTaskRunner.join_all()

    assert manager.storage["t_wait#0"].status == "finished"


def test_the_end_of_another_delivery_does_not_fail_who_runs_it(session):
    session.configure(t_wait={"after": ["start"], "run": "tests.Wait"})
    session.manager.storage.runner = "threading"
    session.manager.fire("start")
    session.wait(t_wait__0="running")

    # When the process dies that was told by a duplicate to run it
    assert session.manager.fail_running("t_wait#0", b"another claim...", describe(WorkerLost("died"))) is False

    # Then who runs it still holds its lease, and ends it
    assert "r:t_wait#0" in session.store.state(session.uid).due
    session.let_go()
    ThreadingTaskRunner.join_all()
    assert session.statuses() == {"t_wait#0": "finished"}


def test_the_cost_of_finding_nothing_does_not_depend_on_the_number_of_sessions(session):
    def count_commands():
        before = session.server.admin.info("stats")["total_commands_processed"]
        assert recover(session.store) == {}
        return session.server.admin.info("stats")["total_commands_processed"] - before

    session.configure(**TWO_STEPS)
    count_commands()  # the first time it looks at the server
    with_one = count_commands()
    for n in range(300):
        type(session.manager)(session.manager.storage.derive(uid=f"idle-{n}")).update_configuration(TWO_STEPS)

    assert count_commands() == with_one


def test_a_result_that_comes_after_the_lease_ran_out_is_refused_and_logged(session, start_worker):
    session.configure(
        t_wait={"after": ["start"], "run": "tests.Wait"}, t_next={"after": ["t_wait"], "run": "tests.Echo"}
    )
    worker = start_worker(TRIGGERS_LEASE_S="1")
    session.manager.fire("start")
    pid = session.wait_for_report()

    # Given a process that stands still for longer than its lease
    os.kill(pid, signal.SIGSTOP)
    done = wait_for(lambda: recover(session.store), "the lease to run out")
    assert done == {"worker lost": 1}
    assert session["t_wait#0"].status == "failed"
    assert session["t_wait#0"].metadata["exceptionType"] == "triggers_nb.errors.WorkerLost"

    # When it goes on and ends
    os.kill(pid, signal.SIGCONT)
    session.let_go()

    # Then what it brings is dropped
    worker.wait_for_log("its result comes too late and is dropped")
    assert session.statuses() == {"t_wait#0": "failed"}
    check_invariants(session.store, session.uid)


def test_recovery_says_in_the_log_what_it_cannot_do(session, caplog):
    caplog.set_level(logging.ERROR)
    session.manager.storage.handover = "defer"
    session.configure(**TWO_STEPS)
    session.manager.fire("start")

    assert recover(session.store) == {"failed": 1}

    assert "NoRunner" in caplog.text


def test_a_retry_that_is_handed_over_again_waits_for_what_is_left_of_its_cooldown(session):
    # Given a retry whose hand-over has failed, as the broker is down
    session.configure(t_flaky={"after": ["start"], "run": "tests.Flaky"})
    session.manager.storage.runner = "threading"
    session.manager.fire("start")
    ThreadingTaskRunner.join_all()
    assert session.statuses() == {"t_flaky#0": "replayed", "t_flaky#1": "finished"}

    # Then it waits for less than before, and for nothing once the cooldown is over
    clone = session["t_flaky#1"]
    assert clone.cooldown == 0.1
    clone.metadata["cooldown"] = 3600
    assert 3000 < left_of_cooldown_s(clone) < 3600
    clone.metadata["cooldown"] = 1e-6
    assert left_of_cooldown_s(clone) == 0


def test_a_cooldown_may_be_any_number(session):
    session.configure(t_echo={"after": ["start"], "run": "tests.Echo"})
    session.manager.storage.runner = "threading"
    session.manager.fire("start")
    ThreadingTaskRunner.join_all()
    instance = session["t_echo#0"]

    for cooldown in (Decimal(6000), 6000, 6000.0):
        instance.metadata["cooldown"] = cooldown
        assert 5000 < left_of_cooldown_s(instance) < 6000
