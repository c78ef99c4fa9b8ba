"""Reading many sessions: in batches, with a progress bar if it takes long, and interruptible."""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeVar

import msgspec
import pandas as pd

from triggers_nb.analysis.schema import Schema
from triggers_nb.errors import DamagedSession, ReadingInterrupted, ResultsTruncated, StorageError, UnreadableSession
from triggers_nb.redaction import Redactor
from triggers_nb.storages.store import SessionState, Store

T = TypeVar("T")

#: Seconds after which a read counts as long and shows a progress bar.
PROGRESS_AFTER_S: Final = 1.0

#: Cells, and bytes in them, from which a batch counts as large; decoded payloads take ten times as many.
MAX_CELLS: Final = 50_000
MAX_BYTES: Final = 8 * 2**20

Session = tuple[str, SessionState]
Batched = tuple[int, list[Session]]


class Source(msgspec.Struct, frozen=True):
    """Where frames are read from, and what is done to texts and values on the way."""

    store: Store
    #: None leaves everything as it is.
    redactor: Redactor | None = None

    def text(self, text: str | None) -> str | None:
        """Return a text without secrets."""
        return text if text is None or self.redactor is None else self.redactor.text(text)

    def value(self, value: T) -> T:
        """Return a value without secrets."""
        if self.redactor is None:
            return value
        redacted: T = self.redactor.value(value)
        return redacted


def collect(
    schema: Schema, frames: Iterable[tuple[int, pd.DataFrame]], *, total: int, max_results: int | None, call: str
) -> pd.DataFrame:
    """Put the frames of batches together.

    Parameters
    ----------
    schema
        Of these frames.
    frames
        How many sessions each covers, and the frame.
    total
        How many sessions there are to read.
    max_results
        Most rows of the result; None: all.
    call
        What the caller was asked for, for messages.

    Warns
    -----
    ResultsTruncated
        If there are more rows than `max_results`.
    ReadingInterrupted
        If the reading was interrupted; what was read is kept.
    """
    parts: list[pd.DataFrame] = []
    n_rows = n_sessions = 0
    progress = progress_bar(total, call)
    try:
        for n_done, frame in _without_pauses(frames):
            parts.append(frame)
            n_rows += len(frame)
            n_sessions += n_done
            progress.update(n_done)
            if max_results is not None and n_rows > max_results:
                break
    except KeyboardInterrupt:
        warn_interrupted(f"{n_sessions:,} of {total:,} sessions", call)
    finally:
        progress.close()
    return cut(schema.concat(parts), max_results, call)


def _without_pauses(frames: Iterable[T]) -> Iterator[T]:
    """Keep the garbage collector from looking at a hundred thousand new objects again and again: none is garbage."""
    iterator = iter(frames)
    while True:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            frame = next(iterator)
        except StopIteration:
            return
        finally:
            if was_enabled:
                gc.enable()
        yield frame


def cut(frame: pd.DataFrame, max_results: int | None, call: str) -> pd.DataFrame:
    """Return the first rows, and warn if there are more."""
    if max_results is None or len(frame) <= max_results:
        return frame
    warnings.warn(
        f"{call} stops after max_results={max_results:,} rows, and there are more; "
        "pass a greater max_results, or max_results=None for all of them",
        ResultsTruncated,
        stacklevel=caller_level(),
    )
    return frame.iloc[:max_results]


def warn_interrupted(done: str, call: str) -> None:
    """Warn that what follows is not all there is."""
    warnings.warn(
        f"{call} was interrupted after {done}; the result holds what was read until then",
        ReadingInterrupted,
        stacklevel=caller_level(),
    )


def warn_unreadable(uid: str, error: Exception) -> None:
    """Warn that what is said of a session is not all there is."""
    warnings.warn(
        f"session {uid!r} cannot be read, what is damaged is left out: {error}",
        UnreadableSession,
        stacklevel=caller_level(),
    )


def caller_level() -> int:
    """Depth of the first frame outside of this package, as ``warnings.warn`` counts it in its caller."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("triggers_nb."):
        level, frame = level + 1, frame.f_back
    return level


def progress_bar(total: int | None, call: str) -> Any:
    """Make a progress bar that shows itself once the read has become a long one, to a person who can see it."""
    from tqdm.auto import tqdm

    in_notebook = any(base.__module__ == "tqdm.notebook" for base in tqdm.__mro__)
    return tqdm(
        total=total,
        desc=call,
        unit=" sessions",
        delay=PROGRESS_AFTER_S,
        leave=False,
        disable=False if in_notebook else None,
    )


def batches(store: Store, uids: Sequence[str], prefixes: Sequence[str], size: int) -> Iterator[Batched]:
    """Read sessions in batches: how many were asked for, and those that exist (still), with their states.

    A batch has at most `size` sessions, and ends early when it has become large.
    """
    sessions: list[tuple[str, SessionState]] = []
    n_asked = n_cells = n_bytes = 0
    for uid, state in _states(store, uids, prefixes):
        n_asked += 1
        if state is not None:
            sessions.append((uid, state))
            n_cells += len(state.cells)
            n_bytes += sum([len(cell.data) for cell in state.cells.values()])
        if n_asked == size or n_cells >= MAX_CELLS or n_bytes >= MAX_BYTES:
            yield n_asked, sessions
            sessions, n_asked, n_cells, n_bytes = [], 0, 0, 0
    if n_asked:
        yield n_asked, sessions


def read_apart(sessions: Sequence[Session], make: Callable[[Sequence[Session]], T]) -> Iterator[T]:
    """Make something of sessions; if some are damaged, of the others, in as few parts as that takes, with a warning."""
    try:
        made = make(sessions)
    except StorageError as error:
        if len(sessions) == 1:
            warn_unreadable(sessions[0][0], error)
            return
        middle = len(sessions) // 2
        yield from read_apart(sessions[:middle], make)
        yield from read_apart(sessions[middle:], make)
    else:
        yield made


def _states(store: Store, uids: Sequence[str], prefixes: Sequence[str]) -> Iterator[tuple[str, SessionState | None]]:
    """Read sessions in order; one that is damaged as a whole counts as none, with a warning."""
    left = list(uids)
    while left:
        n_read = 0
        try:
            for uid, state in store.states(left, prefixes):
                n_read += 1
                yield uid, state
            return
        except DamagedSession as damage:
            warn_unreadable(damage.uid, damage)
            left = [uid for uid in left[n_read:] if uid != damage.uid]
            yield damage.uid, None
