"""A journal of its own for each test, and the number of random cases in the summary."""

from collections import Counter
from pathlib import Path

import pytest

#: How many cases of a property were tried.
cases: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "journal.jsonl"
    monkeypatch.setenv("TRIGGERS_JOURNAL", str(path))
    return path


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for what, n in cases.items():
        terminalreporter.write_line(f"{n:,} {what}")
