"""A JupyterLab of one's own, and a browser that reaches nothing else."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, Playwright, Route, expect

from tests.ports import free_port

#: What waits for the page is given up after this.
TIMEOUT_MS = 240_000

expect.set_options(timeout=TIMEOUT_MS)

_BROWSER = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync")

_READY = """() => {
  const panel = window.jupyterapp?.shell?.currentWidget;
  if (!panel?.sessionContext?.isReady) return false;
  const kernel = panel.sessionContext.session?.kernel;
  return kernel?.connectionStatus === "connected" && kernel?.status === "idle";
}"""


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, else the one that Playwright has installed."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    return playwright.chromium.launch(executable_path=path, args=list(_BROWSER))


class Lab:
    """A running server; `requests` are the URLs beyond it that pages asked for."""

    def __init__(self, root: Path, app: str = "jupyterlab") -> None:
        self.root, self.app = root, app
        self.token = secrets.token_hex(8)
        self.requests: list[str] = []
        self.notebooks = root / "notebooks"
        self.notebooks.mkdir(parents=True)
        self.port = free_port()
        self._write_settings("apputils-extension", "notification", {"fetchNews": "false", "checkForUpdates": False})
        directories = {f"JUPYTER_{name}_DIR": str(root / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
        environment = {**os.environ, **directories, "IPYTHONDIR": str(root / "ipython"), "JUPYTER_PREFER_ENV_PATH": "1"}
        environment["TRIGGERS_JOURNAL"] = str(root / "journal.jsonl")
        command = [sys.executable, "-m", app, "--no-browser", "--allow-root", "--expose-app-in-browser"]
        command += [f"--ServerApp.port={self.port}", f"--IdentityProvider.token={self.token}"]
        command += [f"--ServerApp.root_dir={self.notebooks}", "--ServerApp.port_retries=0"]
        with (root / "server.log").open("w") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)

    def set_theme(self, name: str) -> None:
        """Choose the theme of pages that are opened from now on."""
        self._write_settings("apputils-extension", "themes", {"theme": name})

    def _write_settings(self, extension: str, plugin: str, settings: dict[str, Any]) -> None:
        folder = self.root / "config" / "lab" / "user-settings" / "@jupyterlab" / extension
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{plugin}.jupyterlab-settings").write_text(json.dumps(settings))

    def wait(self) -> None:
        """Wait until the server answers."""
        deadline = time.monotonic() + TIMEOUT_MS / 1000
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError((self.root / "server.log").read_text())
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise RuntimeError("the server does not answer")

    def stop(self) -> None:
        """End the server and its kernels."""
        self.process.terminate()
        self.process.wait(TIMEOUT_MS / 1000)

    def page(self, browser: Browser, width: int = 1400, height: int = 1100, scheme: Any = "light") -> Page:
        """Open a window of the browser that reaches this server and nothing else."""
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(TIMEOUT_MS)
        page = context.new_page()
        page.route("**/*", self._guard)
        return page

    def _guard(self, route: Route) -> None:
        url = route.request.url
        if url.startswith((f"http://127.0.0.1:{self.port}", "data:", "blob:")):
            route.continue_()
        else:
            self.requests.append(url)
            route.abort()

    def write(self, name: str, cells: Sequence[str]) -> Path:
        """Write a notebook."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        path = self.notebooks / name
        nbformat.write(notebook, path)
        return path

    def open(self, page: Page, name: str) -> None:
        """Open a notebook, and wait for its kernel."""
        where = "lab/tree" if self.app == "jupyterlab" else "notebooks"
        page.goto(f"http://127.0.0.1:{self.port}/{where}/{name}?token={self.token}&reset")
        page.wait_for_function(_READY, timeout=TIMEOUT_MS)

    def run(self, page: Page, name: str, cells: Sequence[str]) -> None:
        """Write and open a notebook, and run all of its cells without waiting for them."""
        self.write(name, cells)
        self.open(page, name)
        self.run_all(page)

    def run_all(self, page: Page) -> None:
        """Run all cells of the open notebook without waiting for them."""
        page.evaluate("() => { void window.jupyterapp.commands.execute('notebook:run-all-cells'); }")

    def save(self, page: Page) -> None:
        """Save the open notebook."""
        page.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")
