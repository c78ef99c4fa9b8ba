"""One action on its way: a form, the plan it makes, the preview, one execution."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from triggers_nb.core.status import BY_HAND
from triggers_nb.errors import PlanUsed, TriggersError, suggest
from triggers_nb.journal import python_line
from triggers_nb.notebook.patches import JsonProblem, Patch, parse_object, parse_patch
from triggers_nb.notebook.previews import difference_html, not_simulated, preview_html
from triggers_nb.notebook.runs import Executed, Run
from triggers_nb.plan.builders import SessionPlanner
from triggers_nb.redaction import Redactor
from triggers_nb.render.wording import escaped, listing, plural

if TYPE_CHECKING:
    from triggers_nb.plan.plan import Plan
    from triggers_nb.workspace import Workspace

#: The actions, in the order of their tabs, and what the tabs say.
ACTIONS: Final = {
    "replay": "Replay",
    "skip": "Skip",
    "update": "Update",
    "resolve_logs": "Resolve logs",
    "fire": "Fire…",
}

#: More targets than this are previewed when asked, not as one types.
MAX_TYPED: Final = 1000

Form = Mapping[str, Any]


class Targets(msgspec.Struct, frozen=True, kw_only=True):
    """What an action is done to."""

    #: ``s.plan`` or ``ws.plan``.
    planner: Any
    #: An instance's name, or a frame of several; None for a firing.
    selection: Any
    n: int
    #: The same as Python.
    python: str
    #: Columns whose values a patch may take.
    columns: tuple[str, ...] = ()
    #: Names of triggers whose kwargs the instances hold.
    triggers: tuple[str, ...] = ()
    #: Known triggers and what each releases, for a firing.
    known: Mapping[str, str] = {}
    #: Keys of the latest kwargs of each trigger.
    keys: Mapping[str, Sequence[str]] = {}
    #: The trigger that was pointed at.
    trigger: str = ""


class Incomplete(ValueError):
    """Raised while a form does not say yet what is to be done."""


class Sheet:
    """The action that is being prepared, if any.

    Parameters
    ----------
    workspace : Workspace
        What plans are executed on.
    redactor : Redactor
        Hides secrets in whatever is shown.
    """

    def __init__(self, workspace: Workspace, redactor: Redactor) -> None:
        self.workspace, self.redactor = workspace, redactor
        self.kind = ""
        self.targets: Targets | None = None
        self.form: dict[str, Any] = {}
        self.plan: Plan | None = None
        self.problem: Exception | None = None
        self.warning = self.hint = ""
        self._preview = self._difference = ""
        self._hooks: list[str] = []
        #: The execution that is under way: until it is over, the sheet stays as it is.
        self.run: Run | None = None
        #: Distinguishes sheets, so that a front end knows when to make its form anew.
        self.number = 0

    def open(self, kind: str, targets: Targets) -> None:
        """Begin an action.

        Raises
        ------
        ValueError
            If there is no such action.
        """
        if kind not in ACTIONS:
            raise ValueError(f"action {kind!r}: expected one of {', '.join(ACTIONS)}")
        self.close()
        self.kind, self.targets = kind, targets
        self.form = {field["name"]: field["value"] for field in fields_of(kind, targets)}
        if targets.n <= MAX_TYPED:
            self.update(self.form)

    def retarget(self, targets: Targets) -> None:
        """Aim the open action at other targets; what was typed stays."""
        if self.run is not None:
            return
        self.targets = targets
        self.update(self.form)

    def close(self) -> None:
        """Put the action away."""
        if self.run is not None:
            return
        self.number += 1
        self.kind, self.targets, self.form = "", None, {}
        self._forget()

    def update(self, form: Form) -> None:
        """Make the plan that the form describes, and try it out. What is wrong with it becomes `problem`."""
        if self.run is not None:
            return
        assert self.targets is not None
        self._forget()
        self.form = {**self.form, **form}
        try:
            plan = make_plan(self.kind, self.targets, self.form)
            frame = plan.preview(hooks=bool(self.form.get("hooks")))
        except Incomplete as error:
            self.hint = str(error)
            return
        except (TriggersError, ValueError, TypeError) as error:
            self.problem = error
            return
        self._preview, self._hooks = preview_html(frame), not_simulated(frame)
        self._difference = difference_html(plan, self.redactor.value) if self.kind == "replay" else ""
        self.warning = self._warn()
        self.plan = plan

    def begin(self, plan_id: str, form: Form, reason: str, confirm: str) -> Run:
        """Begin to execute the plan that was previewed, once; `finish` has to follow.

        Raises
        ------
        PlanUsed
            If that plan is not the one that is shown (any more), or the form was changed since.
        """
        plan = self.plan
        if plan is None or plan.plan_id != plan_id or self.run is not None:
            raise PlanUsed("this plan is not the one that is shown any more: nothing was done")
        if any(self.form.get(name) != value for name, value in form.items()):
            raise PlanUsed("the form has been changed since the preview: nothing was done. Preview it again")
        python = self._python(reason or None, confirm or None)
        self.run = Run(plan, python, reason, confirm, self.redactor)
        return self.run

    def finish(self, run: Run) -> Executed:
        """Put the action away, now that it is done.

        Raises
        ------
        ReadOnlyError, ConfirmationRequired
            If the workspace does not allow it. The plan can still be executed.
        """
        self.run = None
        executed = run.executed()
        self.close()
        return executed

    def state(self) -> dict[str, Any]:
        """What the front end shows; empty if no action is open."""
        if self.targets is None:
            return {}
        plan = self.plan
        return {
            "number": self.number,
            "kind": self.kind,
            "fields": fields_of(self.kind, self.targets),
            "plan_id": plan.plan_id if plan else "",
            "button": plan.title.replace(" in 1 session", "") if plan and len(plan) else "",
            "confirm": self.workspace.access.phrase if plan and plan.needs_confirmation else "",
            "difference": self._difference,
            "preview": self._preview,
            "hooks": [escaped(hook) for hook in self._hooks],
            "with_hooks": bool(self.form.get("hooks")),
            "warning": self.warning,
            "hint": self.hint,
            "problem": self._problem_state(),
            "typed": self.targets.n <= MAX_TYPED,
        }

    def _forget(self) -> None:
        self.plan, self.problem = None, None
        self.warning = self.hint = ""
        self._preview = self._difference = ""
        self._hooks = []

    def _problem_state(self) -> dict[str, Any]:
        if self.problem is None:
            return {}
        position: dict[str, Any] = {}
        if isinstance(self.problem, JsonProblem):
            problem = self.problem
            position = {"field": problem.field, "line": problem.line, "column": problem.column}
        return {"text": said_error(self.problem, self.redactor), **position}

    def _warn(self) -> str:
        targets = self.targets
        if self.kind != "fire" or targets is None or self.form["trigger"] in targets.known:
            return ""
        name = str(self.form["trigger"])
        return f"No task of this session waits for {name!r}{suggest(name, targets.known)}"

    def _python(self, reason: str | None, confirm: str | None) -> str:
        """The line that does the same, redacted; a confirmation that was asked for is part of it."""
        plan, targets = self.plan, self.targets
        assert plan is not None
        assert targets is not None
        confirmed = f"confirm={confirm!r}" if confirm and plan.needs_confirmation else ""
        if isinstance(targets.planner, SessionPlanner) and len(plan) == 1:
            line = python_line(plan.actions[0], reason, self.redactor)
            return line[:-1] + f", {confirmed})" if confirmed else line
        given = f", {arguments}" if (arguments := self._arguments()) else ""
        ends = [f"reason={self.redactor.text(reason)!r}"] if reason else []
        ends += [confirmed] if confirmed else []
        method = {"update": "update_status" if self.form.get("status") else "update_metadata"}.get(self.kind, self.kind)
        return f"ws.plan.{method}({targets.python}{given}).execute({', '.join(ends)})"

    def _arguments(self) -> str:
        form, show, targets = self.form, self.redactor.value, self.targets
        assert targets is not None
        if self.kind == "replay":
            patch = parse_patch(form["patch"], targets.columns)
            return f"merge_kwargs={patch.python(show)}" if patch.value else ""
        given: dict[str, Any] = {}
        if self.kind == "fire":
            trigger = repr(str(form["trigger"]).strip())
            given = {"kwargs": parse_object(form["kwargs"]), "once": form["once"]}
            return ", ".join([trigger, *(f"{key}={show(value)!r}" for key, value in given.items() if value)])
        if self.kind == "skip":
            given = {"cascade": form["cascade"], "result": parse_object(form["result"])}
        if self.kind == "update":
            given = {"status": form["status"], "metadata": parse_object(form["metadata"])}
            given |= {"cascade": form["cascade"], "cascade_kwargs": parse_object(form["cascade_kwargs"])}
        return ", ".join(f"{key}={show(value)!r}" for key, value in given.items() if value)


def said_error(error: BaseException, redactor: Redactor) -> str:
    """An error as text that may be shown."""
    name = "" if isinstance(error, JsonProblem) else f"{type(error).__name__}: "
    return redactor.text(f"{name}{error}")


def make_plan(kind: str, targets: Targets, form: Form) -> Plan:
    """Make the plan that a form describes.

    Raises
    ------
    JsonProblem
        If what was typed is no JSON; its attribute ``field`` says where.
    TriggersError, ValueError, TypeError
        If such a plan cannot be made.
    """
    plan: Plan = _MAKERS[kind](targets, form)
    return plan


def _replay(targets: Targets, form: Form) -> Any:
    patch: Patch = _parse("patch", lambda: parse_patch(form["patch"], targets.columns))
    return targets.planner.replay(targets.selection, merge_kwargs=patch.argument)


def _skip(targets: Targets, form: Form) -> Any:
    result = _object(form, "result")
    return targets.planner.skip(targets.selection, cascade=bool(form["cascade"]), result=result)


def _update(targets: Targets, form: Form) -> Any:
    metadata, kwargs = _object(form, "metadata"), _object(form, "cascade_kwargs")
    if not form["status"]:
        if not metadata:
            raise Incomplete("Choose a status, or type metadata that is to be merged into the stored one.")
        return targets.planner.update_metadata(targets.selection, metadata)
    return targets.planner.update_status(
        targets.selection, form["status"], metadata, cascade=bool(form["cascade"]), cascade_kwargs=kwargs
    )


def _resolve_logs(targets: Targets, form: Form) -> Any:
    return targets.planner.resolve_logs(targets.selection)


def _fire(targets: Targets, form: Form) -> Any:
    name = str(form["trigger"]).strip()
    if not name:
        raise Incomplete("Choose a trigger, or type its name.")
    where = () if targets.selection is None else (targets.selection,)
    return targets.planner.fire(*where, name, _object(form, "kwargs"), once=bool(form["once"]))


_MAKERS: Final[dict[str, Callable[[Targets, Form], Any]]] = {
    "replay": _replay,
    "skip": _skip,
    "update": _update,
    "resolve_logs": _resolve_logs,
    "fire": _fire,
}


def _object(form: Form, field: str) -> dict[str, Any] | None:
    value: dict[str, Any] = _parse(field, lambda: parse_object(str(form[field])))
    return value or None


def _parse(field: str, parse: Callable[[], Any]) -> Any:
    try:
        return parse()
    except JsonProblem as problem:
        problem.field = field
        raise


def fields_of(kind: str, targets: Targets) -> list[dict[str, Any]]:
    """Return the fields of an action's form: name, kind, label, first value, and what else its kind needs."""
    return _FIELDS[kind](targets)


