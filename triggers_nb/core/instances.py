"""What people hold in their hands: a task's configuration and an instance."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Final

from triggers_nb.core import status as st
from triggers_nb.core.codec import decode_value
from triggers_nb.core.records import STAMPS, ConfigRecord, InstanceRecord, read_stamps
from triggers_nb.errors import StorageError


class TaskConfig:
    """A rule of a session's configuration: *after* these triggers fire, *run* that task class.

    The arguments after `name` are the directives of ``update_configuration``.

    Attributes
    ----------
    name, run : str
        The task, and the name of its task class.
    after, unless : set of str
        Triggers; `after` includes `and_every`.
    and_every, using : str or None
        The trigger whose every firing makes an instance; the name of the task runner.
    with_params : dict of str to dict
        Static kwargs, merged under the triggers' kwargs.
    extra : dict
        All other directives.

    Examples
    --------
    >>> task = TaskConfig("t_report", after=["t_import"], andEvery="closed", run="app.Report", owner="ops")
    >>> sorted(task.after), task.extra
    (['closed', 't_import'], {'owner': 'ops'})
    """

    def __init__(
        self,
        name: str,
        after: Iterable[str],
        run: str,
        unless: Iterable[str] | None = None,
        using: str | None = None,
        withParams: Mapping[str, Mapping[str, Any]] | None = None,
        andEvery: str | None = None,
        **extra: Any,
    ) -> None:
        self.name = name
        self.run = run
        self.and_every = andEvery
        self.after = {*after, andEvery} if andEvery else set(after)
        self.unless = set(unless or ())
        self.using = using
        self.with_params = {key: dict(value) for key, value in (withParams or {}).items()}
        self.extra = extra

    @classmethod
    def from_record(cls, name: str, record: ConfigRecord) -> TaskConfig:
        """Build it from what is stored.

        Raises
        ------
        StorageError
            If that is damaged.
        """
        params, extra = decode_value(record.with_params), decode_value(record.extra)
        is_read = isinstance(params, dict) and isinstance(extra, dict)
        if not is_read or (params and not all(isinstance(each, dict) for each in params.values())):
            raise StorageError(f"the configuration of task {name!r} cannot be read: its directives are no mappings")
        config = cls(name, record.after, record.run, record.unless, record.using, params, record.and_every)
        config.extra = extra
        return config

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TaskConfig) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def after_sorted(self) -> list[str]:
        """`after` in order."""
        return sorted(self.after)

    @property
    def unless_sorted(self) -> list[str]:
        """`unless` in order."""
        return sorted(self.unless)

    def uses_trigger(self, trigger_name: str) -> bool:
        """Whether a firing of that trigger concerns this task."""
        return trigger_name in self.after or trigger_name in self.unless

    def serialize(self) -> dict[str, Any]:
        """The directives, ready for ``update_configuration({task.name: …})``."""
        return {
            **self.extra,
            "after": sorted(self.after - {self.and_every}),
            "andEvery": self.and_every,
            "run": self.run,
            "unless": sorted(self.unless),
            "using": self.using,
            "withParams": self.with_params,
        }


class TaskInstance:
    """One execution of a task, as it was when it was read.

    Changing it changes nothing stored, except inside ``storage.acquire_lock()``, where it is a draft that ``save()``
    commits.

    Attributes
    ----------
    name : str
        ``<task>#<n>``.
    config : TaskConfig
        The task's configuration at that moment.
    status : str
        One of ``STATUSES``.
    metadata, kwargs : dict
        See the documentation of tasks; `kwargs` holds a dict for each trigger that the instance has taken.
    abandon_state : set of str
        ``unless`` triggers that have fired.
    revision : int
        Sequence number of the change that wrote it, 0 for one that is not stored.
    session_uid : str or None
        The session that it was read from, None if it was not.
    """

    #: Log level from which an instance's messages have to be marked resolved.
    LOG_LEVEL_THRESHOLD: ClassVar[int] = logging.ERROR

    STATUS_ABANDONED: Final = st.ABANDONED
    STATUS_FAILED: Final = st.FAILED
    STATUS_FINISHED: Final = st.FINISHED
    STATUS_REPLAYED: Final = st.REPLAYED
    STATUS_RUNNING: Final = st.RUNNING
    STATUS_SCHEDULED: Final = st.SCHEDULED
    STATUS_SKIPPED: Final = st.SKIPPED
    STATUS_UNSTARTED: Final = st.UNSTARTED

    META_ACTUAL_KWARGS: Final = "actualKwargs"
    META_CASCADE: Final = "cascade"
    META_COOLDOWN: Final = "cooldown"
    META_DEPTH: Final = "depth"
    META_EXCEPTION_CONTEXT: Final = "exceptionContext"
    META_EXCEPTION_INFO: Final = "exceptionInfo"
    META_EXCEPTION_MESSAGE: Final = "exceptionMessage"
    META_EXCEPTION_TYPE: Final = "exceptionType"
    META_LOG_LEVEL: Final = "logLevel"
    META_LOGS_RESOLVED: Final = "logsResolved"
    META_PARENT: Final = "parent"
    META_RESULT: Final = "result"
    META_TIMESTAMPS: Final = "timestamps"

    TIMESTAMP_CREATED: Final = STAMPS[0]
    TIMESTAMP_LAST_MODIFIED: Final = STAMPS[1]

    def __init__(
        self,
        name: str,
        config: TaskConfig,
        status: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        abandonState: Iterable[str] | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.status = st.check_status(status or st.UNSTARTED)
        self.abandon_state = set(abandonState or ())
        self.retries = 0
        self.revision = 0
        self.session_uid: str | None = None
        self._record: InstanceRecord | None = None
        self._metadata: dict[str, Any] | None = dict(metadata or {})
        self._kwargs: dict[str, Any] | None = dict(kwargs or {})

    @classmethod
    def from_record(
        cls, record: InstanceRecord, config: TaskConfig, revision: int, session_uid: str | None = None
    ) -> TaskInstance:
        """Build it from what is stored; kwargs and metadata are decoded when somebody looks."""
        instance = cls.__new__(cls)
        instance.name = record.name
        instance.config = config
        instance.status = st.STATUSES[record.status]
        instance.abandon_state = set(record.seen)
        instance.retries = record.retries
        instance.revision = revision
        instance.session_uid = session_uid
        instance._record = record
        instance._metadata = instance._kwargs = None
        return instance

    @property
    def metadata(self) -> dict[str, Any]:
        """Everything known of the instance besides its status and its kwargs."""
        if self._metadata is None:
            assert self._record is not None
            self._metadata = read_metadata(self._record)
        return self._metadata

    @metadata.setter
    def metadata(self, value: Mapping[str, Any]) -> None:
        self._metadata = dict(value)

    @property
    def kwargs(self) -> dict[str, Any]:
        """Kwargs of each trigger that the instance has taken."""
        if self._kwargs is None:
            assert self._record is not None
            self._kwargs = {trigger: decode_value(raw) for trigger, raw in self._record.kwargs.items()}
        return self._kwargs

    @kwargs.setter
    def kwargs(self, value: Mapping[str, Any]) -> None:
        self._kwargs = dict(value)

    def __str__(self) -> str:
        return f"{self.name} ({self.status})"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} {self.status}>"

    @property
    def can_schedule(self) -> bool:
        """Whether it has not been scheduled or resolved."""
        return self.status == st.UNSTARTED

    @property
    def can_skip(self) -> bool:
        """Whether it can be skipped: only a failed one can."""
        return self.status == st.FAILED

    @property
    def can_replay(self) -> bool:
        """Whether it can be replayed: only a failed one can."""
        return self.status == st.FAILED

    @property
    def can_abandon(self) -> bool:
        """Whether all of its task's ``unless`` triggers (at least one) have fired while it is unstarted."""
        return self.can_schedule and bool(self.config.unless) and self.config.unless <= self.abandon_state

    @property
    def can_run(self) -> bool:
        """Whether it is unstarted, has all of its triggers, and is not to be abandoned."""
        return self.can_schedule and self.config.after <= self.kwargs.keys() and not self.can_abandon

    @property
    def is_resolved(self) -> bool:
        """Whether nothing changes its status any more."""
        return self.status in st.RESOLVED

    @property
    def cooldown(self) -> float:
        """Seconds to wait before it runs."""
        return read_cooldown(self.metadata.get(self.META_COOLDOWN))

    @property
    def scheduled_at(self) -> datetime | None:
        """When it was scheduled, as the engine has noted it whatever moments its metadata was given; None: not yet."""
        return None if self._record is None else read_stamps(self._record.stamps).get(st.SCHEDULED)

    @property
    def depth(self) -> int:
        """How many instances it is a replay of, one after the other."""
        return int(self.metadata.get(self.META_DEPTH, 0))

    @property
    def last_modified(self) -> datetime | None:
        """Moment of its last change."""
        moment: datetime | None = (self.metadata.get(self.META_TIMESTAMPS) or {}).get(self.TIMESTAMP_LAST_MODIFIED)
        return moment

    @property
    def log_level(self) -> int:
        """Highest level of the messages logged while it ran, ``logging.NOTSET`` if none were."""
        return int(self.metadata.get(self.META_LOG_LEVEL, logging.NOTSET))

    @property
    def log_level_name(self) -> str:
        """The name of `log_level`."""
        return logging.getLevelName(self.log_level)

    @property
    def logs_relevant(self) -> bool:
        """Whether its messages still matter; those of abandoned, replayed and skipped instances do not."""
        return self.status not in (st.ABANDONED, st.REPLAYED, st.SKIPPED)

    @property
    def logs_resolved(self) -> bool:
        """Whether nobody has to look at its messages (any more)."""
        return (
            not self.logs_relevant
            or self.log_level < self.LOG_LEVEL_THRESHOLD
            or bool(self.metadata.get(self.META_LOGS_RESOLVED, False))
        )


