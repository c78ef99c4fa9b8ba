"""Reading takes a constant number of round trips per batch of sessions, however much is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pandas as pd
import pytest

import triggers_nb as tnb
from tests.storages.redis_servers import Proxy, proxy, redis_place, redis_server  # noqa: F401  (fixtures)
from triggers_nb.storages import redis as redis_storage
from triggers_nb.workspace import Workspace

BATCH = 10
#: For what is asked of a batch of sessions, with the moment and what a sent request may be cut into.
MAX_TRIPS = 4

READS: dict[str, Callable[[Workspace, str], object]] = {
    "sessions": lambda ws, uids: ws.sessions(uids),
    "instances": lambda ws, uids: ws.instances(uids, payloads=True),
    "failures": lambda ws, uids: ws.failures(uids),
    "stuck": lambda ws, uids: ws.stuck(uids),
    "events": lambda ws, uids: ws.events(uids),
    "graph": lambda ws, uids: ws.graph(uids),
}


@pytest.fixture
def ws(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:  # noqa: F811
    """Sessions with one instance (``small/…``), 20 (``large/…``), and four times as many such (``many/…``)."""
    for size in ("STATES_AT_ONCE", "HEADS_AT_ONCE"):
        monkeypatch.setattr(redis_storage, size, BATCH)
    with tnb.connect(proxy.url, mode="read-write", env="dev", handover="defer") as ws:
        for kind, n_sessions, n_tasks in (("small", BATCH, 1), ("large", BATCH, 20), ("many", 4 * BATCH, 20)):
            tasks = {f"t_{n}": {"after": ["go", "never"], "run": "app.Task"} for n in range(n_tasks)}
            for number in range(n_sessions):
                manager = ws.create(f"{kind}/{number}", tasks).manager
                manager.fire("go", {"text": "x" * 10})
                manager.update_instance_status("t_0#0", "failed")
        yield ws


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_trips_grow_with_batches_and_not_with_what_is_in_them(
    ws: Workspace,
    proxy: Proxy,  # noqa: F811
    read: Callable[[Workspace, str], object],
) -> None:
    def count(uids: str) -> int:
        before = proxy.n_requests
        read(ws, uids)
        return proxy.n_requests - before

    count("small/*")  # connects
    listing = count("nothing/*")
    small, large, many = (count(uids) - listing for uids in ("small/*", "large/*", "many/*"))

    assert large == small <= MAX_TRIPS
    assert many <= 4 * MAX_TRIPS


def test_what_is_counted_is_read(ws: Workspace) -> None:
    frames = [ws.instances(f"{kind}/*") for kind in ("small", "large", "many")]

    assert [len(frame) for frame in frames] == [BATCH, 20 * BATCH, 80 * BATCH]
    assert pd.concat(frames)["status"].value_counts().to_dict() == {"unstarted": 950, "failed": 60}
