"""What is read from the tables of a SQLite file, over a connection in a transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from sqlite3 import Connection
from typing import Final

import msgspec

from triggers_nb.core.codec import DAMAGE
from triggers_nb.errors import DamagedSession
from triggers_nb.storages.store import Cell, DueItem, SessionState, Summary

#: How many parameters a statement gets at most.
CHUNK: Final = 500

#: Condition on a session that has not expired; its parameter is the moment.
LIVE: Final = "(expires_us IS NULL OR expires_us > ?)"

_decode_counts = msgspec.msgpack.Decoder(dict[str, int]).decode


def decode_counts(uid: str, data: bytes) -> dict[str, int]:
    """Decode the counts of a session.

    Raises
    ------
    DamagedSession
        If the bytes are damaged.
    """
    try:
        return _decode_counts(data)
    except DAMAGE as error:
        raise DamagedSession(uid, f"its counts cannot be read: {error}") from error


def read_cells(db: Connection, epoch: int, names: Collection[str]) -> dict[str, Cell]:
    """Read those of these cells that are there."""
    cells = {}
    for batch in in_batches(names, CHUNK):
        for name, revision, data in db.execute(select_cells("name, revision, data", len(batch)), (epoch, *batch)):
            cells[name] = Cell(revision, data)
    return cells


def read_states(db: Connection, uids: Sequence[str], prefixes: tuple[str, ...], now_us: int) -> dict[str, SessionState]:
    """Read all of those of these sessions that are there, but only cells of these prefixes, if there are any."""
    statement = f"""SELECT epoch, uid, seq, created_us, modified_us, counts FROM session
        WHERE uid IN ({_marks(len(uids))}) AND {LIVE}"""
    sessions = db.execute(statement, (*uids, now_us)).fetchall()
    epochs = [row[0] for row in sessions]
    cells = _read_cells_by_prefix(db, epochs, prefixes or ("",))
    due: dict[int, dict[str, DueItem]] = {epoch: {} for epoch in epochs}
    statement = f"SELECT epoch, item, due_us, data FROM due WHERE epoch IN ({_marks(len(epochs))})"
    for epoch, item, due_us, data in db.execute(statement, epochs):
        due[epoch][item] = DueItem(due_us, data)
    return {
        uid: SessionState(
            epoch=epoch,
            seq=seq,
            created_us=created_us,
            modified_us=modified_us,
            cells=cells[epoch],
            counts=decode_counts(uid, counts),
            due=due[epoch],
        )
        for epoch, uid, seq, created_us, modified_us, counts in sessions
    }


def _read_cells_by_prefix(
    db: Connection, epochs: Sequence[int], prefixes: tuple[str, ...]
) -> dict[int, dict[str, Cell]]:
    cells: dict[int, dict[str, Cell]] = {epoch: {} for epoch in epochs}
    statement = f"SELECT epoch, name, revision, data FROM cell WHERE epoch IN ({_marks(len(epochs))}) AND name >= ?"
    for prefix in prefixes:
        stop = _after(prefix)
        if stop is None:
            rows = db.execute(statement, (*epochs, prefix))
        else:
            rows = db.execute(f"{statement} AND name < ?", (*epochs, prefix, stop))
        for epoch, name, revision, data in rows:
            cells[epoch][name] = Cell(revision, data)
    return cells


def read_summaries(db: Connection, uids: Sequence[str], now_us: int) -> dict[str, Summary]:
    """Read what a listing says of those of these sessions that are there."""
    statement = f"""SELECT uid, s.epoch, seq, created_us, modified_us, counts, ifnull(c.data, x'')
        FROM session s LEFT JOIN cell c ON c.epoch = s.epoch AND c.name = 'head'
        WHERE uid IN ({_marks(len(uids))}) AND {LIVE}"""
    return {row[0]: _summary(*row) for row in db.execute(statement, (*uids, now_us))}


def _summary(uid: str, epoch: int, seq: int, created_us: int, modified_us: int, counts: bytes, head: bytes) -> Summary:
    """Make a summary; that of a damaged session has no counts and no head, so that it is listed and told of."""
    try:
        decoded = decode_counts(uid, counts)
    except DamagedSession:
        decoded, head = {}, b""
    return Summary(
        uid=uid, epoch=epoch, seq=seq, created_us=created_us, modified_us=modified_us, counts=decoded, head=head
    )


@cache
def select_cells(columns: str, n_names: int) -> str:
    """Build the statement that reads columns of so many cells; its parameters are the epoch and their names."""
    return f"SELECT {columns} FROM cell WHERE epoch = ? AND name IN ({_marks(n_names)})"


@cache
def _marks(number: int) -> str:
    return ", ".join("?" * number)


def _after(prefix: str) -> str | None:
    """Return the least text, in the order of UTF-8, that follows all texts of this prefix; None if there is none."""
    stem = prefix.rstrip("\U0010ffff")
    if not stem:
        return None
    code = ord(stem[-1]) + 1
    return stem[:-1] + chr(0xE000 if code == 0xD800 else code)  # surrogates are no text


def in_batches(items: Iterable[str], size: int) -> Iterator[tuple[str, ...]]:
    """Cut a series into pieces of this size at most."""
    remaining = iter(items)
    while batch := tuple(islice(remaining, size)):
        yield batch
