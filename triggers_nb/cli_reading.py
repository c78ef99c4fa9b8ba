"""The commands that look at a storage: ``sessions``, ``failures``, ``show`` and ``lint``."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from triggers_nb.errors import ConfigurationError, TriggersError, brief

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.analysis.lint import Finding
    from triggers_nb.workspace import Workspace

#: Columns that a terminal shows; ``--json`` has all.
SESSIONS: Final = ("session_uid", "manager", "n_instances", "failed", "n_unresolved", "last_modified_at")
GROUPS: Final = ("n_instances", "n_sessions", "n_blocked", "exception_type", "task", "sample_message", "last_seen")
INSTANCES: Final = ("instance", "status", "exception_type", "exception_message", "last_modified_at")


class BadInput(TriggersError):
    """Raised for an argument, or a file that it names, of which nothing can be made."""


def open_workspace(args: argparse.Namespace) -> Workspace:
    """Open the storage to look at it: nothing is changed, and nothing is made that is not there."""
    from triggers_nb.workspace import connect

    return connect(args.url, mode="read-only")


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame as JSON has them: None for what is missing, moments in ISO format."""
    found: list[dict[str, Any]] = json.loads(frame.to_json(orient="records", date_format="iso", date_unit="us"))
    return found


def rows(frame: pd.DataFrame, columns: tuple[str, ...]) -> list[list[object]]:
    """The rows of some columns as a terminal shows them."""
    import pandas as pd

    return [
        [None if pd.isna(cell) else _shown(cell) for cell in row]
        for row in frame[list(columns)].itertuples(index=False)
    ]


def _shown(cell: Any) -> object:
    from triggers_nb.render.wording import printable

    if hasattr(cell, "strftime"):
        return cell.strftime("%Y-%m-%d %H:%M:%S UTC")
    return printable(cell) if isinstance(cell, str) else int(cell)


class _Object(dict[str, Any]):
    """An object of a JSON file, of which it is known what stands in it more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]


def read_configuration(path: str) -> tuple[dict[str, Any], list[Finding]]:
    """Read a configuration from a JSON file (``-``: standard input), and find what stands in it more than once.

    Raises
    ------
    BadInput
        If the file cannot be read as JSON.
    ConfigurationError
        If it is no object.
    """
    try:
        text = (sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()).decode()
        configuration, marked = json.loads(text), json.loads(text, object_pairs_hook=_Object)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: expected JSON in UTF-8: {error}") from None
    except RecursionError:
        raise BadInput(f"{path}: too many objects and lists in one another; a configuration needs a few") from None
    if not isinstance(configuration, dict):
        raise ConfigurationError("", "", brief(configuration), "an object of task names and directives")
    return configuration, list(_find_repeated(marked))


def _find_repeated(configuration: _Object) -> Iterator[Finding]:
    from triggers_nb.analysis.lint import ERROR, Finding

    def finding(task: str, name: str, where: str) -> Finding:
        message = f"{name!r} stands {where} more than once: only the last one counts"
        return Finding(severity=ERROR, code="duplicate", task=task, names=(name,), message=message)

    for task in configuration.repeated:
        yield finding(task, task, "in the file")
    for task, directives in configuration.items():
        for name in _repeated_within(directives):
            yield finding(task, name, f"in task {task!r}")


def _repeated_within(value: Any) -> Iterator[str]:
    if isinstance(value, _Object):
        yield from value.repeated
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _repeated_within(each)
