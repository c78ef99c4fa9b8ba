"""From what people point at to the exact targets of a plan, each at the version that is seen now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from triggers_nb.core import records as rec
from triggers_nb.core.instances import TaskConfig, TaskInstance
from triggers_nb.errors import InvalidValue, UnknownInstance, UnknownSession, UnknownTrigger, brief
from triggers_nb.redaction import contains_marker
from triggers_nb.storages.store import Store
from triggers_nb.task import merge

if TYPE_CHECKING:
    import pandas as pd

#: Kwargs for each target: the same for all, a Series aligned on the frame, or a callable of the frame's row.
PerTarget = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] | Any


class Target(NamedTuple):
    """An instance that is pointed at, and where in the caller's selection."""

    uid: str
    name: str
    #: Its label in the frame's index, and its row; None without a frame.
    label: Any
    row: Any


class Seen(NamedTuple):
    """An instance as it is when a plan is made."""

    target: Target
    instance: TaskInstance
    epoch: int


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
    targets = []
    for position, (found, name) in enumerate(zip(uids, frame["instance"], strict=True)):
        if not isinstance(name, str) or not isinstance(found, str):
            raise ValueError(f"row {position} of the frame names no instance: found {found!r} and {name!r}")
        if uid is not None and found != uid:
            raise ValueError(
                f"row {position} of the frame is of session {found!r}, this is session {uid!r}; use ws.plan"
            )
        targets.append(Target(found, name, frame.index[position], frame.iloc[position]))
    return targets


def _from_names(selection: object, uid: str | None) -> list[Target]:
    if uid is None:
        raise TypeError(
            f"found {brief(selection)}; expected a frame with columns session_uid and instance, such as ws.failures()"
        )
    single = isinstance(selection, (str, TaskInstance))
    names = [selection] if single else selection
    if not isinstance(names, Iterable):
        raise TypeError(f"found {brief(selection)}; expected an instance's name, a list of names, or a frame")
    targets = []
    for each in names:
        if not isinstance(each, (str, TaskInstance)):
            raise TypeError(f"found {brief(each)}; expected an instance's name or a TaskInstance")
        targets.append(Target(uid, each if isinstance(each, str) else each.name, None, None))
    return targets


def see(store: Store, targets: Sequence[Target]) -> list[Seen]:
    """Read the targets as they are now, one trip for each session.

    Raises
    ------
    UnknownSession, UnknownInstance
        If one is not there.
    """
    by_uid: dict[str, list[Target]] = {}
    for target in targets:
        by_uid.setdefault(target.uid, []).append(target)
    seen: dict[tuple[str, str], Seen] = {}
    for uid, group in by_uid.items():
        for each in _see_session(store, uid, group):
            seen[uid, each.target.name] = each
    return [seen[target.uid, target.name] for target in targets]


def _see_session(store: Store, uid: str, targets: Sequence[Target]) -> list[Seen]:
    tasks = {parts[0] for target in targets if (parts := rec.split_instance_name(target.name))}
    cells = [rec.INSTANCE + target.name for target in targets] + [rec.CONFIG + task for task in sorted(tasks)]
    view = store.read(uid, cells, follow=False)
    if view is None:
        raise UnknownSession(uid, hint="It was never configured, was deleted, or has expired")
    seen = []
    for target in targets:
        cell = view.cells.get(rec.INSTANCE + target.name)
        if cell is None:
            raise UnknownInstance(target.name, hint=f"Session {uid!r} has none of this name")
        record: rec.InstanceRecord = rec.decode_record(rec.INSTANCE, cell.data)  # type: ignore[assignment]
        config: rec.ConfigRecord = rec.decode_record(rec.CONFIG, view.cells[rec.CONFIG + record.task].data)  # type: ignore[assignment]
        instance = TaskInstance.from_record(record, TaskConfig.from_record(record.task, config), cell.revision)
        seen.append(Seen(target, instance, view.epoch))
    return seen


def new_kwargs(seen: Seen, kwargs: PerTarget | None, merge_kwargs: PerTarget | None) -> dict[str, Any] | None:
    """The kwargs of a replay: None keeps those that are stored.

    Raises
    ------
    ValueError
        If both are given, or a Series has nothing for the target.
    UnknownTrigger
        If the task does not wait for one of the triggers; near names are suggested.
    InvalidValue
        If a redaction marker would be stored.
    """
    if kwargs is not None and merge_kwargs is not None:
        raise ValueError("kwargs replaces all of the stored kwargs, merge_kwargs changes some: pass one of them")
    given, name = (kwargs, "kwargs") if merge_kwargs is None else (merge_kwargs, "merge_kwargs")
    if given is None:
        return None
    own = for_target(seen.target, given, name)
    _check_triggers(seen.instance, own)
    return dict(own) if merge_kwargs is None else merge(seen.instance.kwargs, own)


def for_target(target: Target, given: PerTarget, name: str) -> Mapping[str, Any]:
    """What is given for one target."""
    if isinstance(given, Mapping):
        own: Any = given
    elif callable(given):
        own = given(target.row if target.row is not None else target.name)
    elif hasattr(given, "index") and hasattr(given, "loc"):
        if target.row is None:
            raise ValueError(f"{name} is a Series: select the targets by the frame that it is aligned on")
        if target.label not in given.index:
            raise ValueError(f"{name} has nothing for row {target.label!r}, instance {target.name!r} of {target.uid!r}")
        own = given.loc[target.label]
    else:
        own = given
    if not isinstance(own, Mapping):
        raise InvalidValue(name, own, f"expected a mapping of triggers to kwargs for {target.name!r} of {target.uid!r}")
    refuse_markers(own, name)
    return own


def _check_triggers(instance: TaskInstance, kwargs: Mapping[str, Any]) -> None:
    known = {*instance.config.after, *instance.kwargs, *instance.config.with_params}
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


def find_sessions(selection: object) -> list[str]:
    """Turn a selection of sessions into UIDs, each once, in order.

    Parameters
    ----------
    selection
        A UID, a list of UIDs, or a frame with the column ``session_uid``.
    """
    if isinstance(selection, str):
        return [selection]
    frame: pd.DataFrame | Any = selection
    if hasattr(frame, "columns"):
        if "session_uid" not in frame.columns:
            raise ValueError("the frame has no column session_uid; expected one such as ws.sessions()")
        selection = list(frame["session_uid"])
    if not isinstance(selection, Iterable):
        raise TypeError(f"found {brief(selection)}; expected UIDs, or a frame with the column session_uid")
    uids = list(dict.fromkeys(selection))
    for uid in uids:
        if not isinstance(uid, str) or not uid:
            raise ValueError(f"found {brief(uid)}; expected a session's UID")
    return uids
