from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date

import pytest

import triggers_nb as tnb
from tests.storages.redis_servers import RedisServer
from triggers_nb.demo.app import make_app
from triggers_nb.demo.day import BLIZZARD, run_day


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The URL of a Redis server on which a worker process runs the demo's tasks."""
    server = RedisServer()
    command = [sys.executable, "-m", "celery", "-A", "triggers_nb.demo.app", "worker", "-c", "1", "-l", "INFO"]
    with (tmp_path_factory.mktemp("worker") / "log").open("wb") as log:
        worker = subprocess.Popen(command, env={**os.environ, "TRIGGERS_URL": server.url}, stdout=log, stderr=log)
    yield server.url
    worker.send_signal(signal.SIGTERM)
    worker.wait()
    server.remove()


def who_ended(session):
    """For each instance, the kind of process that ended it."""
    events = session.events()
    ended = events[events["to_status"].isin(["finished", "failed"])]
    return {row.target: row.actor.partition(":")[0] for row in ended.itertuples()}


def test_a_day_on_redis_is_run_by_the_workers_as_it_is_by_threads(url):
    result = run_day(BLIZZARD, url=url, limit=20)

    assert result == run_day(BLIZZARD, url="memory://threads", limit=20)
    session = tnb.connect(url)[f"{BLIZZARD}/US1117-EWR-CLT"]
    assert set(who_ended(session).values()) == {"celery"}
    assert len(who_ended(session)) == 6


def test_a_replay_from_a_notebook_is_executed_by_the_worker_whose_hook_closes_the_books(url, monkeypatch):
    # Given a flown flight whose plane is unknown
    day = date(2013, 2, 7)
    run_day(day, url=url, limit=20)
    monkeypatch.setattr("triggers_nb.demo.app.app", make_app(url))  # as with TRIGGERS_URL in the notebook's environment
    options = {"mode": "read-write", "env": "test", "runner": "celery", "celery_app": "triggers_nb.demo.app:app"}
    session = tnb.connect(url, **options)[f"{day}/AA707-LGA-DFW"]
    assert session.instances(task="t_closeReport").empty

    # When it is replayed from here with a description of the plane
    session.replay("t_identifyPlane#0", merge_kwargs={"t_importFlight": {"plane": {"seats": 160}}}, reason="found it")
    run_day(day, url=url, limit=20)  # fires nothing any more, and waits

    # Then the worker ran it, and its hook finalised the session
    events = session.events()
    (finalised,) = events.loc[events["trigger"].eq("sessionFinalized") & events["action"].eq("fire"), "actor"].unique()
    assert finalised.startswith("celery:")
    ended = who_ended(session)
    assert ended["t_identifyPlane#1"] == ended["t_closeReport#0"] == "celery"
    assert session.instances(payloads=True).set_index("instance").loc["t_closeReport#0", "result"]["seats"] == 160


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://host:6379/1", "redis://host:6379/1"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
    ],
)
def test_the_storage_is_the_broker(url, broker):
    assert make_app(url).conf.broker_url == broker


def test_what_a_worker_imports_is_free_of_the_notebook_libraries():
    code = (
        "import sys, triggers_nb.demo.app;"
        "print([name for name in ('pandas', 'numpy', 'networkx', 'IPython', 'ipywidgets') if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
