from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import date

import pytest

from triggers_nb import CacheStorageBackend
from triggers_nb.demo.data import flights_of
from triggers_nb.demo.day import BLIZZARD, run_day
from triggers_nb.errors import ManagerMismatch, StorageUrlError, UnknownKey
from triggers_nb.manager import trigger_managers
from triggers_nb.storages.urls import open_store

BY_TASK = {
    "t_importFlight": {"finished": 930},
    "t_identifyPlane": {"finished": 639, "failed": 291},
    "t_locateDestination": {"finished": 910, "failed": 20},
    "t_attachWeather": {"finished": 930},
    "t_computeDelay": {"finished": 455, "failed": 3, "abandoned": 472},
    "t_rebookPassengers": {"unstarted": 214, "finished": 258, "abandoned": 458},
    "t_closeReport": {"finished": 622},
}


@pytest.fixture(scope="module")
def blizzard(tmp_path_factory):
    """The URL of the whole day, run once, and its result."""
    url = f"sqlite:///{tmp_path_factory.mktemp('day') / 'blizzard.db'}"
    return url, run_day(BLIZZARD, url=url)


def instances(url):
    return {
        (summary.uid, instance.name): instance
        for summary in open_store(url).summaries()
        for instance in CacheStorageBackend(summary.uid, url)
    }


def n_events(url):
    return {summary.uid: summary.seq for summary in open_store(url).summaries()}


def test_the_day_has_one_session_per_flight_and_no_other(blizzard):
    url, result = blizzard

    assert result.sessions == 930
    assert {summary.uid for summary in open_store(url).summaries()} == {flight.uid for flight in flights_of(BLIZZARD)}


def test_instances_by_task_and_status_are_what_the_data_say(blizzard):
    _, result = blizzard

    assert result.by_task == BY_TASK
    assert result.instances == sum(sum(counts.values()) for counts in BY_TASK.values())


def test_what_failed_is_what_the_data_lack(blizzard):
    url, _ = blizzard

    failed = Counter(
        (instance.config.name, instance.metadata["exceptionType"])
        for instance in instances(url).values()
        if instance.status == "failed"
    )

    assert {(task, kind.rpartition(".")[2]): n for (task, kind), n in failed.items()} == {
        ("t_identifyPlane", "ValueError"): 161,
        ("t_identifyPlane", "KeyError"): 130,
        ("t_locateDestination", "KeyError"): 20,
        ("t_computeDelay", "TypeError"): 3,
    }


def test_every_flight_was_fired_what_happened_to_it(blizzard):
    url, _ = blizzard

    for flight in flights_of(BLIZZARD)[::31]:
        fired = CacheStorageBackend(flight.uid, url).latest_kwargs
        assert {"scheduled", "weatherReceived"} < fired.keys()
        assert ("cancelled" in fired) == (flight.dep_time is None)
        assert ("departed" in fired) == ("landed" in fired) == (flight.dep_time is not None)
        if "landed" in fired:
            assert fired["landed"]["arr_delay"] == flight.arr_delay


def test_running_the_same_day_again_changes_nothing(blizzard):
    url, result = blizzard
    before = n_events(url)

    assert run_day(BLIZZARD, url=url) == result
    assert n_events(url) == before


def test_the_first_flights_then_all_of_them(tmp_path):
    day, url = date(2013, 11, 28), f"sqlite:///{tmp_path / 'day.db'}"

    first = run_day(day, url=url, limit=20)
    again = run_day(day, url=url, limit=40)

    assert (first.sessions, again.sessions) == (20, 40)
    assert again.by_task["t_importFlight"] == {"finished": 40}


def test_a_changed_configuration_is_not_overwritten():
    flight, url = flights_of(BLIZZARD)[0], "memory://changed-configuration"
    run_day(BLIZZARD, url=url, limit=1)
    manager = trigger_managers.get("flights", CacheStorageBackend(flight.uid, url))
    manager.update_configuration({"t_extra": {"after": ["landed"], "run": "app.Extra"}})

    run_day(BLIZZARD, url=url, limit=1)

    assert "t_extra" in manager.storage.tasks


def test_a_day_begun_with_another_manager_is_refused():
    url = "memory://another-manager"
    run_day(BLIZZARD, url=url, limit=1)
    before = n_events(url)

    with pytest.raises(ManagerMismatch, match=r"'flights'.*'default'"):
        run_day(BLIZZARD, url=url, manager="default", limit=1)
    assert n_events(url) == before


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_below_one_is_refused(limit):
    with pytest.raises(ValueError, match=rf"limit.*{limit}"):
        run_day(BLIZZARD, url="memory://limit", limit=limit)


@pytest.mark.parametrize("url", ["nonsense", "ftp://host/day.db", "sqlite:"])
def test_a_bad_url_is_refused(url):
    with pytest.raises(StorageUrlError):
        run_day(BLIZZARD, url=url, limit=1)


def test_an_unknown_manager_is_refused_and_nothing_is_made():
    with pytest.raises(UnknownKey, match=r"'flight'.*'flights'"):
        run_day(BLIZZARD, url="memory://unknown-manager", manager="flight", limit=1)
    assert n_events("memory://unknown-manager") == {}


KILLED = """
import os, signal, sys
from triggers_nb.demo.day import BLIZZARD, run_day

def until_killed(steps, **_):
    for n, step in enumerate(steps):
        if n == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
        yield step

run_day(BLIZZARD, url=sys.argv[1], limit=40, progress=until_killed)
"""


@pytest.mark.parametrize("n_fires", [1, 50, 140])
def test_a_day_that_was_killed_is_resumed_without_a_loss(tmp_path, n_fires):
    # Given a day whose process was killed in the middle; what it leaves is due soon
    environment = {**os.environ, "TRIGGERS_LEASE_S": "0.5", "TRIGGERS_GRACE_S": "0.5"}
    url = f"sqlite:///{tmp_path / 'killed.db'}"
    killed = subprocess.run([sys.executable, "-c", KILLED, url, str(n_fires)], env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL

    # When it is run again
    run_day(BLIZZARD, url=url, limit=40)

    # Then every session is as it would have been, but for those in which a task was lost while it ran
    run_day(BLIZZARD, url="memory://not-killed", limit=40)
    found = instances(url)
    lost = {key for key, instance in found.items() if "WorkerLost" in instance.metadata.get("exceptionType", "")}
    held_up = {uid for uid, _ in lost}
    assert {key: instance.status for key, instance in found.items() if key[0] not in held_up} == {
        key: instance.status for key, instance in instances("memory://not-killed").items() if key[0] not in held_up
    }
    # and nothing is left that nobody does
    assert len({uid for uid, _ in found}) == 40
    assert {instance.status for instance in found.values()} <= {"finished", "failed", "abandoned", "unstarted"}
