"""What holds for every test and doctest, and for every process that one starts: nothing of the developer's own."""

import os
import tempfile

import pytest

for name in [name for name in os.environ if name.startswith("TRIGGERS_")]:
    del os.environ[name]

#: Where a journal lands that nothing else has a place for: not among what the developer really did.
STATE = tempfile.TemporaryDirectory(prefix="triggers_nb-tests-", ignore_cleanup_errors=True)
os.environ["XDG_STATE_HOME"] = STATE.name


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove it when all tests have ended."""
    STATE.cleanup()
