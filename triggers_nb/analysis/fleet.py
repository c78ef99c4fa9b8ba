"""The graph of a fleet, read a batch of sessions at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from triggers_nb.analysis.frames_failures import fired_of
from triggers_nb.analysis.frames_instances import BATCH, PREFIXES, Batch, Wanted
from triggers_nb.analysis.graph_fleet import fleet_graph
from triggers_nb.analysis.reading import batches, progress_bar, warn_interrupted
from triggers_nb.core import records as rec
from triggers_nb.core.records import ConfigRecord
from triggers_nb.core.status import STATUSES
from triggers_nb.storages.store import Store

if TYPE_CHECKING:
    from triggers_nb.analysis.graph import Graph


class Rule(NamedTuple):
    """What a graph needs of a task's configuration."""

    name: str
    run: str
    after: frozenset[str]
    and_every: str | None
    unless: frozenset[str]


def read_fleet_graph(store: Store, uids: Sequence[str]) -> Graph:
    """Build the union of these sessions' task graphs; an interrupted read keeps what was read, and says so."""
    return fleet_graph(_sessions(store, uids))


def _sessions(store: Store, uids: Sequence[str]) -> Iterator[tuple[Any, Mapping[str, Mapping[str, int]], set[str]]]:
    n_done = 0
    bar = progress_bar(len(uids), "graph()")
    try:
        for n_read, sessions in batches(store, uids, (*PREFIXES, rec.LATEST), BATCH):
            batch = Batch(sessions, Wanted())
            per_session = _counts(batch)
            for (_, state), configs, counts in zip(batch.sessions, batch.configs, per_session, strict=True):
                yield {name: _rule(name, config) for name, config in sorted(configs.items())}, counts, fired_of(state)
            n_done += n_read
            bar.update(n_read)
    except KeyboardInterrupt:
        warn_interrupted(f"{n_done:,} of {len(uids):,} sessions", "graph()")
    finally:
        bar.close()


def _counts(batch: Batch) -> list[dict[str, Counter[str]]]:
    counts: list[dict[str, Counter[str]]] = [{} for _ in batch.sessions]
    for session, row, code in zip(batch.session.tolist(), batch.rows, np.asarray(batch.codes).tolist(), strict=True):
        counts[session].setdefault(row.task, Counter())[STATUSES[code]] += 1
    return counts


def _rule(name: str, config: ConfigRecord) -> Rule:
    return Rule(name, config.run, frozenset(config.after), config.and_every, frozenset(config.unless))
