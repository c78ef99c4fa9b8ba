"""Ports for the servers that tests start."""

import secrets
import socket

#: Below what systems give to outgoing connections: while a server is away, none of these takes its port by chance.
LOWEST, HIGHEST = 10_000, 22_000


def free_port(*offsets: int) -> int:
    """Find a port that nobody listens on, nor on those so much above it."""
    while True:
        port = LOWEST + secrets.randbelow(HIGHEST - LOWEST)
        if all(_is_free(port + offset) for offset in (0, *offsets)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
