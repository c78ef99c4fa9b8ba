"""What a plan, and its result, say of themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from triggers_nb.plan.actions import Action
from triggers_nb.plan.patches import DICTS, count_changes
from triggers_nb.render.plans import MAX_LISTED, Facts, facts_html, facts_text
from triggers_nb.render.wording import listing, plural

if TYPE_CHECKING:
    from triggers_nb.workspace import Workspace

#: How each action is called in a title, and what it is done to.
_TITLES: dict[str, tuple[str, str | None]] = {
    "fire": ("Fire", "trigger"),
    "replay": ("Replay", "instance"),
    "skip": ("Skip", "instance"),
    "update_status": ("Change the status of", "instance"),
    "update_metadata": ("Change the metadata of", "instance"),
    "resolve_logs": ("Resolve the logs of", "instance"),
    "configure": ("Change the configuration", None),
}

#: In what the steps of a plan differ, where that is not kwargs.
_DIFFERING = {"skip": "results", "update_status": "arguments", "update_metadata": "metadata"}


class Described:
    """What shows itself, in a notebook and elsewhere, by its facts."""

    def facts(self) -> Facts:
        """What its representations say, redacted as the workspace is."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return facts_text(self.facts())

    def _repr_html_(self) -> str:
        return facts_html(self.facts())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._repr_html_()}


def title_of(actions: Sequence[Action]) -> str:
    """What is done, to how many: ``Replay 130 instances in 116 sessions``."""
    if not actions:
        return "Nothing to do: the selection is empty"
    verb, noun = _TITLES[actions[0].action]
    where = f" in {plural(len({action.uid for action in actions}), 'session')}"
    if noun is None:
        return f"{verb}{where}"
    if noun == "trigger":
        return f"{verb} {listing([repr(each) for each in dict.fromkeys(action.target for action in actions)])}{where}"
    return f"{verb} {plural(len(actions), noun)}{where}"


def facts_of(actions: Sequence[Action], workspace: Workspace, *, way: str | None) -> Facts:
    """What the representations of a plan say, redacted as the workspace is.

    Parameters
    ----------
    actions : sequence of Action
        Its steps.
    workspace : Workspace
        Where it was made.
    way : str or None
        How it is executed; None: it has been.
    """
    patches = [(repr(workspace.shown(patch)), n) for patch, n in count_changes(actions)]
    return Facts(
        title=title_of(actions),
        url=workspace.url,
        env=workspace.env,
        notes=_notes(actions, way),
        rows=[(action.uid, action.target, _what(action)) for action in actions[:MAX_LISTED]],
        n_rows=len(actions),
        patches=patches,
        differing=_DIFFERING.get(actions[0].action, "kwargs") if actions else "kwargs",
    )


def _notes(actions: Sequence[Action], way: str | None) -> list[str]:
    if not actions:
        return []
    common = list({", ".join(_common(action)): None for action in actions})
    notes = common if len(common) == 1 and common[0] else []
    if way is None:
        return [*notes, "This plan has been executed."]
    return [*notes, f"Nothing is changed yet: .preview() shows what would happen, {way} does it."]


def _what(action: Action) -> str:
    """What becomes of a target, in the fewest words."""
    after = {"replay": "replayed", "skip": "skipped", "update_status": action.arguments.get("status")}.get(
        action.action
    )
    return f"{action.from_status} → {after}" if after and action.from_status else action.action.replace("_", " ")


def _common(action: Action) -> list[str]:
    """Arguments that are the same for all targets, those that say something."""
    if action.action == "configure":
        return [f"tasks: {listing(sorted(action.arguments['configuration']), MAX_LISTED)}"]
    return [
        f"{key}={value!r}" for key, value in action.arguments.items() if value not in (None, False) and key not in DICTS
    ]
