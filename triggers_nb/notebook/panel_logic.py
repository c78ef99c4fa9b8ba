"""What the panel of a session shows and does, without a front end."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import networkx as nx

from triggers_nb.analysis.explain import Situation
from triggers_nb.analysis.frames import read_state
from triggers_nb.analysis.frames_events import read_stored_events
from triggers_nb.analysis.frames_failures import fired_of, tasks_of
from triggers_nb.analysis.frames_instances import Batch, Wanted
from triggers_nb.analysis.graph import instance_graph, task_graph
from triggers_nb.analysis.reading import Source
from triggers_nb.analysis.session_graph import read_causes
from triggers_nb.core.events import decode_event
from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.records import HEAD, decode_record, from_us
from triggers_nb.core.status import ABANDONED, FAILED, REPLAYED, SKIPPED, STATUSES
from triggers_nb.errors import RegistryError, UnknownSession
from triggers_nb.notebook.details import detail_html, why_html
from triggers_nb.notebook.look import SessionLook
from triggers_nb.notebook.sheets import Targets, tabs_of
from triggers_nb.notebook.surface_logic import SurfaceLogic, known_triggers, refusal
from triggers_nb.redaction import Redactor
from triggers_nb.render.board import cut
from triggers_nb.render.cascade import cascade_svg
from triggers_nb.render.chips import chips
from triggers_nb.render.dashboard import status_counts
from triggers_nb.render.timeline import timeline_svg
from triggers_nb.render.wording import listing, printable, shown_name
from triggers_nb.session_views import SessionView
from triggers_nb.storages.base import instances_of

if TYPE_CHECKING:
    from triggers_nb.plan.execution import Result
    from triggers_nb.session import Session

#: What the picture can show.
LEVELS: Final = ("task", "instance", "timeline")

#: What is selected first: the most urgent.
_URGENCY: Final = {name: place for place, name in enumerate(("failed", "running", "scheduled", "unstarted"))}

#: Most characters of a row's fact.
MAX_FACT: Final = 90

#: Where the moments are in a block.
_RUNNING: Final = 2 + STATUSES.index("running")
_FAILED: Final = 2 + STATUSES.index("failed")

#: Columns of the table.
COLUMNS: Final = (
    {"name": "instance", "kind": "name"},
    {"name": "status", "kind": "status"},
    {"name": "changed", "kind": "age"},
    {"name": "took", "kind": "span"},
    {"name": "what", "kind": "text"},
)

#: A row of the table: name, position of its status, last change and duration in ms (-1: none), what there is to say.
Row = list[Any]


class Moment:
    """A session at one moment, read once."""

    def __init__(self, view: SessionView, source: Source) -> None:
        self.view, self.source = view, source
        self.state = read_state(source, view.uid)
        self.observed_us = source.store.now_us()
        self._graphs: dict[str, nx.MultiDiGraph[str]] = {}
        self._pictures: dict[str, str] = {}
        self._details: dict[str, str] = {}

    @cached_property
    def _batch(self) -> Batch:
        return Batch([(self.view.uid, self.state)], Wanted())

    @cached_property
    def rows(self) -> list[Row]:
        """A row for each instance, by task and number."""
        batch = self._batch
        return [self._row(batch, position) for position in range(len(batch.rows))]

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of all instances."""
        return frozenset(self._batch.names)

    @cached_property
    def parents(self) -> dict[str, str]:
        """What each replay is a replay of."""
        batch = self._batch
        return {name: row.parent for name, row in zip(batch.names, batch.rows, strict=True) if row.parent is not None}

    def _row(self, batch: Batch, position: int) -> Row:
        code = int(batch.codes[position])
        stamps = batch.stamps[position].tolist()
        started, ended = stamps[_RUNNING], stamps[_FAILED] or stamps[2 + code]
        took = (ended - started + 500) // 1000 if started and ended > started else -1
        return [batch.names[position], code, stamps[1] // 1000, took, self._fact(batch, position)]

    def _fact(self, batch: Batch, position: int) -> str:
        row, status = batch.rows[position], STATUSES[batch.codes[position]]
        if status == FAILED and row.exception_type:
            message = self.source.text(row.exception_message or "") or ""
            return cut(f"{row.exception_type.rpartition('.')[2]}: {message}", MAX_FACT)
        if status == "unstarted":
            return "waits for " + listing(batch.missing_triggers(position))
        has_logs = row.log_level >= TaskInstance.LOG_LEVEL_THRESHOLD and not row.logs_resolved
        if has_logs and status not in (ABANDONED, REPLAYED, SKIPPED):
            return f"log {logging.getLevelName(row.log_level)}, open"
        return f"replay of #{row.parent.rpartition('#')[2]}" if row.parent else ""

    @cached_property
    def situation(self) -> Situation:
        """Everything that explanations look at."""
        tasks = tasks_of(self.state)
        instances = instances_of(self.state, tasks)
        return Situation(self.source, tasks, instances, fired_of(self.state), self.state.due, self.observed_us)

    @property
    def instances(self) -> Mapping[str, TaskInstance]:
        """All instances by name."""
        return self.situation.instances

    def graph(self, level: str) -> nx.MultiDiGraph[str]:
        """The graph of tasks, or of instances."""
        if level not in self._graphs:
            self._graphs[level] = self._build_graph(level)
        return self._graphs[level]

    def _build_graph(self, level: str) -> nx.MultiDiGraph[str]:
        situation = self.situation
        if level == "task":
            return task_graph(situation.tasks, situation.instances.values(), situation.fired)
        events = (decode_event(stored.data) for stored in read_stored_events(self.source.store, self.view.uid))
        return instance_graph(situation.tasks, situation.instances.values(), read_causes(events, situation.tasks))

    def picture(self, level: str) -> str:
        """The cascade of tasks or instances, or the timeline, as SVG."""
        if level not in self._pictures:
            self._pictures[level] = self._draw(level)
        return self._pictures[level]

    def _draw(self, level: str) -> str:
        if level == "timeline":
            return timeline_svg(self.graph("instance"), title=self.view.uid, until=from_us(self.observed_us))
        return cascade_svg(self.graph(level), title=self.view.uid)

    def detail(self, name: str, redactor: Redactor) -> str:
        """The detail of an instance, as HTML; empty if there is none of that name."""
        if name in self.names and name not in self._details:
            self._details[name] = detail_html(
                self.view.uid, self.instances[name], self.situation, self.parents, redactor
            )
        return self._details.get(name, "")


class PanelLogic(SurfaceLogic):
    """The panel of one session.

    Parameters
    ----------
    session : Session
        What to show; changes are made through its workspace.

    Attributes
    ----------
    look : SessionLook
        Waits for changes of the session.
    """

    requests = ("select", "node", "level", "seek")

    def __init__(self, session: Session) -> None:
        super().__init__(session.workspace)
        self.session = session
        self.level = "task"
        #: The event whose moment is shown; None: now.
        self.at_seq: int | None = None
        self.current: str | None = None
        #: The task without an instance that is looked at instead.
        self.task = ""
        self.moment: Moment | None = None
        self._present: tuple[int, int] | None = None
        self.look = SessionLook(session.workspace.store, session.uid, None)
        self.refresh()
        self._select_first()

    # Reading ------------------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read the session again; what is shown of the past stays."""
        view = SessionView(self.source, self.session.uid)
        try:
            moment = Moment(view, self.source)
        except UnknownSession:
            self.look.seen = None
            self.moment = self.at_seq = self.current = None
            self.sheet.close()
            return
        if self.look.seen is not None and moment.state.epoch != self.look.seen[0]:
            self.at_seq = None
        self.look.seen = (moment.state.epoch, moment.state.seq)
        if self.at_seq is None or self.at_seq >= moment.state.seq:
            self.moment, self.at_seq = moment, None
        if self.current is not None and self.moment is not None and self.current not in self.moment.names:
            self.current = None
        if self.current is None and not self.task:
            self._select_first()

    def _select_first(self) -> None:
        if self.moment is None:
            return
        rows = self.moment.rows
        last = len(_URGENCY)
        best = min(rows, key=lambda row: _URGENCY.get(STATUSES[row[1]], last), default=None)
        self.current = best[0] if best else None

    @property
    def n_events(self) -> int:
        """How many events the session has, as far as it was seen."""
        return self.look.seen[1] if self.look.seen else 0

    # Doing --------------------------------------------------------------------------------------------------------

    def after(self, result: Result) -> None:
        """Select what a replay has made."""
        self.refresh()
        new = next((row.new_instance for row in result.rows if row.new_instance), None)
        if new is not None:
            self._do_select({"id": new})

    def _do_select(self, message: Mapping[str, Any]) -> None:
        name = str(message.get("id"))
        if self.moment is None or name not in self.moment.names or name == self.current:
            return
        self.current, self.task = name, ""
        if self.sheet.kind != "fire":
            self.sheet.close()

    def _do_node(self, message: Mapping[str, Any]) -> None:
        """A node of the picture: an instance is selected, a task's most urgent one, a trigger is to be fired."""
        key = str(message.get("id"))
        key = json.loads(key) if key.startswith('"') else key
        if self.moment is None:
            return
        if key in self.moment.names:
            self._do_select({"id": key})
        elif group := self.moment.situation.groups.get(key):
            last = len(_URGENCY)
            self._do_select({"id": min(group, key=lambda each: _URGENCY.get(each.status, last)).name})
        elif key in self.moment.situation.tasks:
            self.current, self.task = None, key
            self.sheet.close()
        elif not self.refusals()["fire"]:
            self.sheet.open("fire", self.targets("fire", trigger=key))

    def _do_level(self, message: Mapping[str, Any]) -> None:
        if message.get("id") not in LEVELS:
            raise ValueError(f"level {message.get('id')!r}: expected one of {', '.join(LEVELS)}")
        self.level = str(message["id"])

    def _do_seek(self, message: Mapping[str, Any]) -> None:
        """Show the session as it was after an event; the last one means now."""
        seq = message.get("seq")
        if not isinstance(seq, int):
            raise ValueError(f"event {seq!r}: expected its number")
        self.sheet.close()
        if seq >= self.n_events:
            self.at_seq = None
        else:
            past = SessionView(self.source, self.session.uid).at(seq)
            self.moment, self.at_seq = Moment(past, Source(past._source.store, self.redactor)), seq
        self.refresh()

    def targets(self, kind: str, trigger: str = "") -> Targets:
        """What an action of this kind would be done to now."""
        uid, name = self.session.uid, self.current
        if kind == "fire":
            known, keys = known_triggers(self.session, self.source)
            return Targets(
                planner=self.session.plan, selection=None, n=1, python="", known=known, keys=keys, trigger=trigger
            )
        assert name is not None
        assert self.moment is not None
        instance = self.moment.instances[name]
        triggers = tuple(sorted(instance.kwargs))
        return Targets(planner=self.session.plan, selection=name, n=1, python=f"ws[{uid!r}]", triggers=triggers)

    # Refusing -----------------------------------------------------------------------------------------------------

    def refusals(self) -> dict[str, str]:
        """Why each action cannot be taken now; empty: it can."""
        common = refusal(self.session.workspace) or self.busy() or self._own_refusal()
        if common or self.moment is None:
            return dict.fromkeys(("replay", "skip", "update", "resolve_logs", "fire"), common or "there is no session")
        instance = self.moment.instances.get(self.current or "")
        if instance is None:
            return {
                **dict.fromkeys(("replay", "skip", "update", "resolve_logs"), "no instance is selected"),
                "fire": "",
            }
        only = "only failed instances can be replayed or skipped"
        failed = "" if instance.status == FAILED else f"it is {instance.status}, and {only}"
        logs = "nobody has to look at its messages" if instance.logs_resolved else ""
        return {"replay": failed, "skip": failed, "update": "", "resolve_logs": logs, "fire": ""}

    def _own_refusal(self) -> str:
        if self.at_seq is not None:
            return f"this is the past, after event {self.at_seq}: go back to now to change something"
        try:
            if self.moment is not None:
                self.session.manager_class()
        except RegistryError as error:
            return str(error)
        return ""

    # Showing ------------------------------------------------------------------------------------------------------

    def bar(self) -> dict[str, Any]:
        """What and where: title, storage, environment, counts, and why nothing can be changed."""
        workspace = self.session.workspace
        counts = status_counts(self.moment.state.counts) if self.moment else {}
        return {
            "title": printable(shown_name(self.session.uid)),
            "about": printable(" · ".join(filter(None, [workspace.url, self._manager()]))),
            "env": printable(workspace.env or ""),
            "chips": chips(counts),
            "refused": refusal(workspace),
            "gone": self.moment is None,
        }

    def _manager(self) -> str:
        cell = self.moment.state.cells.get(HEAD) if self.moment else None
        key = getattr(decode_record(HEAD, cell.data), "manager", None) if cell else None
        return f"manager {key}" if key else ""

    def rows(self) -> list[Row]:
        """The table's rows."""
        return self.moment.rows if self.moment else []

    def picture(self) -> str:
        """The picture at the chosen level."""
        return self.moment.picture(self.level) if self.moment else ""

    def current_node(self) -> str:
        """The node of the picture that stands for what is selected."""
        name = self.current or self.task
        if not self.current:
            return name
        return name.rpartition("#")[0] if self.level == "task" else name

    def detail(self) -> str:
        """The detail of the selected instance."""
        if self.moment is None:
            return ""
        if self.task in self.moment.situation.tasks:
            return why_html(self.moment.situation.explain(self.task))
        return self.moment.detail(self.current or "", self.redactor)

    def tabs(self) -> list[dict[str, str]]:
        """The actions."""
        return tabs_of(1, "instance", self.refusals())

    def history(self) -> dict[str, Any]:
        """The slider: first and last event, the one whose moment is shown, and what happened then."""
        if self.look.seen is None:
            return {}
        first = self.source.store.first_event_seq(self.session.uid) or self.n_events
        value = self.n_events if self.at_seq is None else self.at_seq
        return {"first": first, "last": self.n_events, "value": value, "said": self._event_said(value)}

    def _event_said(self, seq: int) -> str:
        stored = next(iter(self.source.store.events(self.session.uid, after=seq - 1, limit=1)), None)
        if stored is None:
            return f"event {seq:,} of {self.n_events:,}"
        event = decode_event(stored.data)
        target = cut(next((change.target for change in event.changes if change.target), ""), 60)
        who = f" by {event.actor}" if event.actor else ""
        moment = f"{from_us(stored.at_us):%Y-%m-%d %H:%M:%S} UTC"
        return printable(f"event {seq:,} of {self.n_events:,} · {moment} · {event.action} {target}{who}")
