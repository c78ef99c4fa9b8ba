"""Failures grouped by cause: how many there are, since when, and what they hold up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from triggers_nb.analysis.schema import COUNT, MISSING_US, MOMENT, OBJECT, TEXT, Column, Schema
from triggers_nb.errors import brief

#: The columns of `failure_groups`.
GROUPS: Final = Schema(
    (
        Column("fingerprint", TEXT, "the cause; missing for failures without an exception"),
        Column("exception_type", TEXT, "class of the exception; of several, the most frequent"),
        Column("sample_message", TEXT, "message of the latest failure"),
        Column("task", TEXT, "task that failed; of several, the most frequent"),
        Column("top_frame", TEXT, "innermost frame of the application, `module:function`; the most frequent"),
        Column("n_instances", COUNT, "failed instances"),
        Column("n_sessions", COUNT, "sessions with such an instance"),
        Column("first_seen", MOMENT, "first failure"),
        Column("last_seen", MOMENT, "latest failure"),
        Column("n_blocked", COUNT, "tasks that cannot run because of it, counted once per session"),
        Column("sample_instances", OBJECT, "the latest failures, at most five: list of `uid/instance`"),
        Column("observed_at", MOMENT, "when the latest of the failures was read"),
    )
)

_NEEDED: Final = (
    "session_uid", "instance", "task", "exception_type", "exception_message", "fingerprint", "top_frame", "failed_at",
    "blocked",
)  # fmt: skip
_SAMPLES: Final = 5
_MAX_TITLE: Final = 120


def failure_groups(frame: pd.DataFrame) -> pd.DataFrame:
    """Group failures by fingerprint.

    Parameters
    ----------
    frame : pandas.DataFrame
        What `ws.failures()` gives, or any part of it: one row per failed instance, with the columns `session_uid`,
        `instance`, `task`, `exception_type`, `exception_message`, `fingerprint`, `top_frame`, `failed_at` and
        `blocked`. An instance that is in it twice counts once.

    Returns
    -------
    pandas.DataFrame
        One row per group, the largest first, then by fingerprint; columns and dtypes as in `GROUPS`.

    Raises
    ------
    TypeError
        If it is no frame.
    ValueError
        If a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> failed = pd.Timestamp("2013-02-08 10:00", tz="UTC")
    >>> frame = pd.DataFrame({
    ...     "session_uid": ["a", "b"], "instance": ["t_seats#0", "t_seats#0"], "task": "t_seats",
    ...     "exception_type": "KeyError", "exception_message": "'seats'", "fingerprint": "v1-9b1c",
    ...     "top_frame": "tasks.seats:read_row", "failed_at": failed, "blocked": [["t_report"], []],
    ... })
    >>> groups = failure_groups(frame)
    >>> groups[["fingerprint", "n_instances", "n_sessions", "n_blocked"]].to_dict("records")
    [{'fingerprint': 'v1-9b1c', 'n_instances': 2, 'n_sessions': 2, 'n_blocked': 1}]
    >>> title(groups.iloc[0])
    "KeyError in tasks.seats:read_row: 'seats'"
    """
    if not isinstance(frame, pd.DataFrame):
        raise TypeError(f"found {brief(frame)}, expected a pandas.DataFrame: what ws.failures() gives, or a part of it")
    missing = [column for column in _NEEDED if column not in frame.columns]
    if missing:
        found = ", ".join(map(str, frame.columns)) or "none at all"
        raise ValueError(f"the frame has no column {', '.join(missing)} (it has {found}); use what ws.failures() gives")
    failures = frame.drop_duplicates(["session_uid", "instance"], keep="last", ignore_index=True)
    if failures.empty:
        return GROUPS.frame({})
    group, keys = pd.factorize(failures["fingerprint"], use_na_sentinel=False)
    groups = GROUPS.frame(_aggregate(failures, group, keys))
    return groups.sort_values(["n_instances", "fingerprint"], ascending=[False, True], kind="stable", ignore_index=True)


def _aggregate(failures: pd.DataFrame, group: np.ndarray[Any, Any], keys: Any) -> dict[str, Any]:
    """Return the values of all columns, a row per key."""
    n = len(keys)
    moments = _microseconds(failures["failed_at"])
    order = _order_latest_first(failures, moments)
    samples = _take_first(group[order], order, n)
    latest = [positions[0] for positions in samples]
    names = [failures[column].to_numpy(object) for column in ("session_uid", "instance")]
    return {
        "fingerprint": [None if pd.isna(key) else key for key in keys],
        "sample_message": failures["exception_message"].to_numpy(object)[latest],
        **{column: _most_frequent(failures[column], group, n) for column in ("exception_type", "task", "top_frame")},
        "n_instances": np.bincount(group, minlength=n),
        "n_sessions": _count_distinct(group, pd.factorize(failures["session_uid"])[0], n),
        "first_seen": _extreme(np.minimum, moments, group, n),
        "last_seen": _extreme(np.maximum, moments, group, n),
        "n_blocked": _count_blocked(failures, group, n),
        "sample_instances": [[f"{names[0][row]}/{names[1][row]}" for row in positions] for positions in samples],
        "observed_at": _extreme(np.maximum, _observed(failures), group, n),
    }


def _microseconds(moments: pd.Series[Any]) -> np.ndarray[Any, Any]:
    """Return moments as integers, the smallest of which means missing."""
    return pd.DatetimeIndex(pd.to_datetime(moments, utc=True)).as_unit("us").asi8


def _observed(failures: pd.DataFrame) -> np.ndarray[Any, Any]:
    if "observed_at" in failures.columns:
        return _microseconds(failures["observed_at"])
    return np.full(len(failures), MISSING_US)


def _order_latest_first(failures: pd.DataFrame, moments: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return positions by moment, the latest first, then by session and instance."""
    names = [pd.factorize(failures[column], sort=True)[0] for column in ("instance", "session_uid")]
    return np.lexsort((*names, -moments.astype(float)))


