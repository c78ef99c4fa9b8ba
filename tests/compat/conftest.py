"""An application of 2018 keeps its sessions where nothing else says so: here, a file in a directory of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from triggers.runners import ThreadingTaskRunner


@pytest.fixture(autouse=True)
def own_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    yield
    ThreadingTaskRunner.join_all()
