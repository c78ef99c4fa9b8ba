"""What is assumed of the instances that a preview runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import InvalidValue, brief

#: How an instance ends: with a result, or with an exception.
Outcome = Mapping[str, Any] | BaseException
#: Outcomes by instance's name, by ``(session_uid, name)``, or by task.
Outcomes = Mapping[Any, Outcome]


class Assumptions:
    """Which outcome each instance has, and which of them were of use.

    Parameters
    ----------
    outcomes : mapping
        By ``(session_uid, name)``, name, or task; the first of these that is there counts.

    Raises
    ------
    InvalidValue
        If an outcome is neither a mapping nor an exception.
    TypeError
        If they are no mapping.
    """

    def __init__(self, outcomes: Outcomes) -> None:
        if not isinstance(outcomes, Mapping):
            raise TypeError(f"outcomes={brief(outcomes)}: expected a mapping of names to outcomes")
        for key, outcome in outcomes.items():
            if not isinstance(outcome, (Mapping, BaseException)):
                raise InvalidValue(f"outcomes[{key!r}]", outcome, "expected a result (a mapping) or an exception")
        self._outcomes = dict(outcomes)
        self._used: set[Any] = set()

    def of(self, uid: str, instance: TaskInstance) -> Outcome | None:
        """Return the outcome of an instance; None: it succeeds, with a result that nobody knows."""
        for key in ((uid, instance.name), instance.name, instance.config.name):
            if key in self._outcomes:
                self._used.add(key)
                return self._outcomes[key]
        return None

    def unused(self) -> list[Any]:
        """Keys that no instance had."""
        return [key for key in self._outcomes if key not in self._used]
