"""What happens to a flight: the tasks, and the configuration of a flight's session.

Nothing here fails on purpose. A tail number that is missing or that the register of planes does not know, an airport
that the register of airports does not know, a diverted flight without an arrival delay: these holes are in the data.
"""

from __future__ import annotations

import logging
from typing import Any, Final

import msgspec

from triggers_nb.demo import data
from triggers_nb.errors import with_context
from triggers_nb.task import TaskContext, TriggerTask

logger = logging.getLogger("triggers_nb.demo")
logger.addHandler(logging.NullHandler())  # what matters is kept with the instance; an application may listen

#: Later flights that a passenger of a cancelled one is offered.
N_OFFERS: Final = 3


class ImportFlight(TriggerTask):
    """Import a flight from the timetable."""

    def _run(self, context: TaskContext) -> dict[str, Any]:
        schedule = context.trigger_kwargs["scheduled"]
        hours, minutes = divmod(schedule["sched_dep_time"], 100)
        return {
            "flight": f"{schedule['carrier']}{schedule['flight']}",
            "airline": data.airlines()[schedule["carrier"]],
            "origin": schedule["origin"],
            "dest": schedule["dest"],
            "distance": schedule["distance"],
            "departure": f"{hours:02}:{minutes:02}",
            "tailnum": schedule["tailnum"],
            # What the airline says of the plane: nothing in this timetable. A replay may say it.
            "plane": schedule.get("plane"),
        }


class IdentifyPlane(TriggerTask):
    """Find the plane in the register, unless its description came with the flight."""

    def _run(self, context: TaskContext) -> dict[str, Any]:
        flight = context.trigger_kwargs["t_importFlight"]
        known = {"flight": flight["flight"], "tailnum": flight["tailnum"]}
        if flight["plane"] is not None:
            return {"tailnum": flight["tailnum"], **_checked(flight["plane"])}
        if flight["tailnum"] is None:
            raise with_context(ValueError("the flight has no tail number"), known)
        plane = data.planes().get(flight["tailnum"])
        if plane is None:
            raise with_context(KeyError(f"tail number {flight['tailnum']!r} is not in the register"), known)
        return msgspec.structs.asdict(plane)


def _checked(plane: Any) -> dict[str, Any]:
    seats = plane.get("seats") if isinstance(plane, dict) else None
    if type(seats) is not int or seats < 0:
        raise ValueError(f"plane: expected a description such as {{'seats': 178}}, got {plane!r}")
    return dict(plane)


class LocateDestination(TriggerTask):
    """Find the destination in the register of airports."""

    def _run(self, context: TaskContext) -> dict[str, Any]:
        flight = context.trigger_kwargs["t_importFlight"]
        airport = data.airports().get(flight["dest"])
        if airport is None:
            error = KeyError(f"airport {flight['dest']!r} is not in the list")
            raise with_context(error, {"flight": flight["flight"], "distance": flight["distance"]})
        return msgspec.structs.asdict(airport)


class AttachWeather(TriggerTask):
    """Attach the weather at the origin in the hour of the scheduled departure; single readings may be missing."""

    def _run(self, context: TaskContext) -> dict[str, Any]:
        flight, report = context.trigger_kwargs["t_importFlight"], context.trigger_kwargs["weatherReceived"]
        station, hour = report["station"], report["hour"]
        weather = data.weather().get((station, hour))
        if weather is None:
            error = KeyError(f"no weather of {station!r} at {hour:%Y-%m-%dT%H}Z")
            raise with_context(error, {"flight": flight["flight"]})
        readings = msgspec.structs.asdict(weather)
        missing = sorted(name for name, reading in readings.items() if reading is None)
        with context.get_logger_context(logger) as log:
            log.info("%s readings, missing: %s", station, ", ".join(missing) or "none")
        return {**readings, "missing": missing}


class ComputeDelay(TriggerTask):
    """Compute the delay of a flight that has landed."""

    def _run(self, context: TaskContext) -> dict[str, Any]:
        flight, departed, landed = (context.trigger_kwargs[name] for name in ("t_importFlight", "departed", "landed"))
        if landed["arr_delay"] is None:
            error = TypeError("arr_delay is missing: the flight was diverted")
            raise with_context(error, {"flight": flight["flight"], "arr_time": landed["arr_time"]})
        return {
            "dep_delay": departed["dep_delay"],
            "arr_delay": landed["arr_delay"],
            "made_up": departed["dep_delay"] - landed["arr_delay"],
            "mph": round(60 * flight["distance"] / landed["air_time"]),
        }


class RebookPassengers(TriggerTask):
    """Offer the passengers of a cancelled flight, as many as the plane has seats, the later flights of that day."""

    def _run(self, context: TaskContext) -> dict[str, Any]:
        seats, flight = context.trigger_kwargs["t_identifyPlane"]["seats"], context.trigger_kwargs["cancelled"]
        later = [
            other.number
            for other in sorted(data.flights_of(flight["date"]), key=lambda other: other.departs_at)
            if other.dest == flight["dest"] and other.departs_at > flight["departs_at"]
        ]
        if not later:
            with context.get_logger_context(logger) as log:
                log.warning("no later flight to %s that day: %d passengers wait", flight["dest"], seats)
        return {"seats": seats, "offers": later[:N_OFFERS]}


class CloseReport(TriggerTask):
    """Close the flight's books: what became of it, and what had to be repaired on the way."""

    def _run(self, context: TaskContext) -> dict[str, Any]:
        storage = context.manager.storage
        said = storage.latest_kwargs
        delay = said.get("t_computeDelay") or {}
        flown = "diverted" if delay.get("arr_delay") is None else "flown"
        return {
            "outcome": "cancelled" if "cancelled" in said else flown,
            "arr_delay": delay.get("arr_delay"),
            "seats": (said.get("t_identifyPlane") or {}).get("seats"),
            "repaired": sorted(instance.name for instance in storage if instance.status in ("replayed", "skipped")),
        }


#: Configuration of a flight's session. `unless` matters to the end of a session: a flight that departed has nobody to
#: rebook and one that was cancelled has no delay, and neither task may stay unresolved for that.
CONFIGURATION: Final[dict[str, dict[str, Any]]] = {
    "t_importFlight": {"after": ["scheduled"], "run": ImportFlight.name},
    "t_identifyPlane": {"after": ["t_importFlight"], "run": IdentifyPlane.name},
    "t_locateDestination": {"after": ["t_importFlight"], "run": LocateDestination.name},
    "t_attachWeather": {"after": ["weatherReceived", "t_importFlight"], "run": AttachWeather.name},
    "t_computeDelay": {
        "after": ["t_importFlight", "departed", "landed"],
        "unless": ["cancelled"],
        "run": ComputeDelay.name,
    },
    "t_rebookPassengers": {
        "after": ["t_identifyPlane", "cancelled"],
        "unless": ["departed"],
        "run": RebookPassengers.name,
    },
    "t_closeReport": {"after": ["sessionFinalized"], "run": CloseReport.name},
}
