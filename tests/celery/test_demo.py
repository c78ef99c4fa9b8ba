"""The demo's whole day, run by Celery workers."""

import json
import os
import subprocess
import sys

import pytest

from triggers_nb.demo.day import BLIZZARD, run_day


@pytest.mark.long
def test_the_day_comes_out_as_it_does_in_threads(own_redis, tmp_path):
    environment = {**os.environ, "TRIGGERS_URL": own_redis.url, "TRIGGERS_RUNNER": "celery"}
    worker = [sys.executable, "-m", "celery", "-A", "triggers_nb.demo.app", "worker", "-c", "2", "-l", "WARNING"]
    command = "import sys; from triggers_nb.cli import main; sys.exit(main())"

    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*worker, "-B", "-s", str(tmp_path / "beat")], env=environment, stdout=log, stderr=log
        )
    try:
        demo = [sys.executable, "-c", command, "demo", "--url", own_redis.url, "--json"]
        done = subprocess.run(demo, env=environment, capture_output=True, text=True, check=True)
    finally:
        process.terminate()
        process.wait()

    assert json.loads(done.stdout)["by_task"] == run_day(BLIZZARD, url="memory://whole-day").by_task
