"""The commands that look at a storage: ``sessions``, ``failures``, ``show`` and ``lint``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from triggers_nb.errors import ConfigurationError, brief

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.workspace import Workspace

#: Columns that a terminal shows; ``--json`` has all.
SESSIONS: Final = ("session_uid", "manager", "n_instances", "failed", "n_unresolved", "last_modified_at")
GROUPS: Final = ("n_instances", "n_sessions", "n_blocked", "exception_type", "task", "sample_message", "last_seen")
INSTANCES: Final = ("instance", "status", "exception_type", "exception_message", "last_modified_at")


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


def read_configuration(path: str) -> dict[str, Any]:
    """Read a configuration from a JSON file (``-``: standard input).

    Raises
    ------
    ConfigurationError
        If it is no JSON object.
    """
    text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")
    try:
        configuration = json.loads(text)
    except ValueError as error:
        raise ConfigurationError("", "", brief(text[:80]), f"JSON ({error})") from None
    if not isinstance(configuration, dict):
        raise ConfigurationError("", "", configuration, "an object of task names and directives")
    return configuration
