"""The journal: what was executed from here, one JSON line for each step, kept on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triggers_nb.core.codec import decode_value, encode_value
from triggers_nb.errors import brief
from triggers_nb.plan.actions import Action
from triggers_nb.plan.plan import kwargs_patch
from triggers_nb.redaction import Redactor

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.plan.execution import Done

#: How a line is told from one of a later version.
VERSION = 1


def journal_path() -> Path:
    """Where this user's journal is: ``TRIGGERS_JOURNAL``, else below ``XDG_STATE_HOME`` (``~/.local/state``)."""
    named = os.environ.get("TRIGGERS_JOURNAL")
    if named:
        return Path(named).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "triggers_nb" / "journal.jsonl"


class Journal:
    """What was executed, for everybody who works with the same file.

    Lines are redacted before they reach the disk, written at once, and never changed: they survive a kernel that
    dies, and several notebooks may write at the same time.

    Parameters
    ----------
    path : Path
        The file; it is made when the first line is written.
    redactor : Redactor
        Hides secrets. Always at work here, whatever a workspace shows.
    """

    def __init__(self, path: Path, redactor: Redactor) -> None:
        self.path = path
        self.redactor = redactor

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line, as one write."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        safe = self.redactor.value(dict(line))
        data = (json.dumps({"version": VERSION, **safe}, ensure_ascii=True, default=_jsonable) + "\n").encode()
        # O_APPEND and one write: lines of several processes do not mix.
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)

    def lines(self) -> list[dict[str, Any]]:
        """Read all lines, oldest first; one that was cut off by a crash is left out."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        lines = []
        for raw in text.splitlines():
            try:
                line = json.loads(raw)
            except ValueError:
                continue
            if isinstance(line, dict) and line.get("version") == VERSION:
                lines.append(line)
        return lines

    def frame(self, url: str | None = None) -> pd.DataFrame:
        """Read the journal as a frame (`triggers_nb.plan.frames.JOURNAL`), of one storage or (None) of all."""
        from triggers_nb.core.records import to_us
        from triggers_nb.plan.frames import JOURNAL

        lines = [line for line in self.lines() if url is None or line.get("url") == url]
        columns: dict[str, list[Any]] = {name: [line.get(name) for line in lines] for name in JOURNAL.names}
        columns["at"] = [to_us(datetime.fromisoformat(line["at"])) for line in lines]
        return JOURNAL.frame(columns)

    def python(self, url: str | None = None) -> str:
        """The changes that were made, as Python that makes them again."""
        lines = [
            line for line in self.lines() if line.get("outcome") == "done" and (url is None or line.get("url") == url)
        ]
        return "\n".join(f"# {line['at']} {line.get('actor')}\n{line['python']}" for line in lines)


def journal_line(
    action: Action, row: Done, *, actor: str, env: str | None, url: str, reason: str | None, plan_id: str,
    action_id: str, redactor: Redactor,
) -> dict[str, Any]:  # fmt: skip
    """What is written for a step."""
    return {
        "at": datetime.now(UTC).isoformat(),
        "actor": actor,
        "env": env,
        "url": url,
        "session_uid": action.uid,
        "action": action.action,
        "target": action.target,
        "reason": reason,
        "outcome": row.outcome,
        "error": row.error,
        "new_instance": row.new_instance,
        "seq": row.seq,
        "plan_id": plan_id,
        "action_id": action_id,
        "python": python_line(action, reason, redactor),
    }


def python_line(action: Action, reason: str | None, redactor: Redactor | None = None) -> str:
    """The line of Python that makes a change: kwargs as a patch, secrets redacted."""
    arguments = {key: value for key, value in _arguments(action).items() if value not in (None, False)}
    if redactor is not None:
        arguments = {key: redactor.value(value, key) for key, value in arguments.items()}
    if reason is not None:
        arguments["reason"] = redactor.text(reason) if redactor is not None else reason
    parts = [repr(action.target)] if action.target else []
    if "status" in arguments:
        parts.append(repr(arguments.pop("status")))
    parts += [f"{key}={value!r}" for key, value in arguments.items()]
    return f"ws[{action.uid!r}].{action.action}({', '.join(parts)})"


def _arguments(action: Action) -> dict[str, Any]:
    if action.action != "replay":
        return action.arguments
    new = action.arguments["kwargs"]
    patch = kwargs_patch(action)
    if new is None or patch is None:
        return {}
    # A merge only adds and replaces: what goes needs the whole.
    return {"kwargs": new} if _removes(patch, new) else {"merge_kwargs": patch}


def _removes(patch: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    for key, value in patch.items():
        if key not in new:
            return True
        if isinstance(value, Mapping) and isinstance(new[key], Mapping) and _removes(value, new[key]):
            return True
    return False


def _jsonable(value: object) -> Any:
    """Values that JSON has no form for, in a form that a person reads."""
    try:
        return repr(decode_value(encode_value(value)))
    except Exception:
        return brief(value)
