"""While a plan is tried out: no store is changed but the one that it is tried out on."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, NamedTuple

from triggers_nb.errors import StorageError

#: Methods of a store that change something in it.
WRITES: Final = (
    "commit", "trim_events", "postpone", "settle", "acquire_lock", "release_lock", "delete", "clear",
)  # fmt: skip


class Trial(NamedTuple):
    """What is tried out in a thread."""

    #: The store that takes the changes.
    store: object
    #: What was said to those who reached for another one, whatever they made of it.
    refused: list[str]


_trial: ContextVar[Trial | None] = ContextVar("_trial", default=None)


@contextmanager
def tried_out(store: object) -> Iterator[list[str]]:
    """Refuse changes of any other store while the block runs, whoever makes them in this thread.

    Yields
    ------
    list of str
        What was refused, as it happens.
    """
    trial = Trial(store, [])
    token = _trial.set(trial)
    try:
        yield trial.refused
    finally:
        _trial.reset(token)


def refuse_in_trial(store: object, what: str) -> None:
    """Raise if something is being tried out in this thread, on another store than this one."""
    trial = _trial.get()
    if trial is None or trial.store is store:
        return
    said = f"{what} was to be changed while a plan is tried out: a preview changes nothing elsewhere"
    trial.refused.append(said)
    raise StorageError(said)


def refuse_writes_in_trial(cls: type) -> None:
    """Let a class of stores refuse, in each of its methods that change something, while another one is tried out."""
    for name in WRITES:
        method = vars(cls).get(name)
        if method is not None:
            setattr(cls, name, _refusing(method))


def _refusing(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _trial.get() is not None:
            what = f"session {args[0]!r} in {self.url}" if args else f"every session in {self.url}"
            refuse_in_trial(self, what)
        return method(self, *args, **kwargs)

    return write
