"""What a real worker does with what is sent to it."""

import os
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from tests.celery.workers import wait_for

pytestmark = pytest.mark.usefixtures("worker")

VALUES = {
    "none": None,
    "flags": [True, False],
    "number": 2**62,
    "ratio": 0.1,
    "text": "naïve 'quoted' \u2028 text",
    "nested": {"list": [1, {"deep": [None]}], "empty": {}},
    "moment": datetime(2013, 2, 8, 17, 30, 1, 234567, tzinfo=UTC),
    "naive": datetime(2013, 2, 8, 17, 30),
    "day": date(2013, 2, 8),
    "clock": time(23, 59, 59, 999999),
    "span": timedelta(days=-1, microseconds=5),
    "price": Decimal("1.10"),
    "key": UUID(int=7),
    "raw": b"\x00\xff",
    "seats": {"1A", "1B"},
}


def test_a_cascade_goes_through_the_custom_manager_in_the_worker(session):
    session.configure(
        t_pack={"after": ["paid"], "run": "tests.Echo"}, t_ship={"after": ["t_pack"], "run": "tests.Echo"}
    )

    session.manager.fire("paid", {"amount": 20})

    session.wait(t_ship__0="finished")
    # Each was called by who fired, once; which was first depends on who was faster.
    hooks = {trigger: (names, pid) for trigger, names, pid in (session.wait_for_hook() for _ in range(3))}
    assert {trigger: names for trigger, (names, _) in hooks.items()} == {
        "paid": ["t_pack#0"],
        "t_pack": ["t_ship#0"],
        "t_ship": [],
    }
    assert hooks["paid"][1] == os.getpid()
    assert os.getpid() not in (hooks["t_pack"][1], hooks["t_ship"][1])
    assert session["t_pack#0"].metadata["result"]["given"] == {"paid": {"amount": 20}}


def test_kwargs_of_every_kind_arrive_as_they_went(session):
    session.configure(t_echo={"after": ["start"], "run": "tests.Echo", "withParams": {"start": {"param": Decimal(3)}}})

    session.manager.fire("start", VALUES)

    session.wait(t_echo__0="finished")
    assert session["t_echo#0"].metadata["result"]["given"] == {"start": {**VALUES, "param": Decimal(3)}}


def test_work_is_routed_by_the_application(session):
    session.configure(
        t_plain={"after": ["start"], "run": "tests.Echo"}, t_express={"after": ["start"], "run": "tests.Express"}
    )

    session.manager.fire("start")

    session.wait(t_plain__0="finished", t_express__0="finished")
    assert session["t_plain#0"].metadata["result"]["queue"] == "celery"
    assert session["t_express#0"].metadata["result"]["queue"] == "express"


def test_a_task_retries_itself_after_its_cooldown_and_not_too_often(session):
    session.configure(t_try={"after": ["start"], "run": "tests.KeepTrying"})

    session.manager.fire("start")
    session.wait(t_try__0="replayed", t_try__1="replayed", t_try__2="failed")

    # Then each retry was sent with what was left of its cooldown
    for parent, clone in (("t_try#1", "t_try#1"), ("t_try#2", "t_try#2")):
        instance = session[clone]
        assert instance.cooldown == 0.2
        assert instance.metadata["parent"] == f"t_try#{int(parent[-1]) - 1}"
    moments = session["t_try#1"].metadata["timestamps"]
    if eta := session["t_try#1"].metadata["eta"]:  # else the cooldown was over before it could be sent
        assert datetime.fromisoformat(eta) - moments["scheduled"] > timedelta(seconds=0.19)
        assert moments["running"] - datetime.fromisoformat(eta) > timedelta(seconds=-0.01)
    assert moments["running"] - moments["scheduled"] > timedelta(seconds=0.19)
    # And the last one fails with that
    assert session["t_try#2"].metadata["exceptionType"] == "triggers_nb.errors.MaxRetriesExceeded"

    # When somebody replays it, then it may retry itself as often again
    session.manager.replay_failed_instance("t_try#2")
    session.wait(t_try__3="replayed", t_try__4="replayed", t_try__5="failed")


