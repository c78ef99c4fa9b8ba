"""From what people point at to the exact targets of a plan, each at the version that is seen now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from triggers_nb.core import records as rec
from triggers_nb.core.codec import decode_value
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.errors import (
    InvalidStatus,
    InvalidValue,
    UnknownInstance,
    UnknownSession,
    UnknownTrigger,
    brief,
    shown,
)
from triggers_nb.redaction import contains_marker
from triggers_nb.render.wording import listing
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.drafts import encode_kwargs
from triggers_nb.storages.store import Cell, Store, View
from triggers_nb.task import merge

#: How many names a near one is looked for among.
MAX_SUGGESTED = 5000

#: Kwargs for each target: the same for all, a Series aligned on the frame, or a callable of the frame's row.
PerTarget = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | Any


#: How many of the targets that something is wrong with are named.
MAX_NAMED = 5


class Rows:
    """The rows of a frame, made when they are asked for; in order, several times faster than by ``iloc``."""

    def __init__(self, frame: Any) -> None:
        self.index = frame.index
        self._frame = frame
        self._turned: Any = None
        self._next = -1
        self._rest: Iterator[Any] = iter(())

    def __getitem__(self, position: int) -> Any:
        """A row as a `pandas.Series`, which may be changed: nobody else gets it."""
        if position != self._next:
            self._rest = self._rows_from(position)
        self._next = position + 1
        return next(self._rest)

    def _rows_from(self, position: int) -> Iterator[Any]:
        import pandas as pd

        if self._turned is None:
            values = self._frame.to_numpy(dtype=object).T
            self._turned = pd.DataFrame(values, self._frame.columns, self.index, dtype=object, copy=False)
        return (row for _, row in self._turned.iloc[:, position:].items())


class Target(NamedTuple):
    """An instance (or, with an empty name, a session) that is pointed at, and where in the caller's selection."""

    uid: str
    name: str
    #: The rows of the frame that it comes from, and its position there; None without a frame.
    rows: Rows | None = None
    position: int = 0

    def __str__(self) -> str:
        return f"{self.name!r} of session {self.uid!r}" if self.name else f"session {self.uid!r}"


class Seen(NamedTuple):
    """An instance as it is when a plan is made."""

    target: Target
    instance: TaskInstance
    #: What was read of its session.
    reading: Reading


class Reading(NamedTuple):
    """What was read of a session when a plan was made."""

    epoch: int
    seq: int
    #: Key of the manager that it remembers.
    manager: str | None
    #: None: it was not there.
    cells: Mapping[str, Cell | None]


def find_targets(selection: object, uid: str | None) -> list[Target]:
    """Turn a selection into targets.

    Parameters
    ----------
    selection
        An instance's name or a `TaskInstance` (with `uid`), a list of these, or a frame with the columns
        ``session_uid`` and ``instance``.
    uid
        The session that names belong to; None for several.

    Raises
    ------
    TypeError, ValueError
        If that is something else, names another session, or names an instance twice.
    """
    targets = _from_frame(selection, uid) if hasattr(selection, "columns") else _from_names(selection, uid)
    twice = _first_twice((target.uid, target.name) for target in targets)
    if twice is not None:
        raise ValueError(f"instance {twice[1]!r} of session {twice[0]!r} is selected twice: drop the duplicates")
    return targets


