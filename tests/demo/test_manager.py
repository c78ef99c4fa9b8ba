from __future__ import annotations

import pytest

from triggers_nb import CacheStorageBackend
from triggers_nb.demo.data import flights_of
from triggers_nb.demo.day import BLIZZARD, fires_of
from triggers_nb.demo.tasks import CONFIGURATION
from triggers_nb.manager import trigger_managers
from triggers_nb.runners import ThreadingTaskRunner


@pytest.fixture
def open_session(request):
    """A function that runs a flight of the blizzard and returns the manager of its session."""

    def run(number, key="flights"):
        flight = next(flight for flight in flights_of(BLIZZARD) if flight.number == number)
        storage = CacheStorageBackend(flight.uid, f"memory://{request.node.name}")
        manager = trigger_managers.get(key, storage)
        manager.update_configuration(CONFIGURATION)
        for fire in fires_of([flight]):
            manager.fire(fire.trigger, fire.kwargs)
        ThreadingTaskRunner.join_all()
        return manager

    return run


def statuses(manager):
    return {instance.name: instance.status for instance in manager.storage}


def test_a_flight_without_holes_is_closed_by_itself(open_session):
    manager = open_session("US1117")

    assert statuses(manager) == {
        "t_attachWeather#0": "finished",
        "t_closeReport#0": "finished",
        "t_computeDelay#0": "finished",
        "t_identifyPlane#0": "finished",
        "t_importFlight#0": "finished",
        "t_locateDestination#0": "finished",
        "t_rebookPassengers#0": "abandoned",
    }
    assert manager.get_unresolved_tasks() == []
    report = manager.storage["t_closeReport#0"].metadata["result"]
    assert report == {"outcome": "flown", "arr_delay": 13, "seats": 199, "repaired": []}


def test_a_cancelled_flight_with_an_unknown_plane_stays_open(open_session):
    manager = open_session("AA345")

    assert statuses(manager) == {
        "t_attachWeather#0": "finished",
        "t_computeDelay#0": "abandoned",
        "t_identifyPlane#0": "failed",
        "t_importFlight#0": "finished",
        "t_locateDestination#0": "finished",
        "t_rebookPassengers#0": "unstarted",
    }
    assert "sessionFinalized" not in manager.storage.latest_kwargs


def test_a_replay_with_a_plane_found_elsewhere_lets_everything_go_on(open_session):
    manager = open_session("AA345")
    kwargs = manager.storage["t_identifyPlane#0"].kwargs
    kwargs["t_importFlight"]["plane"] = {"seats": 172, "source": "the flight of Tuesday"}

    manager.replay_failed_instance("t_identifyPlane#0", kwargs)
    ThreadingTaskRunner.join_all()

    assert statuses(manager)["t_identifyPlane#1"] == "finished"
    assert manager.storage["t_rebookPassengers#0"].metadata["result"]["seats"] == 172
    assert manager.storage["t_closeReport#0"].metadata["result"] == {
        "outcome": "cancelled",
        "arr_delay": None,
        "seats": 172,
        "repaired": ["t_identifyPlane#0"],
    }
    assert manager.get_unresolved_tasks() == []


def test_a_skip_with_a_stated_result_lets_everything_go_on(open_session):
    manager = open_session("AA345")

    manager.skip_failed_instance("t_identifyPlane#0", cascade=True, result={"seats": 50})
    ThreadingTaskRunner.join_all()

    assert manager.storage["t_rebookPassengers#0"].metadata["result"]["seats"] == 50
    assert statuses(manager)["t_closeReport#0"] == "finished"


def test_a_skip_without_a_cascade_closes_what_waits_for_nothing_else(open_session):
    manager = open_session("AA1141")  # flown, by a plane that the register does not know

    manager.skip_failed_instance("t_identifyPlane#0")
    ThreadingTaskRunner.join_all()

    assert statuses(manager)["t_closeReport#0"] == "finished"
    assert manager.get_unresolved_tasks() == []


def test_a_skip_without_a_cascade_leaves_open_what_still_waits(open_session):
    manager = open_session("AA345")

    manager.skip_failed_instance("t_identifyPlane#0")
    ThreadingTaskRunner.join_all()

    assert statuses(manager)["t_rebookPassengers#0"] == "unstarted"
    assert "t_closeReport#0" not in statuses(manager)


def test_the_books_are_closed_once_whatever_is_fired_later(open_session):
    manager = open_session("US1117")

    for trigger in ("weatherReceived", "landed", "rumour"):
        manager.fire(trigger, {})
    ThreadingTaskRunner.join_all()

    assert list(manager.storage.instances_of_task("t_closeReport")) == ["t_closeReport#0"]


def test_the_default_manager_does_not_close_the_books(open_session):
    manager = open_session("US1117", key="default")

    assert "t_closeReport#0" not in statuses(manager)
    assert [task.name for task in manager.get_unresolved_tasks()] == ["t_closeReport"]
