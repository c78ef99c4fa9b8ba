"""The columns of every frame: names, dtypes, meaning and order, each written down once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pandas as pd

from triggers_nb.core.status import STATUSES

#: What a column can hold.
TEXT: Final = "string"
COUNT: Final = "Int64"
FLAG: Final = "boolean"
MOMENT: Final = "datetime64[us, UTC]"
SPAN: Final = "timedelta64[us]"
OBJECT: Final = "object"

#: Text is kept as Python's strings, whether pyarrow is installed or not: a frame has the same dtypes everywhere.
_STRING: Final = pd.StringDtype("python", na_value=pd.NA)


class Column(msgspec.Struct, frozen=True):
    """One column of a frame."""

    name: str
    #: One of the dtypes above.
    dtype: str
    #: What it holds, for the documentation.
    meaning: str


class Schema(msgspec.Struct, frozen=True):
    """The columns of one kind of frame, in order; the key columns come first.

    Examples
    --------
    >>> STUCK.names[:3]
    ['session_uid', 'instance', 'task']
    >>> len(STUCK.frame({})), str(STUCK.frame({}).dtypes["age"])
    (0, 'timedelta64[us]')
    """

    columns: tuple[Column, ...]

    @property
    def names(self) -> list[str]:
        """Names of the columns in order."""
        return [column.name for column in self.columns]

    def frame(self, values: Mapping[str, Any]) -> pd.DataFrame:
        """Build a frame from the values of its columns.

        Parameters
        ----------
        values
            Sequences or arrays of the same length by column; with none at all the frame is empty. Moments and spans
            are given as integers, microseconds, where the smallest int64 means missing; in all others None or
            ``pandas.NA`` is missing.

        Returns
        -------
        pandas.DataFrame
            With a RangeIndex and exactly the columns of the schema.
        """
        columns = {column.name: build_column(column.dtype, values.get(column.name, ())) for column in self.columns}
        return pd.DataFrame(columns, copy=False)

    def concat(self, frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
        """Put frames of this schema one below the other."""
        if len(frames) == 1:
            return frames[0]
        return pd.concat(frames, ignore_index=True) if frames else self.frame({})

    def describe(self) -> pd.DataFrame:
        """Show the columns themselves: name, dtype and meaning."""
        return pd.DataFrame(
            [(c.name, c.dtype, c.meaning) for c in self.columns], columns=["column", "dtype", "meaning"]
        )


#: A missing moment or span.
MISSING_US: Final = np.iinfo(np.int64).min


def build_column(dtype: str, values: Any) -> Any:
    """Build an array of one of the dtypes of this module."""
    if dtype == TEXT:
        return _build_texts(_as_objects(values))
    if dtype == MOMENT:
        moments = np.asarray(values, dtype=np.int64).view("M8[us]")
        return pd.DatetimeIndex(moments, copy=False).tz_localize("UTC")
    if dtype == SPAN:
        return np.asarray(values, dtype=np.int64).view("m8[us]")
    if dtype == OBJECT:
        return pd.Series(_as_objects(values), dtype=object, copy=False)  # a bare array of texts would become text
    plain: Any = values if len(values) else np.empty(0, dtype=bool if dtype == FLAG else np.int64)
    return pd.array(plain, dtype=dtype)


def _build_texts(values: np.ndarray[Any, Any]) -> Any:
    """Build an array of texts; pandas takes long for what is missing, and few have a parent or a failure."""
    present = np.flatnonzero(~pd.isna(values))
    texts = pd.array(values[present], dtype=_STRING, copy=False)
    if len(present) == len(values):
        return texts
    places = np.full(len(values), -1)
    places[present] = np.arange(len(present))
    return texts.take(places, allow_fill=True)


def _as_objects(values: Any) -> np.ndarray[Any, Any]:
    if isinstance(values, np.ndarray):
        return values.astype(object, copy=False)
    # Not np.array(): it would make a matrix of lists of equal length.
    return np.fromiter(values, dtype=object, count=len(values))


def _columns(*described: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(*each) for each in described)


_SESSION: Final = _columns(("session_uid", TEXT, "UID of the session"))
_INSTANCE: Final = (*_SESSION, Column("instance", TEXT, "name of the instance, `<task>#<number>`"))
_OBSERVED: Final = _columns(("observed_at", MOMENT, "when the state was read, by the storage's clock"))

SESSIONS: Final = Schema(
    _SESSION
    + _columns(
        ("manager", TEXT, "key of the manager that the session remembers"),
        ("n_tasks", COUNT, "tasks in its configuration"),
        ("n_instances", COUNT, "instances ever created"),
    )
    + tuple(Column(status, COUNT, f"instances that are {status}") for status in STATUSES)
    + _columns(
        ("n_unresolved", COUNT, "instances that are unstarted, scheduled, running or failed"),
        ("max_log_level", COUNT, "highest level logged by any instance, 0 if none was"),
        ("created_at", MOMENT, "first change"),
        ("last_modified_at", MOMENT, "last change"),
    )
    + _OBSERVED
)

_PAYLOADS: Final = _columns(
    ("kwargs", OBJECT, "kwargs of each trigger: dict of dicts"),
    ("result", OBJECT, "what it returned, or was given by a skip: dict"),
    ("traceback", TEXT, "traceback of its exception"),
    ("exception_context", OBJECT, "context attached to its exception"),
)

#: Columns that are filled only with ``payloads=True``.
PAYLOADS: Final = tuple(column.name for column in _PAYLOADS)

_INSTANCE_FACTS: Final = _columns(
    ("task", TEXT, "name of the task"),
    ("number", COUNT, "number in the name, from 0 in order of creation"),
    ("status", TEXT, "one of `triggers_nb.STATUSES`"),
    ("run", TEXT, "task class that its task names"),
    ("runner", TEXT, "runner that its task names (`using`); missing: the manager's"),
    ("parent", TEXT, "instance that it is a replay of"),
    ("depth", COUNT, "how many replays led to it"),
    ("created_at", MOMENT, "creation"),
    ("scheduled_at", MOMENT, "when all of its triggers were there"),
    ("started_at", MOMENT, "start of its run"),
    ("finished_at", MOMENT, "end with a result"),
    ("failed_at", MOMENT, "end with an exception"),
    ("last_modified_at", MOMENT, "last change"),
    ("wait", SPAN, "from scheduled to started; missing until it has started"),
    ("duration", SPAN, "from started to finished, failed, skipped or abandoned; missing until then"),
    ("exception_type", TEXT, "`module.Class` of its exception"),
    ("exception_message", TEXT, "message of its exception, redacted"),
    ("fingerprint", TEXT, "the same for failures of the same cause; missing without an exception"),
    ("log_level", COUNT, "highest level logged, 0 if nothing was"),
    ("logs_resolved", FLAG, "nobody has to look at its messages (any more)"),
    ("is_resolved", FLAG, "nothing changes its status any more"),
    ("can_replay", FLAG, "it is failed"),
    ("can_skip", FLAG, "it is failed"),
    ("is_stuck", FLAG, "it should have moved on, see `stuck`"),
    ("missing_triggers", OBJECT, "triggers that an unstarted one waits for, sorted: list of str"),
)

INSTANCES: Final = Schema(_INSTANCE + _INSTANCE_FACTS + _PAYLOADS + _OBSERVED)

FAILURES: Final = Schema(
    _INSTANCE
    + _INSTANCE_FACTS
    + _PAYLOADS
    + _columns(
        ("top_frame", TEXT, "innermost frame of the application, `module:function`"),
        ("blocked", OBJECT, "tasks that cannot run because of it, nearest first: list of str"),
    )
    + _OBSERVED
)

TASKS: Final = Schema(
    _SESSION
    + _columns(
        ("task", TEXT, "name of the task"),
        ("run", TEXT, "name of the task class"),
        ("after", OBJECT, "triggers that must all have fired, `and_every` included, sorted: list of str"),
        ("and_every", TEXT, "trigger whose every firing makes an instance"),
        ("unless", OBJECT, "triggers which, all fired, forbid an instance, sorted: list of str"),
        ("with_params", OBJECT, "static kwargs, redacted: dict of dicts"),
        ("using", TEXT, "name of the task runner; missing: the manager's"),
        ("extra", OBJECT, "all other directives, redacted: dict"),
        ("n_instances", COUNT, "instances ever created"),
        ("is_resolved", FLAG, "it has an instance, and no unresolved one"),
    )
    + _OBSERVED
)

TRIGGERS: Final = Schema(
    _SESSION
    + _columns(
        ("trigger", TEXT, "name of the trigger"),
        ("kind", TEXT, "`external`, `cascade` (a task's name) or `unknown` (fired, but no task names it)"),
        ("fired", FLAG, "it has fired"),
        ("n_fired", COUNT, "how often it has fired"),
        ("last_fired_at", MOMENT, "latest firing"),
        ("used_by", OBJECT, "tasks that name it, sorted: list of str"),
        ("payload", OBJECT, "its latest kwargs, redacted, only with `payloads=True`: dict"),
    )
    + _OBSERVED
)

EVENTS: Final = Schema(
    _SESSION
    + _columns(
        ("seq", COUNT, "sequence number of the event in its session, from 1"),
        ("change", COUNT, "number of the change in its event, from 0"),
        ("occurred_at", MOMENT, "when it was committed"),
        ("actor", TEXT, "who changed the session"),
        ("action", TEXT, "what was called: `fire`, `claim`, `finish`, `replay`, …"),
        ("target", TEXT, "task, trigger or instance that changed"),
        ("from_status", TEXT, "status before; missing if it was created, or has none"),
        ("to_status", TEXT, "status after"),
        ("trigger", TEXT, "trigger that was fired or taken"),
        ("cause", TEXT, "instance or trigger that brought it about"),
        ("reason", TEXT, "why, in the actor's words, redacted"),
        ("action_id", TEXT, "the same for all that one call, or one execution of a plan, did"),
        ("plan_id", TEXT, "plan that was executed"),
        ("error", TEXT, "what a hook raised, redacted"),
    )
    + _OBSERVED
)

STUCK: Final = Schema(
    _INSTANCE
    + _columns(
        ("task", TEXT, "name of the task"),
        ("status", TEXT, "`scheduled` or `running`"),
        ("why", TEXT, "`pending hand-over`, `scheduled too long`, `running too long` or `lease run out`"),
        ("since", MOMENT, "when it was scheduled or started"),
        ("age", SPAN, "how long ago that was"),
    )
    + _OBSERVED
)

MANAGERS: Final = Schema(
    _columns(
        ("key", TEXT, "key by which sessions remember it"),
        ("class", TEXT, "`module:Class`"),
        ("distribution", TEXT, "package that brings it; missing when registered in this process"),
        ("version", TEXT, "version of that package"),
        ("hooks", OBJECT, "hooks that it overrides: list of str"),
        ("methods", OBJECT, "methods that it overrides although cascades do not go through them: list of str"),
        ("error", TEXT, "why it cannot be loaded"),
        ("issue", TEXT, "what is odd about its key"),
    )
)

DIFFERENCES: Final = Schema(
    _SESSION
    + _columns(
        ("kind", TEXT, "`session`, `task`, `trigger` or `instance`"),
        ("target", TEXT, "name of the task, trigger or instance; empty for the session itself"),
        ("field", TEXT, "what differs: `status`, `kwargs.<trigger>`, a key of its metadata, a directive, …"),
        ("before", OBJECT, "value before, redacted; None: it was not there"),
        ("after", OBJECT, "value after, redacted; None: it is not there"),
    )
)

#: Every kind of frame by its name.
SCHEMAS: Final = {
    "sessions": SESSIONS,
    "instances": INSTANCES,
    "failures": FAILURES,
    "tasks": TASKS,
    "triggers": TRIGGERS,
    "events": EVENTS,
    "stuck": STUCK,
    "managers": MANAGERS,
    "differences": DIFFERENCES,
}
