"""What all tests share: where the project is, and a journal of its own for each."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# Nothing is judged by how long it took: the machine may be busy.
settings.register_profile("triggers_nb", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("triggers_nb")


@pytest.fixture(scope="session")
def root() -> Path:
    """The directory that holds pyproject.toml."""
    return ROOT


@pytest.fixture(autouse=True)
def own_journal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Write no journal but a test's own."""
    monkeypatch.setenv("TRIGGERS_JOURNAL", str(tmp_path / "journal.jsonl"))
