"""The journal: what was executed from here, one JSON line for each step, kept on disk."""

from __future__ import annotations

import fcntl
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from triggers_nb.analysis.reading import caller_level
from triggers_nb.errors import StorageError, UnreadableJournal
from triggers_nb.plan.actions import Action
from triggers_nb.plan.patches import said_arguments
from triggers_nb.redaction import Redactor

if TYPE_CHECKING:
    import pandas as pd

    from triggers_nb.plan.execution import Done

#: How a line is told from one of a later version.
VERSION: Final = 1

#: The environment variable that names the file.
PATH_VARIABLE: Final = "TRIGGERS_JOURNAL"


#: How many unreadable lines a warning names.
MAX_NAMED: Final = 5


class JournalError(StorageError):
    """Raised when the journal cannot be read; and before anything is changed when it cannot be written."""


class UnwrittenStep(JournalError):
    """What went wrong with a step that was executed, and is missing from the journal."""


def journal_path() -> Path:
    """Where this user's journal is: ``TRIGGERS_JOURNAL``, else below ``XDG_STATE_HOME`` (``~/.local/state``)."""
    named = os.environ.get(PATH_VARIABLE)
    if named:
        return Path(named).expanduser()
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "triggers_nb" / "journal.jsonl"


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """What a line has to hold; it is read as a dict all the same."""

    version: Literal[1]
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    actor: str | None
    env: str | None
    url: str
    reason: str | None
    plan_id: str
    action_id: str
    session_uid: str
    action: str
    target: str
    outcome: str
    error: str | None
    new_instance: str | None
    seq: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None
    python: str


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

    @contextmanager
    def writer(self, about: Mapping[str, str | None]) -> Iterator[JournalWriter]:
        """Open the journal for the lines of one execution, of which they all say this.

        Raises
        ------
        JournalError
            If it cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} cannot be written ({error.strerror}), so nothing was changed: set "
                f"{PATH_VARIABLE} to a file that can be"
            ) from error
        try:
            yield JournalWriter(descriptor, self.redactor, about)
        finally:
            os.close(descriptor)

    def lines(self, url: str | None = None) -> list[dict[str, Any]]:
        """Read the lines of one storage, or (None) of all, oldest first.

        Raises
        ------
        JournalError
            If there is something of that name that cannot be read.

        Warns
        -----
        UnreadableJournal
            If lines were left out, because a crash has cut them off, or they are damaged or of a newer version.
        """
        lines: list[dict[str, Any]] = []
        bad: list[str] = []
        for number, raw in enumerate(self._read().split(b"\n"), 1):
            if not raw.strip():
                continue
            try:
                line = json.loads(raw)
                msgspec.convert(line, _Line)
            except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
                bad.append(f"line {number:,} ({getattr(error, 'msg', error)})")
                continue
            if url is None or line["url"] == url:
                lines.append(line)
        if bad:
            self._warn(bad)
        return lines

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file, _locked(file.fileno(), fcntl.LOCK_SH):
                return file.read()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} cannot be read ({error.strerror}): set {PATH_VARIABLE} to the file that it is"
            ) from error

    def _warn(self, bad: Sequence[str]) -> None:
        more = f" and {len(bad) - MAX_NAMED:,} more" if len(bad) > MAX_NAMED else ""
        warnings.warn(
            f"the journal {self.path} holds what cannot be read, which is left out: {', '.join(bad[:MAX_NAMED])}{more}",
            UnreadableJournal,
            stacklevel=caller_level(),
        )

    def frame(self, url: str | None = None) -> pd.DataFrame:
        """Read the journal as a frame (`triggers_nb.plan.frames.JOURNAL`), of one storage or (None) of all."""
        from triggers_nb.core.records import to_us
        from triggers_nb.plan.frames import JOURNAL

        lines = self.lines(url)
        columns: dict[str, list[Any]] = {name: [line[name] for line in lines] for name in JOURNAL.names}
        columns["at"] = [to_us(datetime.fromisoformat(line["at"])) for line in lines]
        return JOURNAL.frame(columns)

    def python(self, url: str | None = None) -> str:
        """The changes that were made, as Python that makes them again in a workspace ``ws``."""
        lines = [line for line in self.lines(url) if line["outcome"] == "done"]
        code = "\n".join(f"# {line['at']} {_one_line(line['actor'])}\n{line['python']}" for line in lines)
        needed = [statement for word, statement in _IMPORTS.items() if f"{word}(" in code or f"{word}." in code]
        return "\n".join([*needed, code]) if lines else ""


#: What the values of kwargs are written with.
_IMPORTS: Final = {
    "datetime": "import datetime",
    "Decimal": "from decimal import Decimal",
    "UUID": "from uuid import UUID",
}


class JournalWriter:
    """Appends lines to a journal; made by `Journal.writer`."""

    def __init__(self, descriptor: int, redactor: Redactor, about: Mapping[str, str | None]) -> None:
        self._descriptor, self._redactor = descriptor, redactor
        self._target = lru_cache(maxsize=1024)(redactor.text)
        self._about = {key: self._text(value) for key, value in about.items()}
        with _locked(descriptor):
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                os.write(descriptor, b"\n")  # what a crash has cut off does not spoil the next line

    def write(self, action: Action, row: Done) -> None:
        """Append a step's line, redacted, as one write: lines of several processes do not mix."""
        uid, target = self._redactor.text(action.uid), self._target(action.target)
        arguments = {key: self._redactor.value(value, key) for key, value in said_arguments(action).items()}
        line = {
            "version": VERSION,
            "at": datetime.now(UTC).isoformat(),
            **self._about,
            "session_uid": uid,
            "action": action.action,
            "target": target,
            "outcome": row.outcome,
            "error": self._text(row.error),
            "new_instance": row.new_instance,
            "seq": row.seq,
            "python": _line(action, uid, target, arguments, self._about["reason"]),
        }
        with _locked(self._descriptor):
            os.write(self._descriptor, (json.dumps(line) + "\n").encode("ascii"))

    def _text(self, text: str | None) -> str | None:
        return None if text is None else self._redactor.text(text)


