"""Redis servers for the benchmarks, each with an append-only file, as in production."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def start_server(port: int = 0) -> Iterator[str]:
    """Run an empty server until the block ends, and yield its URL: a socket's, or (with a port) that of this host."""
    with tempfile.TemporaryDirectory() as directory:
        socket = Path(directory) / "redis.sock"
        listen = ("--port", str(port), "--bind", "127.0.0.1", "--unixsocket", str(socket), "--dir", directory)
        command = ["redis-server", *listen, "--appendonly", "yes", "--save", ""]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                time.sleep(0.02)
            yield f"redis://127.0.0.1:{port}/0" if port else f"unix://{socket}"
        finally:
            process.kill()
            process.wait()