def test_of_two_deliveries_one_runs_and_the_other_is_dropped_and_logged(session, worker):
    session.configure(t_wait={"after": ["start"], "run": "tests.Wait"})
    session.manager.fire("start")
    session.wait_for_report()

    # When the same work is delivered again, while it runs and after that
    message = {
        "instance_name": "t_wait#0",
        "manager_type": "orders",
        "storage_type": "cache",
        "storage_uid": session.uid,
        "storage_id": session.store.storage_id,
        "trigger_kwargs": {},
    }
    session.app.send_task("tests.Wait", kwargs=message)
    worker.wait_for_log(f"instance 't_wait#0' of session {session.uid!r} is running: it does not start")
    session.let_go()
    session.wait(t_wait__0="finished")
    session.app.send_task("tests.Wait", kwargs=message)

    # Then nothing ran but the first
    worker.wait_for_log(f"instance 't_wait#0' of session {session.uid!r} is finished: it does not start")
    assert session.reports() == []
    assert session["t_wait#0"].status == "finished"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"storage_id": "redis:another"}, "StorageError"),
        ({"storage_uid": "nobody"}, "UnknownSession"),
        ({"instance_name": "t_echo#1"}, "UnknownInstance"),
        ({"manager_type": "ordrs"}, "Did you mean 'orders'"),
    ],
)
def test_a_message_that_leads_nowhere_is_an_error_of_the_worker(session, worker, change, complaint):
    session.configure(t_echo={"after": ["never"], "run": "tests.Echo"})
    message = {
        "instance_name": "t_echo#0",
        "manager_type": "orders",
        "storage_type": "cache",
        "storage_uid": session.uid,
        "trigger_kwargs": {},
    }

    sent = session.app.send_task("tests.Echo", kwargs=message | change)

    def complaint_of_it():
        return complaint in worker.log.read_text().partition(f"[{sent.id}] raised unexpected")[2]

    assert wait_for(complaint_of_it, complaint)


def message_for(session, instance_name):
    return {
        "instance_name": instance_name,
        "manager_type": "orders",
        "storage_type": "cache",
        "storage_uid": session.uid,
        "storage_id": session.store.storage_id,
        "trigger_kwargs": {},
    }


def test_what_runs_is_the_stored_class_and_not_that_of_the_message(session, worker):
    # Given an instance of one task, and a message that sends it to another
    session.configure(t_ship={"after": ["start"], "run": "tests.Express"})
    session.manager.storage.handover = "defer"
    session.manager.fire("start")

    session.app.send_task("tests.Exit", kwargs=message_for(session, "t_ship#0"))

    # Then it is dropped and logged, and the instance goes to its own, through that one's own queue
    session.wait(t_ship__0="finished")
    assert session["t_ship#0"].metadata["result"]["queue"] == "express"
    worker.wait_for_log("was sent to 'tests.Exit', and is to run 'tests.Express'")
    assert session.reports() == ["t_ship#0"]


def test_a_configuration_that_changes_while_a_message_is_under_way_counts(session):
    session.configure(t_ship={"after": ["start"], "run": "tests.NoSuch"})
    session.manager.storage.handover = "defer"
    session.manager.fire("start")
    session.configure(t_ship={"after": ["start"], "run": "tests.Echo"})

    session.app.send_task("tests.NoSuch", kwargs=message_for(session, "t_ship#0"))

    session.wait(t_ship__0="finished")


def test_a_class_that_no_worker_knows_fails_its_instance(session, worker):
    session.configure(t_ship={"after": ["start"], "run": "tests.Ecko"})

    session.manager.fire("start")

    session.wait(t_ship__0="failed")
    failed = session["t_ship#0"].metadata
    assert failed["exceptionType"] == "triggers_nb.errors.TaskNotFound"
    assert "no task class 'tests.Ecko'" in failed["exceptionMessage"]
    assert "Did you mean 'tests.Echo'" in failed["exceptionMessage"]
    assert session.store.state(session.uid).due == {}

    # And when it is spelt right, it is replayed
    session.configure(t_ship={"after": ["start"], "run": "tests.Echo"})
    session.manager.replay_failed_instance("t_ship#0")
    session.wait(t_ship__0="replayed", t_ship__1="finished")


