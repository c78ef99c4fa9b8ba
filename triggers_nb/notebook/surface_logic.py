"""What the panel of a session and the triage of a fleet have in common, without a front end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from triggers_nb.analysis.reading import Source
from triggers_nb.notebook.runs import Executed, Run
from triggers_nb.notebook.sheets import ACTIONS, Sheet, Targets
from triggers_nb.redaction import Redactor
from triggers_nb.render.wording import listing
from triggers_nb.session_views import SessionView

if TYPE_CHECKING:
    from triggers_nb.plan.execution import Result
    from triggers_nb.session import Session
    from triggers_nb.workspace import Workspace

#: Triggers whose consequences are tried out for the list of what can be fired.
MAX_TRIED: Final = 40

_NOTHING: Final = "releases nothing now"


class SurfaceLogic:
    """Takes what the user does (`handle`), and says what is to be seen.

    Parameters
    ----------
    workspace : Workspace
        Where sessions are read, and changed. Whatever is shown is redacted, even if the workspace does not redact:
        a widget's state is saved in the notebook.

    Attributes
    ----------
    sheet : Sheet
        The action that is being prepared.
    executed : Executed or None
        The last action.
    """

    #: What can be asked for, besides what all surfaces know.
    requests: ClassVar[Sequence[str]] = ()

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.redactor = workspace._source.redactor or Redactor.from_environment()
        self.source = Source(workspace.store, self.redactor)
        self.sheet = Sheet(workspace, self.redactor)
        self.executed: Executed | None = None

    def handle(self, message: Mapping[str, Any]) -> None:
        """Do what the user asked for; whatever goes wrong is raised.

        Raises
        ------
        ValueError
            If there is no such request.
        """
        request = str(message.get("do"))
        if request not in (*self.requests, "open", "form", "execute", "stop", "cancel"):
            raise ValueError(f"no request {request!r}")
        getattr(self, f"_do_{request}")(message)

    def refresh(self) -> None:
        """Read again what is shown."""
        raise NotImplementedError

    def refusals(self) -> dict[str, str]:
        """Why each action cannot be taken now; empty: it can."""
        raise NotImplementedError

    def targets(self, kind: str, trigger: str = "") -> Targets:
        """What an action of this kind would be done to now."""
        raise NotImplementedError

    def after(self, result: Result) -> None:
        """Look at what an action has done."""
        self.refresh()

    def _do_open(self, message: Mapping[str, Any]) -> None:
        kind = str(message.get("id"))
        if self.sheet.kind == kind:
            return  # the second of two clicks
        self._refuse(kind)
        self.sheet.open(kind, self.targets(kind))

    def _do_form(self, message: Mapping[str, Any]) -> None:
        if message.get("number") == self.sheet.number and self.sheet.kind and self.sheet.run is None:
            self._refuse(self.sheet.kind)
            self.sheet.update(message["form"])

    def _do_execute(self, message: Mapping[str, Any]) -> None:
        run = self.begin(message)
        if run is not None:
            self.carry_out(run)

    def carry_out(self, run: Run) -> None:
        """Do it here and now; what interrupts it leaves nothing under way."""
        try:
            run.execute()
        finally:
            self.sheet.run = None
        self.finish(run)

    def begin(self, message: Mapping[str, Any]) -> Run | None:
        """Begin to execute the plan that is shown; None for a second click on what has been done, or is shown no more.

        Raises
        ------
        ValueError, PlanUsed, ReadOnlyError
            If it cannot be executed now.
        """
        plan = self.sheet.plan
        if self.sheet.run is not None or plan is None or plan.plan_id != message.get("plan_id"):
            return None
        self._refuse(self.sheet.kind)
        form, reason, confirm = message.get("form", {}), message.get("reason", ""), message.get("confirm", "")
        return self.sheet.begin(plan.plan_id, form, str(reason), str(confirm))

    def finish(self, run: Run) -> None:
        """Note what has become of an execution, and raise what it has raised."""
        self.executed = self.sheet.finish(run)
        assert run.result is not None
        self.after(run.result)
        for error in run.result.errors:
            raise error

    def _do_stop(self, message: Mapping[str, Any]) -> None:
        if self.sheet.run is not None:
            self.sheet.run.stop()

    def busy(self) -> str:
        """Why no other action can be taken while one is under way; empty: none is."""
        return "an action is under way: wait for its end, or stop it" if self.sheet.run is not None else ""

    def _do_cancel(self, message: Mapping[str, Any]) -> None:
        self.sheet.close()

    def _refuse(self, kind: str) -> None:
        """Raise if an action cannot be taken, whatever the front end believes."""
        if kind not in ACTIONS:
            raise ValueError(f"action {kind!r}: expected one of {', '.join(ACTIONS)}")
        reason = self.refusals().get(kind, "")
        if reason:
            self.sheet.close()
            if refusal(self.workspace):
                self.workspace.access.refuse()
            raise ValueError(f"{ACTIONS[kind].rstrip('…')}: {reason}; nothing was changed")


def refusal(workspace: Workspace) -> str:
    """Why nothing can be changed in a workspace; empty if it can."""
    access = workspace.access
    if access.permit is not None:
        return "the block of ws.writable(…) is over" if access.permit.is_over else ""
    if access.mode != "read-write":
        return 'read-only: connect with mode="read-write" to change something'
    return ""


def known_triggers(session: Session, source: Source) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Return a session's triggers with what each would release, and the keys of the latest kwargs of each."""
    frame = SessionView(source, session.uid).triggers(payloads=True)
    order = {"external": 0, "cascade": 1, "unknown": 2}
    rows = sorted(frame.to_dict("records"), key=lambda row: (order.get(row["kind"], 3), row["trigger"]))
    known: dict[str, str] = {}
    keys: dict[str, tuple[str, ...]] = {}
    for number, row in enumerate(rows):
        name = str(row["trigger"])
        known[name] = _released(session, name) if number < MAX_TRIED else f"used by {listing(row['used_by'])}"
        if isinstance(row["payload"], Mapping):
            keys[name] = tuple(map(str, row["payload"]))
    # What releases something comes first.
    return dict(sorted(known.items(), key=lambda pair: pair[1] == _NOTHING)), keys


def _released(session: Session, trigger: str) -> str:
    frame = session.plan.fire(trigger).preview(max_steps=1)
    certain = frame[(frame["certainty"] == "certain") & (frame["to_status"] == "scheduled")]
    names = list(dict.fromkeys(certain["target"]))
    return "releases " + listing(names, 4) if names else _NOTHING
