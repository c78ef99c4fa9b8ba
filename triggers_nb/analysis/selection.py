"""What people pass to choose sessions and instances, made into what a store understands."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeGuard, TypeVar

import pandas as pd

from triggers_nb.core.records import to_us
from triggers_nb.core.status import CODES, check_status
from triggers_nb.core.work import STATUS_COUNT
from triggers_nb.errors import brief
from triggers_nb.storages.store import Store, Summary

T = TypeVar("T")

_UNITS: Final = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*")
_AGES: Final = "an age such as '90s', '15min', '24h', '7d' or '2w'"

#: A moment: a datetime, its ISO form, or how long ago it was.
Moment = datetime | timedelta | str
#: One status or several.
Statuses = str | Iterable[str]


def parse_age(value: object, name: str = "age") -> timedelta:
    """Read a span of time.

    Parameters
    ----------
    value
        A timedelta, or text such as ``"90s"``, ``"15min"``, ``"24h"``, ``"7d"``, ``"2w"``.
    name
        What to call it in an error.

    Raises
    ------
    ValueError
        If it is neither, or negative.

    Examples
    --------
    >>> parse_age("1.5h")
    datetime.timedelta(seconds=5400)
    """
    if isinstance(value, timedelta) and value >= timedelta(0):
        return value
    found = _AGE.fullmatch(value) if isinstance(value, str) else None
    if found and found[2] in _UNITS:
        with suppress(OverflowError):  # longer than a timedelta can be
            return timedelta(seconds=float(found[1]) * _UNITS[found[2]])
    raise ValueError(f"{name}={brief(value)}: expected {_AGES}, or a timedelta that is not negative")


def parse_moment(value: object, now_us: int, name: str = "since") -> int:
    """Read a moment, as microseconds since 1970.

    Parameters
    ----------
    value
        A datetime with a time zone (``pandas.Timestamp`` is one), the same in ISO form, or an age, counted back from
        `now_us`.
    now_us
        The moment that ages are counted from.
    name
        What to call it in an error.

    Raises
    ------
    ValueError
        If it is none of them, or says nothing of its time zone.

    Examples
    --------
    >>> parse_moment("1970-01-01T00:00:02+00:00", 0), parse_moment("2s", 5_000_000)
    (2000000, 3000000)
    """
    if isinstance(value, timedelta) or (isinstance(value, str) and _AGE.fullmatch(value)):
        return max(0, now_us - parse_age(value, name) // timedelta(microseconds=1))
    moment: Any = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime) or moment != moment:
        raise ValueError(f"{name}={brief(value)}: expected a datetime with a time zone, or {_AGES}")
    if moment.tzinfo is None:
        raise ValueError(
            f"{name}={brief(value)}: it has no time zone; write datetime(…, tzinfo=timezone.utc), "
            "or +00:00 at the end of a text"
        )
    return to_us(moment.astimezone(UTC))


def parse_statuses(value: Statuses | None) -> tuple[str, ...]:
    """Read one status or several; None means any.

    Raises
    ------
    InvalidStatus
        If there is no such status.
    ValueError
        If it is an empty list.
    """
    if value is None:
        return ()
    return tuple(check_status(status) for status in _at_least_one(value, "status"))


def parse_names(value: str | Iterable[str] | None, name: str) -> frozenset[str]:
    """Read one name or several; None means any.

    Raises
    ------
    TypeError
        If one of them is no name.
    ValueError
        If it is an empty list.
    """
    if value is None:
        return frozenset()
    names = _at_least_one(value, name)
    for each in names:
        if not isinstance(each, str):
            raise TypeError(f"{name}={brief(value)}: expected a name or several, found {brief(each)}")
    return frozenset(names)


def _at_least_one(value: str | Iterable[str], name: str) -> list[str]:
    found = [value] if isinstance(value, str) else list(value)
    if not found:
        raise ValueError(f"{name}={brief(value)}: expected at least one, or None for any")
    return found


def is_number(value: object) -> TypeGuard[int]:
    """Whether something is a whole number, also one that was taken from a frame; True and False are none."""
    return hasattr(value, "__index__") and not _is_flag(value)


def parse_flag(value: object, name: str) -> bool:
    """Read True or False, also from a frame.

    Raises
    ------
    TypeError
        If it is neither: of a text such as ``"no"`` nobody knows what is meant.
    """
    if not _is_flag(value):
        raise TypeError(f"{name}={brief(value)}: expected True or False")
    return bool(value)


def _is_flag(value: object) -> bool:
    return type(value).__name__ in ("bool", "bool_")  # Python's and numpy's


def check_limit(value: object) -> None:
    """Raise ValueError if ``max_results`` is neither a positive number nor None."""
    if value is None or (is_number(value) and value > 0):
        return
    raise ValueError(f"max_results={brief(value)}: expected a positive number, or None for all of them")


class Span(NamedTuple):
    """From a moment on, and before another: microseconds since 1970; None: no bound."""

    since_us: int | None = None
    until_us: int | None = None

    @classmethod
    def parse(cls, store: Store, since: Moment | None, until: Moment | None) -> Span:
        """Read what people pass; ages count back from the storage's clock.

        Raises
        ------
        ValueError
            If a moment makes no sense.
        """
        if since is None and until is None:
            return cls()
        now_us = store.now_us()
        since_us = None if since is None else parse_moment(since, now_us, "since")
        return cls(since_us, None if until is None else parse_moment(until, now_us, "until"))

    def holds(self, moment_us: int) -> bool:
        """Whether a moment is within."""
        is_early = self.since_us is not None and moment_us < self.since_us
        return not is_early and (self.until_us is None or moment_us < self.until_us)

    def rows(self, frame: pd.DataFrame, column: str) -> pd.DataFrame:
        """Choose the rows whose moment in a column is within; a missing one is not."""
        if self.since_us is not None:
            frame = frame[frame[column] >= pd.Timestamp(self.since_us, unit="us", tz="UTC")]
        if self.until_us is not None:
            frame = frame[frame[column] < pd.Timestamp(self.until_us, unit="us", tz="UTC")]
        return frame


class Selection:
    """Which sessions of a store are meant.

    Parameters
    ----------
    pattern
        UIDs, with ``*``, ``?`` and ``[…]`` as in file names; upper and lower case differ.
    status
        The session has at least one instance in (one of) these.
    since, until
        Bounds of the session's last change: from `since` on, before `until`.
    """

    def __init__(
        self,
        pattern: str | None = None,
        status: Statuses | None = None,
        since: Moment | None = None,
        until: Moment | None = None,
    ) -> None:
        if pattern is not None and not isinstance(pattern, str):
            raise TypeError(f"pattern={brief(pattern)}: expected text such as 'AA*'")
        self.pattern, self.since, self.until = pattern, since, until
        self.statuses = parse_statuses(status)

    def summaries(self, store: Store) -> Iterator[Summary]:
        """Read the summaries of these sessions, last changed first."""
        since_us, until_us = Span.parse(store, self.since, self.until)
        names = [STATUS_COUNT + status for status in self.statuses]
        matches = _matcher(self.pattern)
        for summary in store.summaries(since_us=since_us, until_us=until_us):
            if matches(summary.uid) and (not names or any(summary.counts.get(name, 0) > 0 for name in names)):
                yield summary

    def uids(self, store: Store) -> list[str]:
        """Read the UIDs of these sessions, last changed first; some may have expired meanwhile."""
        if self.statuses:
            return [summary.uid for summary in self.summaries(store)]
        since_us, until_us = Span.parse(store, self.since, self.until)
        matches = _matcher(self.pattern)
        return [uid for uid in store.uids(since_us=since_us, until_us=until_us) if matches(uid)]


def _matcher(pattern: str | None) -> Callable[[str], object]:
    if pattern is None:
        return lambda uid: True
    return re.compile(fnmatch.translate(pattern)).match


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Split into lists of that size; the last may be shorter."""
    chunk: list[T] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def codes_of(statuses: Collection[str]) -> tuple[int, ...]:
    """Positions of statuses in ``STATUSES``."""
    return tuple(CODES[status] for status in statuses)