def test_a_message_that_is_none_of_ours_is_left_to_celery(session, worker):
    sent = session.app.send_task("elsewhere.Task", kwargs={"instance_name": "t_ship#0"})

    worker.wait_for_log(sent.id)
    session.configure(t_echo={"after": ["start"], "run": "tests.Echo"})
    session.manager.fire("start")
    session.wait(t_echo__0="finished")
    assert "'elsewhere.Task' led nowhere" not in worker.log.read_text()


def test_a_message_of_2018_is_understood(session):
    session.configure(t_echo={"after": ["start"], "run": "tests.Echo"})
    session.manager.storage.handover = "defer"
    session.manager.fire("start", {"old": True})

    session.app.send_task(
        "tests.Echo",
        kwargs={
            "instance_name": "t_echo#0",
            "manager_type": "orders",
            "storage_type": "cache",
            "storage_uid": session.uid,
            "trigger_kwargs": {"start": {"old": True}},
        },
    )

    session.wait(t_echo__0="finished")


@pytest.mark.parametrize(
    ("task", "error"),
    [
        ("tests.WaitSoftly", "celery.exceptions.SoftTimeLimitExceeded"),
        ("tests.WaitHard", "celery.exceptions.TimeLimitExceeded"),
        ("tests.Exit", "builtins.SystemExit"),
        ("tests.Die", "triggers_nb.errors.WorkerLost"),
    ],
)
def test_a_task_that_is_stopped_has_failed(session, task, error):
    session.configure(t_stop={"after": ["start"], "run": task}, t_next={"after": ["t_stop"], "run": "tests.Echo"})

    session.manager.fire("start")

    session.wait(t_stop__0="failed")
    assert session["t_stop#0"].metadata["exceptionType"].removeprefix("billiard.exceptions.") in (
        error,
        error.removeprefix("celery.exceptions."),
    )
    assert session.statuses() == {"t_stop#0": "failed"}
    assert "r:t_stop#0" not in session.store.state(session.uid).due

    # And the worker goes on
    session.configure(t_other={"after": ["other"], "run": "tests.Echo"})
    session.manager.fire("other")
    session.wait(t_other__0="finished")


def test_a_deferred_hand_over_is_made_where_the_workers_are(session):
    session.configure(t_echo={"after": ["start"], "run": "tests.Echo"})
    session.manager.storage.handover = "defer"
    session.manager.fire("start")
    assert session["t_echo#0"].status == "scheduled"

    session.app.send_task("triggers_nb.recover")

    session.wait(t_echo__0="finished")


def test_a_worker_has_imported_nothing_that_only_notebooks_need(session):
    session.configure(t_modules={"after": ["start"], "run": "tests.Modules"})

    session.manager.fire("start")

    session.wait(t_modules__0="finished")
    assert session["t_modules#0"].metadata["result"] == {"heavy": []}


@pytest.mark.parametrize("using", ["nosuch", "threading"])
def test_a_cascade_that_cannot_be_scheduled_leaves_what_has_finished_alone(session, worker, using):
    # Given a cascade for a runner that does not exist, or for threads, where its task class is unknown
    session.configure(
        t_first={"after": ["start"], "run": "tests.Echo"},
        t_second={"after": ["t_first"], "run": "tests.NoSuch", "using": using},
        t_third={"after": ["t_first"], "run": "tests.Echo"},
    )

    session.manager.fire("start")

    # Then the others get theirs, the hook is called, and what can never work has failed
    session.wait(t_first__0="finished", t_third__0="finished")
    hooks = dict(session.wait_for_hook()[:2] for _ in range(3))
    assert hooks == {"start": ["t_first#0"], "t_first": ["t_second#0", "t_third#0"], "t_third": []}
    if using == "threading":
        session.wait(t_second__0="failed")
        assert session["t_second#0"].metadata["exceptionType"] == "triggers_nb.errors.TaskNotFound"
    else:
        assert session["t_second#0"].status == "scheduled"
        worker.wait_for_log(f"instance t_second#0 of session {session.uid!r} could not be handed over")
        assert "p:t_second#0" in session.store.state(session.uid).due
        session.manager.update_instance_status("t_second#0", "skipped")
        session.manager.update_instance_status("t_second#0", "skipped")