#: Longest cooldown, in seconds, that is believed.
MAX_COOLDOWN_S: Final = 1e9


def is_cooldown(value: object) -> bool:
    """Whether it is a number of seconds that can be waited for."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return False
    try:
        return 0 <= float(value) < MAX_COOLDOWN_S
    except (ValueError, OverflowError):  # a signalling NaN, a huge number
        return False


def read_cooldown(stored: object) -> float:
    """Seconds of a cooldown as it is stored; 0 for what is none."""
    return float(stored) if is_cooldown(stored) else 0.0  # type: ignore[arg-type]


#: Metadata that the record has fields for, with their names and types; there is no other.
METADATA_FIELDS: Final[Mapping[str, tuple[str, type]]] = {
    "parent": ("parent", str),
    "depth": ("depth", int),
    "logLevel": ("log_level", int),
    "logsResolved": ("logs_resolved", bool),
    "exceptionType": ("exception_type", str),
    "exceptionMessage": ("exception_message", str),
}


def read_metadata(record: InstanceRecord) -> dict[str, Any]:
    """All metadata of a stored instance as one dict."""
    metadata: dict[str, Any] = {
        key: decode_value(raw) for key, raw in record.metadata.items() if key not in METADATA_FIELDS
    }
    # A draft may have set moments of its own; they stand above those in the block.
    own_moments = metadata.get("timestamps", {})
    if not isinstance(own_moments, dict):
        raise StorageError(f"instance {record.name!r} cannot be read: its timestamps are no mapping")
    metadata["timestamps"] = {**read_stamps(record.stamps), **own_moments}
    if record.parent is not None:
        metadata["parent"] = record.parent
    if record.depth:
        metadata["depth"] = record.depth
    if record.log_level:
        metadata["logLevel"] = record.log_level
    if record.logs_resolved:
        metadata["logsResolved"] = True
    if record.exception_type is not None:
        metadata["exceptionType"] = record.exception_type
    if record.exception_message is not None:
        metadata["exceptionMessage"] = record.exception_message
    return metadata
