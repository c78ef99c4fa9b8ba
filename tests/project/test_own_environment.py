"""No test touches what the developer has: neither a journal, nor settings of the shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

WHERE = "from triggers_nb.journal import journal_path; print(journal_path())"


@pytest.fixture(scope="module")
def where_kernels_write() -> Path:
    """Where a process would write that a fixture starts which is shared by several tests."""
    return Path(
        subprocess.run([sys.executable, "-c", WHERE], capture_output=True, text=True, check=True).stdout.strip()
    )


def test_processes_of_tests_write_no_journal_of_the_developer(where_kernels_write: Path, tmp_path: Path) -> None:
    assert not where_kernels_write.is_relative_to(Path.home() / ".local")
    assert "triggers_nb-tests-" in str(where_kernels_write)
    own = subprocess.run([sys.executable, "-c", WHERE], capture_output=True, text=True, check=True).stdout.strip()
    assert own == str(tmp_path / "journal.jsonl")


def test_settings_of_the_shell_are_not_in_force() -> None:
    assert [name for name in os.environ if name.startswith("TRIGGERS_")] == ["TRIGGERS_JOURNAL"]


def test_the_session_starts_without_them(root: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "TRIGGERS_URL": "redis://elsewhere", "XDG_STATE_HOME": str(tmp_path)}
    code = "import conftest, os; print(os.environ.get('TRIGGERS_URL'), os.environ['XDG_STATE_HOME'])"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    url, state = run.stdout.split()
    assert url == "None"
    assert state != str(tmp_path)
