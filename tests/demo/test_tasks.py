from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import UTC, date, datetime
from types import SimpleNamespace

import pytest

from triggers_nb.core.configuration import parse_configuration
from triggers_nb.demo import tasks

MOMENT = datetime(2013, 2, 8, 14, tzinfo=UTC)
FLIGHT = {"flight": "AA1", "dest": "LAX", "origin": "JFK", "distance": 2475, "tailnum": "N335AA", "plane": None}


class Context(SimpleNamespace):
    """As much of a task's context as these tasks look at."""

    def __init__(self, **trigger_kwargs):
        super().__init__(trigger_kwargs=trigger_kwargs, logged=[])

    @contextmanager
    def get_logger_context(self, logger=None):
        logger = logging.Logger("demo")
        handler = logging.Handler()
        handler.emit = self.logged.append
        logger.addHandler(handler)
        yield logger


def run(task, **trigger_kwargs):
    return task()._run(Context(**trigger_kwargs))


def test_a_flight_is_imported_with_its_airline_and_a_time_that_can_be_read():
    row = {"carrier": "AA", "flight": 1, "tailnum": None, "origin": "JFK", "dest": "LAX", "distance": 2475}

    result = run(tasks.ImportFlight, scheduled={**row, "sched_dep_time": 905, "sched_arr_time": 1226})

    assert result["flight"] == "AA1"
    assert result["airline"] == "American Airlines Inc."
    assert result["departure"] == "09:05"
    assert result["tailnum"] is None
    assert result["plane"] is None


def test_a_plane_of_the_register_is_identified():
    result = run(tasks.IdentifyPlane, t_importFlight=FLIGHT)

    assert (result["tailnum"], result["model"], result["seats"]) == ("N335AA", "767-223", 255)


def test_a_missing_and_an_unknown_tail_number_are_two_errors_that_name_the_flight():
    with pytest.raises(ValueError, match="the flight has no tail number") as missing:
        run(tasks.IdentifyPlane, t_importFlight={**FLIGHT, "tailnum": None})
    with pytest.raises(KeyError, match="'N338XX' is not in the register") as unknown:
        run(tasks.IdentifyPlane, t_importFlight={**FLIGHT, "tailnum": "N338XX"})

    assert missing.value.context == {"flight": "AA1", "tailnum": None}
    assert unknown.value.context == {"flight": "AA1", "tailnum": "N338XX"}


@pytest.mark.parametrize("tailnum", [None, "N338XX"])
def test_a_description_of_the_plane_stands_above_the_register(tailnum):
    flight = {**FLIGHT, "tailnum": tailnum, "plane": {"seats": 172, "source": "the flight before"}}

    result = run(tasks.IdentifyPlane, t_importFlight=flight)

    assert result == {"tailnum": tailnum, "seats": 172, "source": "the flight before"}


@pytest.mark.parametrize("plane", [{"model": "767"}, {"seats": "many"}, {"seats": -1}, {"seats": True}, "N123"])
def test_a_description_without_a_number_of_seats_is_refused(plane):
    with pytest.raises(ValueError, match="seats"):
        run(tasks.IdentifyPlane, t_importFlight={**FLIGHT, "plane": plane})


def test_a_destination_is_located_and_one_outside_the_list_is_an_error():
    assert run(tasks.LocateDestination, t_importFlight=FLIGHT)["name"] == "Los Angeles Intl"

    with pytest.raises(KeyError, match="airport 'SJU' is not in the list"):
        run(tasks.LocateDestination, t_importFlight={**FLIGHT, "dest": "SJU"})


def test_weather_with_missing_readings_passes_and_says_which():
    context = Context(t_importFlight=FLIGHT, weatherReceived={"station": "JFK", "hour": MOMENT})

    result = tasks.AttachWeather()._run(context)

    assert result["visib"] == 6.0
    assert result["wind_gust"] is None
    assert "wind_gust" in result["missing"]
    assert "visib" not in result["missing"]
    assert [record.levelname for record in context.logged] == ["INFO"]


def test_an_hour_without_weather_is_an_error():
    with pytest.raises(KeyError, match="no weather of 'JFK' at 2014-01-01T00Z"):
        run(
            tasks.AttachWeather,
            t_importFlight=FLIGHT,
            weatherReceived={"station": "JFK", "hour": datetime(2014, 1, 1, tzinfo=UTC)},
        )


def test_the_delay_says_what_was_made_up_in_the_air():
    result = run(
        tasks.ComputeDelay,
        t_importFlight=FLIGHT,
        departed={"dep_time": 915, "dep_delay": 15},
        landed={"arr_time": 1216, "arr_delay": -10, "air_time": 330},
    )

    assert result == {"dep_delay": 15, "arr_delay": -10, "made_up": 25, "mph": 450}


def test_a_diverted_flight_has_no_delay():
    with pytest.raises(TypeError, match="diverted"):
        run(
            tasks.ComputeDelay,
            t_importFlight=FLIGHT,
            departed={"dep_time": 915, "dep_delay": 15},
            landed={"arr_time": None, "arr_delay": None, "air_time": None},
        )


def test_passengers_are_offered_the_next_flights_to_their_destination():
    cancelled = {"date": date(2013, 2, 8), "flight": "AA1", "dest": "LAX", "departs_at": MOMENT}

    result = run(tasks.RebookPassengers, t_identifyPlane={"seats": 172}, cancelled=cancelled)

    assert result["seats"] == 172
    assert len(result["offers"]) == tasks.N_OFFERS
    assert "AA1" not in result["offers"]


def test_without_a_later_flight_it_warns_that_they_wait():
    night = datetime(2013, 2, 9, 5, tzinfo=UTC)
    context = Context(
        t_identifyPlane={"seats": 172},
        cancelled={"date": date(2013, 2, 8), "flight": "AA1", "dest": "LAX", "departs_at": night},
    )

    assert tasks.RebookPassengers()._run(context) == {"seats": 172, "offers": []}
    assert [record.getMessage() for record in context.logged] == [
        "no later flight to LAX that day: 172 passengers wait"
    ]


def test_the_configuration_is_valid():
    assert parse_configuration(tasks.CONFIGURATION).keys() == tasks.CONFIGURATION.keys()