def _take_first(group: np.ndarray[Any, Any], positions: np.ndarray[Any, Any], n: int) -> list[list[int]]:
    """Return the first few positions of each group."""
    taken: list[list[int]] = [[] for _ in range(n)]
    rank = pd.Series(group).groupby(group, sort=False).cumcount().to_numpy()
    few = rank < _SAMPLES
    for number, position in zip(group[few].tolist(), positions[few].tolist(), strict=True):
        taken[number].append(position)
    return taken


def _most_frequent(values: pd.Series[Any], group: np.ndarray[Any, Any], n: int) -> list[Any]:
    """Return the most frequent value of each group, the first in order of several; None if there is none."""
    codes, names = pd.factorize(values, sort=True)
    known = codes >= 0
    if not known.any():
        return [None] * n
    pairs, counts = np.unique(np.stack([group[known], codes[known]]), axis=1, return_counts=True)
    found: list[Any] = [None] * n
    best = np.lexsort((-pairs[1], counts))  # the last one of a group stays
    for position in best.tolist():
        found[pairs[0, position]] = names[pairs[1, position]]
    return found


def _count_distinct(group: np.ndarray[Any, Any], codes: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    pairs = np.unique(group.astype(np.int64) * (codes.max(initial=0) + 1) + codes)
    return np.bincount(pairs // (codes.max(initial=0) + 1), minlength=n)


def _extreme(choose: np.ufunc, moments: np.ndarray[Any, Any], group: np.ndarray[Any, Any], n: int) -> Any:
    """Return the earliest or latest moment of each group, leaving out what is missing."""
    known = moments != MISSING_US
    empty = np.iinfo(np.int64).max if choose is np.minimum else MISSING_US
    found = np.full(n, empty)
    choose.at(found, group[known], moments[known])
    return np.where(found == empty, MISSING_US, found)


def _count_blocked(failures: pd.DataFrame, group: np.ndarray[Any, Any], n: int) -> np.ndarray[Any, Any]:
    """Count what is blocked: a task of a session once, however many failures hold it up."""
    lists = failures["blocked"].to_numpy(object)
    lengths = np.fromiter((len(tasks) if isinstance(tasks, list) else 0 for tasks in lists), np.int64, len(lists))
    if not lengths.any():
        return np.zeros(n, dtype=np.int64)
    tasks = pd.factorize(np.array([task for row in lists[lengths > 0] for task in row], dtype=object))[0]
    sessions = pd.factorize(failures["session_uid"])[0].astype(np.int64)
    blocked = np.repeat(sessions, lengths) * (tasks.max() + 1) + tasks
    return _count_distinct(np.repeat(group, lengths), pd.factorize(blocked)[0], n)


def title(row: Mapping[Any, Any] | pd.Series[Any]) -> str:
    """Say in one line what a group is about: type, place, message. Plain text: escape it where it is shown.

    Parameters
    ----------
    row : mapping or pandas.Series
        A row of `failure_groups`.

    Examples
    --------
    >>> title({"exception_type": "app.errors.BookingError", "top_frame": None, "sample_message": "no seats"})
    'BookingError: no seats'
    """
    kind, place, message = (_one_line(row[column]) for column in ("exception_type", "top_frame", "sample_message"))
    name = kind.rpartition(".")[2] or "Failed without an exception"
    text = name + (f" in {place}" if place else "") + (f": {message}" if message else "")
    return text if len(text) <= _MAX_TITLE else text[: _MAX_TITLE - 1] + "…"


def _one_line(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(sign for sign in " ".join(value.split()) if sign.isprintable())
