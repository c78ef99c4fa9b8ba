"""What a step changes, as a patch: what its representations and the journal say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from triggers_nb.core.codec import encode_value
from triggers_nb.plan.actions import Action


def kwargs_patch(action: Action) -> Mapping[str, Any] | None:
    """What a replay changes in its instance's kwargs, as a merge patch (None values remove); None if nothing."""
    new = action.arguments.get("kwargs")
    if action.action != "replay" or new is None:
        return None
    return difference(action.stored_kwargs or {}, new) or None


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What changes from one mapping to another: new values by key, deeply; None for a key that goes.

    >>> difference({"go": {"plane": None, "n": 1}}, {"go": {"plane": "N1", "n": 1}})
    {'go': {'plane': 'N1'}}
    """
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            inner = difference(old, value)
            if inner:
                patch[key] = inner
        elif key not in before or old != value or type(old) is not type(value):
            patch[key] = value
    return patch


def removes(patch: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether a patch takes something away, which a merge cannot do."""
    for key, value in patch.items():
        if key not in new:
            return True
        if isinstance(value, dict) and isinstance(new[key], dict) and removes(value, new[key]):
            return True
    return False


def said_arguments(action: Action) -> dict[str, Any]:
    """What a step is given, as far as it says something; a replay's kwargs as a patch.

    A replay whose patch takes something away is said with all of its kwargs.
    """
    if action.action != "replay":
        return {key: value for key, value in action.arguments.items() if value not in (None, False)}
    new, patch = action.arguments["kwargs"], kwargs_patch(action)
    if new is None or patch is None:
        return {}
    return {"kwargs": new} if removes(patch, new) else {"merge_kwargs": patch}


def own_changes(action: Action) -> Mapping[str, Any]:
    """What may differ from one step of a plan to the next."""
    if action.action == "replay":
        return kwargs_patch(action) or {}
    given = {key: value for key, value in action.arguments.items() if key in DICTS and value}
    return given if action.action == "update_status" else next(iter(given.values()), {})


#: Arguments that may be given for each target.
DICTS = frozenset({"kwargs", "result", "metadata", "cascade_kwargs"})


def count_changes(actions: Iterable[Action]) -> list[tuple[dict[str, Any], int]]:
    """Distinct changes and how often each occurs, the commonest first."""
    found: dict[bytes, tuple[dict[str, Any], int]] = {}
    for action in actions:
        patch = dict(own_changes(action))
        if patch:
            key = encode_value(patch)
            found[key] = (patch, found.get(key, (patch, 0))[1] + 1)
    return sorted(found.values(), key=lambda pair: -pair[1])
