"""What all tests share: where the project is, and an environment that says nothing about storages."""

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
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Leave no TRIGGERS_… variable of the caller's shell in force, and write no journal but a test's own."""
    for name in ("TRIGGERS_URL", "TRIGGERS_RUNNER", "TRIGGERS_REDACTION_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRIGGERS_JOURNAL", str(tmp_path / "journal.jsonl"))
