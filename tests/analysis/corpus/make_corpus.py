"""Make ``tracebacks.json``: errors that are really raised, by real libraries, in a small fake application.

``python make_corpus.py PYTHON …`` runs the calls of ``scenarios.py`` under each of the given interpreters (which need
the libraries that ``app/`` imports; a redis-server is started): each group under one of them, from two copies of the
application with other line numbers. What is written down names paths of four made-up machines instead of this one's.
A third of the groups, chosen by a hash of their labels, is held out: nothing was tuned on it.
"""

from __future__ import annotations

import faulthandler
import hashlib
import http.server
import json
import random
import re
import socket
import socketserver
import subprocess
import sys
import sysconfig
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
RECURSION_LIMIT = 180
WORKER = """

def execute(function, args, kwargs):
    return call(function, args, kwargs)


def call(function, args, kwargs):
    return function(*args, **kwargs)
"""


class Machine(NamedTuple):
    """Where things are on a made-up machine; `{}` stands for the version of Python."""

    application: str
    library: str
    packages: str
    windows: bool = False


MACHINES = (
    Machine("/srv/flights/app", "/usr/lib/python{}", "/opt/venv/lib/python{}/site-packages"),
    Machine("C:/services/flights/app", "C:/Python/Lib", "C:/venvs/flights/Lib/site-packages", windows=True),
    Machine(
        "/home/deploy/releases/20260318/app", "/usr/local/lib/python{}", "/home/deploy/.venv/lib/python{}/site-packages"
    ),
    Machine("/app/app", "/opt/python/lib/python{}", "/opt/python/lib/python{}/site-packages"),
)


def held_out(label: str) -> bool:
    """Tell whether a group is set aside, decided by its label alone."""
    return int(hashlib.sha256(label.encode()).hexdigest(), 16) % 3 == 0


class Weather(http.server.BaseHTTPRequestHandler):
    """A weather service that answers with the status that the path asks for."""

    def do_GET(self) -> None:
        status = {"missing": 404, "broken": 500, "busy": 503}.get(self.path.split("/")[1], 200)
        health = re.match(r"/(\d+)/health", self.path)
        body = json.dumps({"status": int(health[1])}) if health else "<html>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: Any) -> None:
        pass


class Garbage(socketserver.BaseRequestHandler):
    """A server that answers with something that is no protocol at all."""

    def handle(self) -> None:
        self.request.recv(100)
        self.request.sendall(b"oops, this is no answer\r\n\r\n")


class Silent(socketserver.BaseRequestHandler):
    """A server that never answers."""

    def handle(self) -> None:
        self.request.settimeout(5)
        while self.request.recv(100):
            pass


