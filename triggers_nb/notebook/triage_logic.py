"""What the triage of a fleet's failures shows and does, without a front end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from triggers_nb.analysis.failure_groups import failure_groups
from triggers_nb.analysis.frames import read_failures
from triggers_nb.analysis.schema import FAILURES
from triggers_nb.core.status import CODES, FAILED
from triggers_nb.errors import RegistryError, UnknownSession
from triggers_nb.notebook.look import MAX_LISTED, FleetLook
from triggers_nb.notebook.panel_logic import Moment
from triggers_nb.notebook.patches import plain_value
from triggers_nb.notebook.payloads import as_json
from triggers_nb.notebook.sheets import ACTIONS, Targets, tabs_of
from triggers_nb.notebook.surface_logic import SurfaceLogic, known_triggers, refusal
from triggers_nb.render.board import cut
from triggers_nb.render.chips import chips
from triggers_nb.render.dashboard import status_counts
from triggers_nb.render.wording import plural, printable
from triggers_nb.session_views import SessionView

if TYPE_CHECKING:
    from triggers_nb.workspace import Workspace

#: Ways to order groups.
ORDERS: Final = {"count": "most instances first", "latest": "latest failure first"}

#: Columns that hold payloads: a patch takes no value from there, they are redacted.
_NO_VALUES: Final = frozenset({"kwargs", "result", "traceback", "exception_context", "missing_triggers", "blocked"})

#: Most characters of a message or a value in the table.
MAX_CELL: Final = 90

Key = tuple[str, str]


class TriageLogic(SurfaceLogic):
    """The failures of many sessions: groups by cause, the instances of one group, the detail of one instance.

    Parameters
    ----------
    workspace : Workspace
        Where the sessions are.
    pattern : str, optional
        Only sessions whose UID matches, with ``*`` and ``?``.
    values : pandas.DataFrame, optional
        Columns of one's own for instances (``session_uid`` and ``instance`` name them): shown in the table, and what
        a patch may take as ``{{column}}``.

    Attributes
    ----------
    failures : pandas.DataFrame
        All failures (`schema.FAILURES`), with the columns of `values`.
    groups : list of dict
        What `failure_groups` gives, in the chosen order.
    """

    requests = ("select", "group", "order", "check")

    def __init__(self, workspace: Workspace, pattern: str | None = None, values: pd.DataFrame | None = None) -> None:
        super().__init__(workspace)
        self.pattern = pattern
        self.values = _checked_values(values)
        self.look = FleetLook(workspace.store)
        self.order = "count"
        self.group: str | None = None
        self.current: Key | None = None
        #: Instances of the group that are not selected.
        self.unchecked: set[Key] = set()
        self._counts: dict[str, Mapping[str, int]] = {}
        self._read_all()

    # Reading ------------------------------------------------------------------------------------------------------

    def _read_all(self) -> None:
        self._own = FAILURES.frame({name: [] for name in FAILURES.names})
        self.look.since_us = 0
        self.look.seen.clear()
        self._counts.clear()
        self.refresh()

    def refresh(self) -> None:
        """Read the sessions again that have changed, and group their failures."""
        now_us = self.source.store.now_us()
        changed = self.look.changed()
        gone = self.look.gone() if len(self.look.seen) <= MAX_LISTED and not changed else set()
        for uid in gone:
            self.look.seen.pop(uid)
            self._counts.pop(uid, None)
        for summary in changed:
            self.look.seen[summary.uid] = (summary.epoch, summary.seq)
        mine = [summary for summary in changed if self._is_wanted(summary.uid)]
        self._counts |= {summary.uid: status_counts(summary.counts) for summary in mine}
        uids = [summary.uid for summary in mine]
        failing = [uid for uid in uids if self._counts[uid].get(FAILED)]
        kept = self._own[~self._own["session_uid"].isin([*uids, *gone])]
        read = read_failures(self.source, failing, max_results=None) if failing else self._own.iloc[:0]
        self._own = FAILURES.concat([kept.reset_index(drop=True), read])
        self.look.since_us = now_us
        self._arrange()

    def _is_wanted(self, uid: str) -> bool:
        return self.pattern is None or fnmatchcase(uid, self.pattern)

    def _arrange(self) -> None:
        frame = self._own.sort_values(["session_uid", "task", "number"], ignore_index=True)
        if self.values is not None:
            frame = frame.merge(self.values, on=["session_uid", "instance"], how="left")
        self.failures = frame
        self.groups = _group(self._own)
        self._sort()
        known = {group["fingerprint"] for group in self.groups}
        if self.group not in known:
            self._choose(self.groups[0]["fingerprint"] if self.groups else None)
        else:
            self._choose_current()

    def _sort(self) -> None:
        by = "n_instances" if self.order == "count" else "last_seen"
        self.groups.sort(key=lambda group: group[by], reverse=True)

    def _choose(self, fingerprint: str | None) -> None:
        self.group = fingerprint
        self.unchecked.clear()
        self.current = None
        self._choose_current()

    def _choose_current(self) -> None:
        self.members = self.failures[
            self.failures["fingerprint"].fillna("").eq(self.group if self.group is not None else "-")
        ]
        keys = self.keys()
        self.unchecked &= set(keys)
        if self.current not in keys:
            self.current = keys[0] if keys else None

    def keys(self) -> list[Key]:
        """Session and name of the group's instances, in the order of the table."""
        return list(zip(self.members["session_uid"], self.members["instance"], strict=True))

    @property
    def checked(self) -> pd.DataFrame:
        """The selected instances of the group."""
        if not self.unchecked:
            return self.members
        return self.members[[key not in self.unchecked for key in self.keys()]]

    # Doing --------------------------------------------------------------------------------------------------------

    def _do_group(self, message: Mapping[str, Any]) -> None:
        fingerprint = message.get("id")
        if fingerprint in {group["fingerprint"] for group in self.groups} and fingerprint != self.group:
            self.sheet.close()
            self._choose(str(fingerprint))

    def _do_order(self, message: Mapping[str, Any]) -> None:
        self.order = str(message.get("id")) if message.get("id") in ORDERS else "count"
        self._sort()

    def _do_select(self, message: Mapping[str, Any]) -> None:
        uid, _, name = str(message.get("id")).rpartition("\n")
        if (uid, name) in self.keys():
            self.current = (uid, name)

    def _do_check(self, message: Mapping[str, Any]) -> None:
        """Select or deselect instances; without ``ids``: all. With ``only``: these, and no others."""
        keys = set(self.keys())
        given = message.get("ids")
        ids = (
            keys if given is None else {(uid, name) for uid, _, name in (str(i).rpartition("\n") for i in given)} & keys
        )
        if message.get("only"):
            self.unchecked = keys - ids
        elif message.get("on"):
            self.unchecked -= ids
        else:
            self.unchecked |= ids
        if self.sheet.kind:
            self._aim()

    def _aim(self) -> None:
        if self.refusals()[self.sheet.kind]:
            self.sheet.close()
        else:
            self.sheet.retarget(self.targets(self.sheet.kind, str(self.sheet.form.get("trigger", ""))))

    def targets(self, kind: str, trigger: str = "") -> Targets:
        """What an action of this kind would be done to now."""
        frame = self.checked
        if kind == "fire":
            uids = list(dict.fromkeys(frame["session_uid"]))
            known, keys = known_triggers(self.workspace[uids[0]], self.source)
            return Targets(
                planner=self.workspace.plan,
                selection=uids,
                n=len(uids),
                python=repr(uids),
                known=known,
                keys=keys,
                trigger=trigger,
            )
        return Targets(
            planner=self.workspace.plan,
            selection=frame,
            n=len(frame),
            python=self._python(frame),
            columns=tuple(self._columns_for_patches()),
            triggers=self._triggers(frame),
        )

    def _columns_for_patches(self) -> list[str]:
        own = self.value_columns()
        return own + [name for name in self.failures.columns if name not in _NO_VALUES and name not in own]

    def _triggers(self, frame: pd.DataFrame) -> tuple[str, ...]:
        """What the first instance of the selection holds kwargs of; its group has them in common, most likely."""
        uid, name = frame.iloc[0]["session_uid"], frame.iloc[0]["instance"]
        return tuple(sorted(self.workspace.session(uid).storage[name].kwargs))

    def _python(self, frame: pd.DataFrame) -> str:
        values = "" if self.values is None else '.merge(values, on=["session_uid", "instance"], how="left")'
        failures = f"ws.failures({self.pattern!r})" if self.pattern else "ws.failures()"
        if len(frame) == len(self.members):
            where = f"fingerprint == '{self.group}'" if self.group else "fingerprint.isna()"
            return f'{failures}.query("{where}"){values}'
        rows = list(zip(frame["session_uid"], frame["instance"], strict=True))
        return f'pd.DataFrame({rows!r}, columns=["session_uid", "instance"]){values}'

    # Refusing -----------------------------------------------------------------------------------------------------

    def refusals(self) -> dict[str, str]:
        """Why each action cannot be taken now; empty: it can."""
        frame = self.checked
        common = (
            refusal(self.workspace)
            or self.busy()
            or ("" if len(frame) else "no instance is selected")
            or self._manager_missing(frame)
        )
        if common:
            return dict.fromkeys(ACTIONS, common)
        open_logs = (~frame["logs_resolved"].astype(bool)).any()
        return {
            **dict.fromkeys(ACTIONS, ""),
            "resolve_logs": "" if open_logs else "nobody has to look at their messages",
        }

    def _manager_missing(self, frame: pd.DataFrame) -> str:
        try:
            self.workspace.session(str(frame.iloc[0]["session_uid"])).manager_class()
        except RegistryError as error:
            return str(error)
        return ""

    # Showing ------------------------------------------------------------------------------------------------------

    def bar(self) -> dict[str, Any]:
        """What and where: storage, environment, counts, and why nothing can be changed."""
        about = [self.workspace.url, plural(len(self._counts), "session"), self.pattern or ""]
        return {
            "title": "Triage",
            "about": printable(" · ".join(filter(None, about))),
            "env": printable(self.workspace.env or ""),
            "chips": chips(self.counts()),
            "refused": refusal(self.workspace),
            "gone": False,
        }

    def counts(self) -> dict[str, int]:
        """Instances per status, of all sessions."""
        total: Counter[str] = Counter()
        for counts in self._counts.values():
            total.update(counts)
        return dict(total)

    def group_list(self) -> list[dict[str, Any]]:
        """The groups, as they are listed."""
        return [self._group_row(group) for group in self.groups]

    def _group_row(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": str(group["fingerprint"]),
            "type": printable(_text(group["exception_type"]).rpartition(".")[2] or "unknown"),
            "task": printable(_text(group["task"])),
            "message": printable(cut(self.redactor.text(_text(group["sample_message"])), 160)),
            "n": int(group["n_instances"]),
            "said": f"{plural(int(group['n_sessions']), 'session')} · blocks {plural(int(group['n_blocked']), 'task')}",
            "latest": _ms(group["last_seen"]),
        }

    def value_columns(self) -> list[str]:
        """Names of the columns of one's own."""
        return (
            []
            if self.values is None
            else [name for name in self.values.columns if name not in ("session_uid", "instance")]
        )

    def columns(self) -> list[dict[str, str]]:
        """Columns of the table."""
        fixed = [("session", "name"), ("instance", "name"), ("status", "status"), ("failed", "age")]
        own = [(name, "text") for name in self.value_columns()] or [("message", "note")]
        return [{"name": printable(name), "kind": kind} for name, kind in (*fixed, *own)]

    def rows(self) -> list[list[Any]]:
        """A row for each instance of the group: values of one's own, or else its message."""
        return list(self._rows())

    def _rows(self) -> Iterator[list[Any]]:
        code, show = CODES[FAILED], self.redactor.value
        names = self.value_columns() or ["exception_message"]
        own = [[_shown(value, show) for value in self.members[name]] for name in names]
        moments = [_ms(moment) for moment in self.members["failed_at"]]
        for position, (uid, name) in enumerate(self.keys()):
            yield [uid, name, code, moments[position], *(column[position] for column in own)]

    def detail(self) -> str:
        """The detail of the instance that is looked at."""
        if self.current is None:
            return ""
        uid, name = self.current
        try:
            return Moment(SessionView(self.source, uid), self.source).detail(name, self.redactor)
        except UnknownSession:
            return ""

    def tabs(self) -> list[dict[str, str]]:
        """The actions."""
        return tabs_of(len(self.checked), "instance", self.refusals())


