"""Every error that triggers_nb raises on purpose.

::

    TriggersError
    ├── ConfigurationError (ValueError)      a task's directives are wrong
    ├── InvalidValue (ValueError)            a value cannot be stored; says where in it
    ├── InvalidStatus (ValueError)           a status that does not exist, or an illegal change of one
    ├── ManagerMismatch (ValueError)         the session belongs to a manager of another key
    ├── UnknownName (KeyError)
    │   ├── UnknownSession                   no session of this UID
    │   ├── UnknownInstance                  no instance of this name
    │   ├── UnknownTask                      no task of this name
    │   └── UnknownTrigger                   kwargs of a trigger that the task does not wait for
    ├── RegistryError
    │   └── UnknownKey (KeyError)            nothing is registered under this key
    ├── StorageError
    │   ├── StorageUrlError (ValueError)     a storage URL that cannot be used
    │   ├── ReadOnlyError                    a change through a read-only handle
    │   │   └── ConfirmationRequired         a change that has to be confirmed by typing a phrase
    │   ├── SessionExists (ValueError)       a session that is to be made is there already
    │   ├── HistoryTrimmed (LookupError)     the events that lead back to a moment are no longer kept
    │   ├── CommitConflict                   others kept changing the same cells for too long
    │   ├── StaleTarget                      what a plan saw has changed since
    │   ├── PlanUsed                         a plan that is executed for the second time
    │   └── LockAcquisitionFailed (RuntimeError)   the session's lock was not to be had, or was lost
    ├── RunnerError
    │   ├── NoRunner                         nothing says where work on this storage runs
    │   ├── TaskNotFound (LookupError)       no task class of this name in this process
    │   ├── HandoverRefused                  this work cannot be handed to another process
    │   ├── ClaimRefused                     an instance that may not start, or a result that comes too late
    │   └── WorkerLost                       never raised: recorded for an instance whose worker died
    └── MaxRetriesExceeded                   a task has used up its own retries

Warnings::

    TriggersWarning (UserWarning)
    ├── StorageWarning                       a storage is set up so that it can lose sessions
    ├── CredentialsWarning                   a password was written where others will read it
    ├── ResultsTruncated                     there is more than was asked for
    ├── ReadingInterrupted                   the result holds what was read until then
    ├── UnreadableSession                    a session that cannot be decoded was left out
    ├── UnreadableJournal                    lines of the journal that cannot be read were left out
    └── UnwrittenJournal                     a change was made that is missing from the journal
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from triggers_nb.redaction import Redactor

E = TypeVar("E", bound=BaseException)

#: Where the classes are defined whose values are shown in messages about values.
_SHOWN_MODULES = sys.stdlib_module_names | {"numpy", "pandas"}

#: A name in a path.
_KEY = re.compile(r"""\[(['"])(.*?)\1\]""")


class TriggersError(Exception):
    """Base of all errors of this package; never raised itself."""


class ConfigurationError(TriggersError, ValueError):
    """Raised by ``update_configuration`` for a directive that is missing or wrong; nothing is saved.

    Attributes
    ----------
    task, directive : str
        Where the mistake is; `directive` is empty when the whole task is wrong.
    """

    def __init__(self, task: str, directive: str, found: object, expected: str) -> None:
        self.task, self.directive, self.found, self.expected = task, directive, found, expected
        where = f"task {task!r}" if task else "configuration"
        where += f", directive {directive!r}" if directive else ""
        super().__init__(f"{where}: found {shown(found, directive)}, expected {expected}")


class InvalidValue(TriggersError, ValueError):
    """Raised for kwargs, results or metadata that cannot be stored, before anything changes.

    Attributes
    ----------
    path : str
        Where in the value the offender is, such as ``kwargs['plane'][2]``.
    """

    def __init__(self, path: str, found: object, expected: str) -> None:
        self.path, self.found = path, found
        # What an application's own repr tells, redaction does not know.
        is_known = type(found).__module__.partition(".")[0] in _SHOWN_MODULES
        value = f" = {shown(found, path)}" if is_known else ""
        super().__init__(f"{path}{value} ({type(found).__name__}) cannot be stored; {expected}")


class InvalidStatus(TriggersError, ValueError):
    """Raised for a status that does not exist and for a change of status that is not allowed."""


class ManagerMismatch(TriggersError, ValueError):
    """Raised for a change through another manager than the one that the session remembers.

    Attributes
    ----------
    recorded, used : str or None
        The session's key, and the key of the manager that was used.
    """

    def __init__(self, uid: str, recorded: str | None, used: str | None, used_class: str) -> None:
        self.uid, self.recorded, self.used = uid, recorded, used
        with_what = f"manager {used!r}" if used else f"{used_class}, which is not registered under any key"
        super().__init__(
            f"session {uid!r} belongs to manager {recorded!r}, this change comes through {with_what}. Use "
            f"trigger_managers.get({recorded!r}, storage), or pass allow_manager_change=True to hand the session over."
        )


class UnknownName(TriggersError, KeyError):
    """Raised for a name that nothing has; the message suggests near ones."""

    noun = "name"

    def __init__(self, name: object, known: Iterable[str] = (), *, hint: str = "") -> None:
        self.name = name
        near = suggest(str(name), known)
        between = "" if not hint else " " if near else ". "
        super().__init__(f"no {self.noun} {name!r}{near}{between}{hint}")

    def __str__(self) -> str:
        return str(self.args[0])


class UnknownSession(UnknownName):
    """Raised when a session does not exist: never configured, deleted, or expired."""

    noun = "session"


class UnknownInstance(UnknownName):
    """Raised when a session has no instance of that name."""

    noun = "instance"


class UnknownTask(UnknownName):
    """Raised when a session has no task of that name."""

    noun = "task"


class UnknownTrigger(UnknownName):
    """Raised when kwargs are given for a trigger that the task does not wait for."""

    noun = "trigger"


class RegistryError(TriggersError):
    """Raised when a registered class cannot be loaded."""


class UnknownKey(RegistryError, KeyError):
    """Raised when nothing is registered under a key."""

    def __str__(self) -> str:
        return str(self.args[0])


class StorageError(TriggersError):
    """Base of what can go wrong with a storage; raised itself when a stored session cannot be read."""


class DamagedSession(StorageError):
    """Raised when what a storage keeps of a session as a whole cannot be read.

    Attributes
    ----------
    uid : str
        The session.
    """

    def __init__(self, uid: str, why: str) -> None:
        super().__init__(f"session {uid!r} is damaged: {why}")
        self.uid = uid


class StorageUrlError(StorageError, ValueError):
    """Raised for a storage URL of an unknown scheme, or one that lacks something."""


class ReadOnlyError(StorageError):
    """Raised by every change through a read-only handle, whoever holds it."""


class ConfirmationRequired(ReadOnlyError):
    """Raised by a change that has to be confirmed, when the phrase was not typed, or was another.

    Attributes
    ----------
    phrase : str
        What is to be typed.
    """

    def __init__(self, message: str, phrase: str) -> None:
        self.phrase = phrase
        super().__init__(message)


class SessionExists(StorageError, ValueError):
    """Raised when a session that is to be made exists already; nothing was changed."""


class HistoryTrimmed(StorageError, LookupError):
    """Raised when a session cannot be rebuilt at a moment, because events after it are no longer kept."""


class CommitConflict(StorageError):
    """Raised when a change lost against others for as long as it may try; nothing of it was written."""


class StaleTarget(StorageError):
    """Raised when a target has another revision than the one that was seen; nothing was written.

    Attributes
    ----------
    cell : str
        The cell that has moved on.
    """

    def __init__(self, uid: str, cell: str, expected: int, found: int, *, is_epoch: bool = False) -> None:
        self.uid, self.cell, self.expected, self.found = uid, cell, expected, found
        if is_epoch:
            became = "deleted and made again" if found and expected else "made" if found else "deleted"
            what = f"session {uid!r} was {became}"
        else:
            kind = _CELLS.get(cell[:2], "")
            what = f"{kind} {cell[2:]!r} of session {uid!r}" if kind else f"session {uid!r}"
            what += f" has changed (it is at revision {found}, {expected} was seen)"
        super().__init__(f"{what} since the plan was made, so nothing of it was changed: make the plan again")


#: What the names of cells begin with, and what they hold.
_CELLS = {"i:": "instance", "c:": "task", "t:": "task", "g:": "trigger", "k:": "trigger"}


class PlanUsed(StorageError):
    """Raised when a plan is executed again; nothing was written."""


class LockAcquisitionFailed(StorageError, RuntimeError):
    """Raised when a session's lock is held by another for too long, or when its lease ran out before ``save()``."""


class RunnerError(TriggersError):
    """Base of what can go wrong between a scheduled instance and the place where it runs."""


class NoRunner(RunnerError):
    """Raised before the commit when nothing says where work on a shared storage runs."""


class TaskNotFound(RunnerError, LookupError):
    """Raised when no task class has the name that ``run`` gives; such an instance fails."""


class HandoverRefused(RunnerError):
    """Raised when a runner cannot take this work, for example a class that other processes cannot load."""


class ClaimRefused(RunnerError):
    """Raised when an instance may not start (it runs, or ran, already) or its result comes too late."""


class WorkerLost(RunnerError):
    """Recorded as the reason of failure when the worker that ran an instance died; never raised."""


class MaxRetriesExceeded(TriggersError):
    """Raised by ``TriggerTask.retry`` when the task has used up its own retries."""


class TriggersWarning(UserWarning):
    """Base of all warnings of this package; never issued itself."""


class StorageWarning(TriggersWarning):
    """Issued on the first use of a storage that is set up so that it can lose sessions."""


class CredentialsWarning(TriggersWarning):
    """Issued by ``connect`` for a URL with a password in it."""


class ResultsTruncated(TriggersWarning):
    """Issued when a result has as many rows as it may have, and there are more."""


class ReadingInterrupted(TriggersWarning):
    """Issued when reading was interrupted; what was read until then is the result."""


class UnreadableSession(TriggersWarning):
    """Issued when sessions are read in bulk for each that cannot be decoded; the others are the result."""


class UnwrittenJournal(TriggersWarning):
    """Issued when a change was made, and could not be written into the journal."""


class UnreadableJournal(TriggersWarning):
    """Issued when the journal holds lines that are damaged, or of a newer version; the others are the result."""


def with_context(exc: E, context: Mapping[str, Any]) -> E:
    """Attach `context` to an exception, to be stored as ``exceptionContext`` when an instance fails with it.

    Parameters
    ----------
    exc : BaseException
        The exception to be raised.
    context : Mapping
        Facts that help to understand it. Merged over what is attached already.

    Returns
    -------
    BaseException
        The same exception.

    Examples
    --------
    >>> from triggers_nb import with_context
    >>> with_context(ValueError("no seats"), {"tailnum": "N338AA"}).context
    {'tailnum': 'N338AA'}
    """
    exc.context = {**getattr(exc, "context", {}), **context}  # type: ignore[attr-defined]
    return exc


def brief(value: object, limit: int = 120) -> str:
    """Show a value in a message without ever failing or flooding it."""
    try:
        text = repr(value)
    except Exception:
        text = f"<{type(value).__name__} that cannot be shown>"
    return _cut(text, limit)


def _cut(text: str, limit: int = 120) -> str:
    if "\n" in text:
        text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shown(value: object, path: str = "") -> str:
    """Show a value of a user's in a message: in brief, and without secrets.

    Parameters
    ----------
    value : object
        What was found.
    path : str
        Where: what stands under the name of a secret, such as ``kwargs['password'][0]``, is hidden whatever it is.
    """
    redactor = _redactor()
    secret = next((name for name in _names_in(path) if redactor.hides(name)), None)
    if isinstance(value, type):
        return brief(value)
    try:
        hidden = redactor.value(value, secret)
    except Exception:
        return f"<{type(value).__name__} that cannot be shown>"
    return _cut(hidden) if isinstance(hidden, str) and not isinstance(value, str) else brief(hidden)


def _names_in(path: str) -> list[str]:
    return [path, *(name for _, name in _KEY.findall(path))]


@cache
def _redactor() -> Redactor:
    from triggers_nb.redaction import Redactor  # messages are made long before most processes need it

    return Redactor()


def suggest(name: str, known: Iterable[str]) -> str:
    """Build the “did you mean” part of a message, empty when nothing is near."""
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f". Did you mean {' or '.join(repr(each) for each in near)}?" if near else ""