@contextmanager
def serve(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serve_redis() -> Iterator[str]:
    port = free_port()
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            any("Ready to accept connections" in line for line in server.stdout)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()


def write_application(root: Path, seed: int) -> None:
    """Write the application, every definition moved down by some lines."""
    shift = random.Random(seed)
    for source in (HERE / "app").rglob("*.py.txt"):
        target = root / source.relative_to(HERE).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = []
        for line in source.read_text().split("\n"):
            if line.startswith(("def ", "class ", "@")) and "plugins" not in source.parts:
                lines += ["# moved"] * shift.randrange(4)
            lines.append(line)
        target.write_text("\n".join(lines))
    worker = root / "packages" / "triggers_nb" / "task.py"
    worker.parent.mkdir(parents=True)
    (worker.parent / "__init__.py").touch()
    worker.write_text(WORKER)


def raise_all(root: Path) -> list[list[dict[str, str]]]:
    """Run every call of every group, and return what was raised."""
    sys.path[:0] = [str(root), str(root / "packages"), str(HERE)]
    scenarios = __import__("scenarios")
    (root / "work" / "day1").mkdir(parents=True)
    (root / "work" / "file1").touch()
    (root / "work" / "file2").touch()
    with serve(Weather) as web, serve(Garbage) as garbage, serve(Silent) as silent, serve_redis() as redis:
        fixtures = scenarios.Fixtures(free_port(), f"http://127.0.0.1:{web}", garbage, silent, redis, root / "work")
        return [[raised(group, call, fixtures) for call in group.calls] for group in scenarios.groups()]


def raised(group: Any, call: Any, fixtures: Any) -> dict[str, str]:
    module, _, name = group.function.partition(":")
    args = call(fixtures) if callable(call) else call
    args, kwargs = ((), args) if isinstance(args, dict) else (args, {})
    execute = __import__("triggers_nb.task", fromlist=["execute"]).execute
    function = getattr(__import__(module, fromlist=[name]), name)
    sys.setrecursionlimit(RECURSION_LIMIT if module.endswith("trees") else 1000)
    try:
        execute(function, args, kwargs)
    except Exception as error:
        sys.setrecursionlimit(1000)
        frames = error.__traceback__.tb_next if error.__traceback__ else None  # this function is not part of the story
        text = "".join(traceback.format_exception(error.with_traceback(frames)))
        return {"type": type(error).__qualname__, "message": str(error), "traceback": text}
    raise AssertionError(f"{group.label}: {call} raises nothing")


def rename_paths(text: str, root: Path, places: dict[str, str], machine: Machine, version: str) -> str:
    """Replace the paths of this machine by those of another."""
    targets = {
        str(root / "packages"): machine.packages,
        str(root / "work"): "/var/flights",
        str(root / "app"): machine.application,
        places["purelib"]: machine.packages,
        places["stdlib"]: machine.library,
        places["executable"]: "/opt/venv/bin/python",
    }
    for source, target in targets.items():
        target = target.format(version)
        rest = re.compile(re.escape(source) + r"((?:/[\w.@-]+)*)")
        if machine.windows and target.startswith("C:"):
            text = rest.sub(lambda found, target=target: (target + found[1]).replace("/", "\\"), text)
        else:
            text = rest.sub(lambda found, target=target: target + found[1], text)
    return text


def run_child(python: str, seed: int) -> list[list[dict[str, str]]]:
    """Raise everything in another interpreter; every error comes as seen on each machine."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        write_application(root, seed)
        output = subprocess.run(
            [python, "-I", __file__, "--child", str(root)], check=True, capture_output=True, text=True
        )
        answer = json.loads(output.stdout.splitlines()[-1])
        return [
            [localise(error, root, answer, seed + number) for number, error in enumerate(calls)]
            for calls in answer["errors"]
        ]


def localise(error: dict[str, str], root: Path, answer: dict[str, Any], number: int) -> dict[str, str]:
    machine = MACHINES[number % len(MACHINES)]
    return {key: rename_paths(text, root, answer["places"], machine, answer["version"]) for key, text in error.items()}


def main(pythons: list[str]) -> None:
    sys.path.insert(0, str(HERE))
    scenarios = __import__("scenarios")
    runs = [[run_child(python, seed) for seed in (number, number + 10)] for number, python in enumerate(pythons)]
    corpus = []
    for position, group in enumerate(scenarios.groups()):
        for number in range(len(group.calls)):
            error = runs[position % len(runs)][number % 2][position][number]
            corpus.append({"group": group.label, "held_out": held_out(group.label), **error})
    text = json.dumps(corpus, ensure_ascii=False, indent=1)
    for name in ("/work", "/tmp", "/root", str(Path.home()), sys.prefix):
        assert name not in text, f"{name} is in the corpus: …{text[text.index(name) - 200 : text.index(name) + 100]}…"
    (HERE / "tracebacks.json").write_text(text + "\n")
    print(len(corpus), "tracebacks in", len({row["group"] for row in corpus}), "groups")


def child(root: Path) -> None:
    faulthandler.dump_traceback_later(120, exit=True)
    paths = sysconfig.get_paths()
    places = {"purelib": paths["purelib"], "stdlib": paths["stdlib"], "executable": sys.executable}
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    print(json.dumps({"places": places, "version": version, "errors": raise_all(root)}))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(Path(sys.argv[2]))
    else:
        main(sys.argv[1:])