def _replay_fields(targets: Targets) -> list[dict[str, Any]]:
    hint = "merged into the stored kwargs"
    if targets.columns:
        hint += f"; {{{{column}}}} takes each row's value: {listing(targets.columns, 6)}"
    skeleton = f'{{"{targets.triggers[0]}": {{}}}}' if len(targets.triggers) == 1 else "{}"
    return [_json("patch", "patch (JSON)", value=skeleton, hint=hint)]


def _skip_fields(targets: Targets) -> list[dict[str, Any]]:
    return [
        _check("cascade", "cascade: fire the task as if it had finished"),
        _json("result", "result (JSON): kwargs of that firing", shown_if="cascade"),
    ]


def _update_fields(targets: Targets) -> list[dict[str, Any]]:
    status = {"name": "status", "kind": "select", "label": "status", "value": ""}
    return [
        {**status, "options": [["", "leave as it is"], *([name, name] for name in sorted(BY_HAND))]},
        _json("metadata", "metadata (JSON)", hint="merged into the stored metadata"),
        _check("cascade", "cascade: fire the task as if it had finished", shown_if="status"),
        _json("cascade_kwargs", "kwargs of that firing (JSON)", shown_if="cascade"),
    ]


def _fire_fields(targets: Targets) -> list[dict[str, Any]]:
    trigger = {"name": "trigger", "kind": "trigger", "label": "trigger", "value": targets.trigger}
    options = [[name, released, list(targets.keys.get(name, ()))] for name, released in targets.known.items()]
    return [
        {**trigger, "options": options},
        _json("kwargs", "kwargs (JSON)"),
        _check("once", "only if it has not fired yet"),
    ]


def _no_fields(targets: Targets) -> list[dict[str, Any]]:
    return []


_FIELDS: Final[dict[str, Callable[[Targets], list[dict[str, Any]]]]] = {
    "replay": _replay_fields,
    "skip": _skip_fields,
    "update": _update_fields,
    "resolve_logs": _no_fields,
    "fire": _fire_fields,
}


def _json(name: str, label: str, *, value: str = "", hint: str = "", shown_if: str = "") -> dict[str, Any]:
    return {"name": name, "kind": "json", "label": label, "value": value, "hint": hint, "shown_if": shown_if}


def _check(name: str, label: str, *, shown_if: str = "") -> dict[str, Any]:
    return {"name": name, "kind": "check", "label": label, "value": False, "shown_if": shown_if}


def tabs_of(n: int, noun: str, refusals: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the tabs: action, words, and why it cannot be taken (empty: it can)."""
    many = f" {n:,}" if n > 1 else ""
    words = {kind: word if kind == "fire" else word + many for kind, word in ACTIONS.items()}
    return [
        {"kind": kind, "label": words[kind], "title": plural(n, noun), "refused": refusals[kind]}
        for kind in ACTIONS
        if kind in refusals
    ]
