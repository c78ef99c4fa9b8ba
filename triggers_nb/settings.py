"""Settings of a process, from its environment."""

from __future__ import annotations

import os

from triggers_nb.errors import TriggersError


class SettingError(TriggersError, ValueError):
    """Raised when an environment variable of ours has a value that makes no sense."""


def grace_s() -> float:
    """Seconds after which work that nobody has started is handed over again: ``TRIGGERS_GRACE_S``, 30."""
    return _positive("TRIGGERS_GRACE_S", 30.0)


def lease_s() -> float:
    """Seconds for which a worker that says nothing counts as alive: ``TRIGGERS_LEASE_S``, 60."""
    return _positive("TRIGGERS_LEASE_S", 60.0)


def heartbeat_s() -> float:
    """Seconds after which a running worker renews its lease: ``TRIGGERS_HEARTBEAT_S``, a third of the lease.

    Raises
    ------
    SettingError
        If it is not shorter than the lease.
    """
    lease = lease_s()
    heartbeat = _positive("TRIGGERS_HEARTBEAT_S", lease / 3)
    if heartbeat >= lease:
        raise SettingError(
            f"TRIGGERS_HEARTBEAT_S={heartbeat:g}: expected less than the lease, TRIGGERS_LEASE_S={lease:g}"
        )
    return heartbeat


def runner_name() -> str | None:
    """Key of the task runner for work that nothing else says anything about: ``TRIGGERS_RUNNER``."""
    return os.environ.get("TRIGGERS_RUNNER") or None


def app_prefixes() -> tuple[str, ...]:
    """Folders or packages whose frames are the application's, for fingerprints: ``TRIGGERS_APP_PREFIXES``, with commas.

    None by default: then what is in no library is the application's.
    """
    named = os.environ.get("TRIGGERS_APP_PREFIXES", "").split(",")
    return tuple(prefix.strip() for prefix in named if prefix.strip())


def _positive(variable: str, default: float) -> float:
    text = os.environ.get(variable)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise SettingError(f"{variable}={text!r}: expected a positive number of seconds")
    return value