def _first_twice(keys: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    seen: set[tuple[str, str]] = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None


def _from_frame(frame: Any, uid: str | None) -> list[Target]:
    missing = {"session_uid", "instance"} - set(frame.columns) - ({"session_uid"} if uid is not None else set())
    if missing:
        raise ValueError(
            f"the frame has no column {' and no column '.join(sorted(missing))}; expected a frame of instances, such "
            "as ws.failures() or a selection of its rows"
        )
    uids = list(frame["session_uid"]) if "session_uid" in frame.columns else [uid] * len(frame)
    targets, rows = [], Rows(frame)
    for position, (found, name) in enumerate(zip(uids, frame["instance"], strict=True)):
        if not isinstance(name, str) or not isinstance(found, str):
            raise ValueError(f"row {position} of the frame names no instance: found {found!r} and {name!r}")
        if uid is not None and found != uid:
            raise ValueError(
                f"row {position} of the frame is of session {found!r}, this is session {uid!r}; use ws.plan"
            )
        targets.append(Target(found, name, rows, position))
    return targets


def _from_names(selection: object, uid: str | None) -> list[Target]:
    if uid is None:
        if isinstance(selection, Sequence) and not isinstance(selection, str) and not selection:
            return []
        raise TypeError(
            f"found {brief(selection)}; expected a frame with columns session_uid and instance, such as ws.failures(): "
            "a name does not say of which session, ws[uid].plan takes names"
        )
    single = isinstance(selection, (str, TaskInstance))
    names = [selection] if single else selection
    if not isinstance(names, Iterable):
        raise TypeError(f"found {brief(selection)}; expected an instance's name, a list of names, or a frame")
    targets = []
    for each in names:
        if not isinstance(each, (str, TaskInstance)):
            raise TypeError(f"found {brief(each)}; expected an instance's name or a TaskInstance")
        targets.append(Target(uid, each if isinstance(each, str) else each.name))
    return targets


def see(store: Store, targets: Sequence[Target]) -> list[Seen]:
    """Read the targets as they are now, each session at one moment.

    Raises
    ------
    UnknownSession, UnknownInstance
        If some are not there; names the first few of them.
    """
    by_uid: dict[str, list[Target]] = {}
    for target in targets:
        by_uid.setdefault(target.uid, []).append(target)
    names = {uid: _names(group) for uid, group in by_uid.items()}
    views = store.read_many(names)
    readings = {uid: _reading(names[uid], views[uid]) for uid in by_uid}
    refuse_missing_sessions([uid for uid, reading in readings.items() if not reading.epoch])
    missing = [target for target in targets if not readings[target.uid].cells[rec.INSTANCE + target.name]]
    if missing:
        first = missing[0]
        known = BaseTriggerStorage(first.uid, store).instance_names()[:MAX_SUGGESTED]
        raise UnknownInstance(first.name, known, hint=_also(missing) or f"Session {first.uid!r} has none of this name")
    return [_seen(target, readings[target.uid]) for target in targets]


def _names(targets: Sequence[Target]) -> list[str]:
    """The cells of a session's targets, and those that a change of them looks at."""
    tasks = {parts[0] for target in targets if (parts := rec.split_instance_name(target.name))}
    around = [kind + task for task in tasks for kind in (rec.CONFIG, rec.TASK, rec.TRIGGER, rec.LATEST)]
    return [rec.HEAD, *(rec.INSTANCE + target.name for target in targets), *around]


def _reading(names: Sequence[str], view: View | None) -> Reading:
    if view is None:
        return Reading(0, 0, None, {})
    return Reading(view.epoch, view.seq, manager_of(view), {name: view.cells.get(name) for name in names})


def _seen(target: Target, reading: Reading) -> Seen:
    cell = reading.cells[rec.INSTANCE + target.name]
    assert cell is not None
    record: rec.InstanceRecord = rec.decode_record(rec.INSTANCE, cell.data)  # type: ignore[assignment]
    config = reading.cells[rec.CONFIG + record.task]
    assert config is not None
    configured: rec.ConfigRecord = rec.decode_record(rec.CONFIG, config.data)  # type: ignore[assignment]
    instance = TaskInstance.from_record(record, TaskConfig.from_record(record.task, configured), cell.revision)
    return Seen(target, instance, reading)


def manager_of(view: View) -> str | None:
    """Key of the manager that a session remembers; the view must hold its head."""
    head = view.cells.get(rec.HEAD)
    return rec.decode_record(rec.HEAD, head.data).manager if head is not None else None  # type: ignore[union-attr]


def refuse_missing_sessions(uids: Sequence[str]) -> None:
    """Raise `UnknownSession` if there are any; they are named."""
    if uids:
        also = _also([Target(uid, "") for uid in uids])
        raise UnknownSession(uids[0], hint=also or "It was never configured, was deleted, or has expired")


def _also(targets: Sequence[Target]) -> str:
    return f"The same goes for {name_targets(targets[1:])}" if len(targets) > 1 else ""


def name_targets(targets: Sequence[Target]) -> str:
    """Name the first few."""
    return listing([str(target) for target in targets], MAX_NAMED)


def refuse_status(seen: Sequence[Seen], check: Callable[[TaskInstance], object]) -> None:
    """Raise `InvalidStatus` if `check` does for some of the targets: for the first, naming the others, too."""
    wrong: list[Seen] = []
    first: InvalidStatus | None = None
    for each in seen:
        try:
            check(each.instance)
        except InvalidStatus as error:
            first = first or error
            wrong.append(each)
    if first is not None:
        where = f"session {wrong[0].target.uid!r}: {str(first).rstrip('.')}"
        also = _also([each.target for each in wrong])
        raise InvalidStatus(f"{where}. {also}. Nothing was planned: select the others" if also else where)


def new_kwargs(seen: Seen, kwargs: PerTarget | None, merge_kwargs: PerTarget | None) -> ReplayKwargs:
    """The kwargs of a replay, a copy that later changes of what was passed do not reach; None keeps the stored ones.

    Raises
    ------
    ValueError
        If both are given, or a Series has nothing for the target.
    UnknownTrigger
        If the task does not wait for one of the triggers; near names are suggested.
    InvalidValue
        If a value cannot be stored, or a redaction marker would be.
    """
    if kwargs is not None and merge_kwargs is not None:
        raise ValueError("kwargs replaces all of the stored kwargs, merge_kwargs changes some: pass one of them")
    stored = seen.instance.kwargs
    given, name = (kwargs, "kwargs") if merge_kwargs is None else (merge_kwargs, "merge_kwargs")
    if given is None:
        return ReplayKwargs(stored, None)
    own = for_target(seen.target, given, name)
    _check_triggers(seen.instance, own, stored)
    encoded = encode_kwargs(own if merge_kwargs is None else merge(stored, own))
    return ReplayKwargs(stored, {trigger: decode_value(raw) for trigger, raw in encoded.items()})


class ReplayKwargs(NamedTuple):
    """An instance's kwargs, and those of its replay."""

    stored: dict[str, Any]
    #: None: the same.
    new: dict[str, Any] | None


def for_target(target: Target, given: PerTarget, name: str) -> Mapping[str, Any]:
    """What is given for one target: the same for all, a Series aligned on the frame, or a callable of the row."""
    if isinstance(given, Mapping):
        own: Any = given
    elif hasattr(given, "index") and hasattr(given, "loc"):
        own = _aligned(target, given, name)
    elif callable(given):
        own = given(target.rows[target.position] if target.rows is not None else target.name or target.uid)
    else:
        raise TypeError(f"{name}={shown(given)}: expected a mapping, a Series of mappings, or a callable of the row")
    if not isinstance(own, Mapping):
        raise InvalidValue(name, own, f"expected a mapping for {target}")
    refuse_markers(own, name)
    return own


def _aligned(target: Target, series: Any, name: str) -> Any:
    if target.rows is None:
        raise ValueError(f"{name} is a Series: select the targets by the frame that it is aligned on")
    index = target.rows.index
    if series.index is index or series.index.equals(index):
        return series.iloc[target.position]
    label = index[target.position]
    if label not in series.index:
        raise ValueError(f"{name} has nothing for row {label!r}, {target}")
    if not series.index.is_unique:
        raise ValueError(f"{name} has several values for some rows: give it the frame's own index")
    return series.loc[label]


def _check_triggers(instance: TaskInstance, kwargs: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    known = {*instance.config.after, *stored, *instance.config.with_params}
    for trigger, value in kwargs.items():
        if trigger not in known:
            hint = f"Task {instance.config.name!r} takes kwargs of {', '.join(sorted(known))}"
            raise UnknownTrigger(trigger, known, hint=hint)
        if not isinstance(value, Mapping):
            raise InvalidValue(f"kwargs[{trigger!r}]", value, "expected a mapping of kwargs")


def refuse_markers(value: object, name: str) -> None:
    """Raise if a change would store what stands for a redacted value."""
    path = contains_marker(value)
    if path:
        raise InvalidValue(
            name + path.removeprefix("$"),
            "[redacted:…]",
            "expected the value itself: this stands for one that was hidden",
        )


def find_sessions(selection: object) -> list[Target]:
    """Turn a selection of sessions into targets without a name, each session once, in order.

    Parameters
    ----------
    selection
        A UID, a list of UIDs, or a frame with the column ``session_uid``; of several rows of a session the first
        counts.
    """
    if isinstance(selection, str):
        return [Target(selection, "")]
    rows: Rows | None = None
    frame: Any = selection
    if hasattr(frame, "columns"):
        if "session_uid" not in frame.columns:
            raise ValueError("the frame has no column session_uid; expected one such as ws.sessions()")
        rows, selection = Rows(frame), list(frame["session_uid"])
    if not isinstance(selection, Iterable):
        raise TypeError(f"found {brief(selection)}; expected UIDs, or a frame with the column session_uid")
    targets: dict[str, Target] = {}
    for position, uid in enumerate(selection):
        if not isinstance(uid, str) or not uid:
            raise ValueError(f"found {brief(uid)}; expected a session's UID")
        targets.setdefault(uid, Target(uid, "", rows, position))
    return list(targets.values())