@contextmanager
def _locked(descriptor: int, way: int = fcntl.LOCK_EX) -> Iterator[None]:
    """Keep writers out, so that nobody takes a line that is being written for one that was cut off."""
    fcntl.flock(descriptor, way)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def python_line(action: Action, reason: str | None, redactor: Redactor | None = None) -> str:
    """The line of Python that makes a change: kwargs as a patch; with a redactor, secrets are redacted."""
    arguments = said_arguments(action)
    if redactor is None:
        return _line(action, action.uid, action.target, arguments, reason)
    arguments = {key: redactor.value(value, key) for key, value in arguments.items()}
    said = reason if reason is None else redactor.text(reason)
    return _line(action, redactor.text(action.uid), redactor.text(action.target), arguments, said)


def _one_line(text: object) -> str:
    """What is said in a comment stays in it."""
    return " ".join(str(text).split())


def _line(action: Action, uid: str, target: str, arguments: dict[str, Any], reason: str | None) -> str:
    if reason is not None:
        arguments["reason"] = reason
    if action.action == "configure" and not action.epoch:
        return f"ws.create({uid!r}, {_call([repr(arguments.pop('configuration'))], arguments)})"
    first = ([repr(target)] if target else []) + [repr(arguments.pop(key)) for key in ("status",) if key in arguments]
    session = f"ws[{uid!r}]" if action.epoch else f"ws.session({uid!r})"
    return f"{session}.{action.action}({_call(first, arguments)})"


def _call(first: list[str], arguments: Mapping[str, Any]) -> str:
    return ", ".join([*first, *(f"{key}={value!r}" for key, value in arguments.items())])
