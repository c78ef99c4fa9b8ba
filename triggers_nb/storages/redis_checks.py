"""Whether a Redis server is set up so that it keeps what it is given."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

from triggers_nb.errors import StorageError, StorageWarning
from triggers_nb.storages.redis_client import RedisClient

MIN_VERSION: Final = (6, 2)


def check_servers(client: RedisClient) -> None:
    """Look at every server once: refuse one that is too old, warn about what can lose sessions.

    What a server does not tell (some forbid ``INFO`` or ``CONFIG``) is passed over.

    Warns
    -----
    StorageWarning
        For a policy that evicts keys, and for a server that writes nothing to its disk.

    Raises
    ------
    StorageError
        If a server cannot be reached or is older than Redis 6.2.
    """
    infos = client.call_each_server("INFO")
    saves = client.call_each_server("CONFIG", "GET", "save")
    risks = [
        risk
        for info, save in zip(infos, saves, strict=True)
        for risk in find_risks(parse_info(info), save[1] if isinstance(save, list) and len(save) == 2 else None)
    ]
    for risk in dict.fromkeys(risks):
        warnings.warn(f"{client.url}: {risk}", StorageWarning, stacklevel=2)


def parse_info(reply: Any) -> dict[str, str]:
    """Read what ``INFO`` answers; nothing of an error."""
    if not isinstance(reply, bytes):
        return {}
    lines = reply.decode(errors="replace").splitlines()
    return {name: value for name, colon, value in (line.partition(":") for line in lines) if colon}


def find_risks(info: Mapping[str, str], save: bytes | None) -> list[str]:
    """Say what can lose sessions.

    Raises
    ------
    StorageError
        If the server is too old.
    """
    version = info.get("redis_version", "")
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers and numbers < MIN_VERSION:
        raise StorageError(f"Redis {version} is too old, expected 6.2 or newer")
    risks = []
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        risks.append(
            f"its maxmemory-policy is {policy!r}: when its memory is full, it silently drops sessions, or parts of "
            "them. Set it to 'noeviction'"
        )
    if info.get("aof_enabled") == "0" and save == b"":
        risks.append("it writes nothing to its disk: a restart loses all sessions. Set 'appendonly yes', or 'save'")
    return risks