def _group(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The groups as dicts; what has no fingerprint, because no exception was recorded, has an empty one."""
    groups: list[dict[str, Any]] = failure_groups(frame).to_dict("records")  # type: ignore[assignment]
    return [{**group, "fingerprint": _text(group["fingerprint"])} for group in groups]


def _checked_values(values: pd.DataFrame | None) -> pd.DataFrame | None:
    if values is None:
        return None
    missing = {"session_uid", "instance"} - set(values.columns)
    if missing:
        raise ValueError(f"values has no column {' and no column '.join(sorted(missing))}: they name the instances")
    own = [name for name in values.columns if name in ("session_uid", "instance") or name not in FAILURES.names]
    if values.duplicated(["session_uid", "instance"]).any():
        raise ValueError("values names an instance twice: drop the duplicates")
    # Integers and flags stay what they are beside rows that have no value.
    nullable = {"i": "Int64", "u": "UInt64", "b": "boolean"}
    kinds = {name: nullable[kind] for name in own if (kind := getattr(values[name].dtype, "kind", "")) in nullable}
    return values[own].reset_index(drop=True).astype(kinds)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _ms(moment: Any) -> int:
    return int(moment.timestamp() * 1000) if isinstance(moment, datetime) and moment == moment else 0


def _shown(value: Any, show: Callable[[Any], Any]) -> str:
    shown = show(plain_value(value))
    return "" if shown is None else cut(shown if isinstance(shown, str) else as_json(shown), MAX_CELL)
