"""How fast the session panel is in a real JupyterLab, and how much it sends.

    python benchmarks/bench_widgets.py [--rounds 5] [--load-s 10]

Starts a JupyterLab and a Chromium of its own. For sessions of 20, 1,000 and 10,000 instances on SQLite:

- first paint: from running the cell until counts and rows are on the screen (target: at 10,000 at most 3 times that
  at 20), and until picture and detail are, too;
- click round trip: from a click on a row until the detail of that instance is shown (target: below 100 ms);
- bytes of widget state a row, of the table and of everything (target: at most 300 at 10,000).

Then, while another process changes a session as fast as it can (up to 2,000 times a second): messages that reach the
page a second (target: at most 10), and how long after the last change the page shows it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Page, sync_playwright

import triggers_nb as tnb
from tests.browser.labs import Lab, launch

SIZES = (20, 1_000, 10_000)
RATE = 2_000

CONFIGURATION = {
    "t_import": {"andEvery": "scheduled", "after": ["weather"], "run": "app.Import"},
    "t_report": {"after": ["t_import", "closed"], "run": "app.Report"},
}

PAINT = """async (index) => {
  const app = window.jupyterapp, notebook = app.shell.currentWidget.content;
  notebook.activeCellIndex = index;
  const started = performance.now();
  void app.commands.execute("notebook:run-cell");
  const cell = notebook.widgets[index].node;
  const until = async (...parts) => {
    while (!parts.every((part) => cell.querySelector(part))) await new Promise(requestAnimationFrame);
    return performance.now() - started;
  };
  return [await until(".tnb-tr .tnb-chip", ".tnb-bar .tnb-chip"), await until("svg [data-node]", ".tnb-dhead")];
}"""

CLICK = """async (position) => {
  const panel = [...document.querySelectorAll(".tnb-panel")].at(-1);
  const row = panel.querySelector(`[data-position="${position}"]`);
  const name = row.querySelector(".tnb-k-name").textContent;
  const started = performance.now();
  row.click();
  while (panel.querySelector(".tnb-dhead b").textContent !== name) await new Promise(requestAnimationFrame);
  return performance.now() - started;
}"""

WRITER = f"""
import sys, time
import triggers_nb as tnb
manager = tnb.connect(sys.argv[1])["busy"].manager
started, n = time.perf_counter(), 0
while time.perf_counter() - started < float(sys.argv[2]):
    manager.update_instance_metadata("t_import#0", {{"n": n}})
    n += 1
    time.sleep(max(0, started + n / {RATE} - time.perf_counter()))
manager.update_instance_status("t_import#0", "finished")
print(n / (time.perf_counter() - started))
"""


def make_sessions(url: str) -> None:
    ws = tnb.connect(url)
    for uid, n in [*((str(n), n) for n in SIZES), ("busy", 20)]:
        manager = ws.create(uid, CONFIGURATION).manager
        for number in range(n):
            manager.fire("scheduled", {"flight": number})


def state_bytes(url: str, n: int) -> tuple[float, float]:
    """Bytes a row of the table's state, and of all state but the scripts and style sheets."""
    with tnb.connect(url)[str(n)].panel() as panel:
        table = len(json.dumps(panel.table.get_state(["rows"])))
        states = (panel.get_state(), panel.table.get_state(), panel.graph.get_state())
        whole = sum(
            len(json.dumps({k: v for k, v in s.items() if k not in ("_esm", "_css")}, default=str)) for s in states
        )
    return table / n, whole / n


@contextmanager
def opened(lab: Lab, page: Page, url: str, uid: str) -> Iterator[None]:
    cells = [f"import triggers_nb as tnb\nimport triggers_nb.notebook.panel\nws = tnb.connect({url!r})\nprint('ready')"]
    lab.write(f"{uid}.ipynb", [*cells, f"ws[{uid!r}].panel()"])
    lab.open(page, f"{uid}.ipynb")
    page.evaluate(
        "() => { const app = window.jupyterapp; app.shell.currentWidget.content.activeCellIndex = 0;"
        " void app.commands.execute('notebook:run-cell'); }"
    )
    page.wait_for_selector(".jp-OutputArea-output:has-text('ready')")
    yield
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")


def measure_size(lab: Lab, page: Page, url: str, n: int, rounds: int) -> dict[str, float]:
    """Medians of `rounds` notebooks, each with one panel, so that nothing is shared but the scripts of the page."""
    paints: list[list[float]] = []
    clicks: list[float] = []
    for _ in range(rounds):
        with opened(lab, page, url, str(n)):
            paints.append(page.evaluate(PAINT, 1))
            clicks += [page.evaluate(CLICK, position) for position in range(1, 9)]
    table, whole = state_bytes(url, n)
    return {
        "first paint ms": statistics.median(first for first, _ in paints),
        "complete ms": statistics.median(complete for _, complete in paints),
        "click ms": statistics.median(clicks),
        "table B/row": table,
        "state B/row": whole,
    }


def measure_load(lab: Lab, page: Page, url: str, load_s: float) -> None:
    moments: list[float] = []

    def note(frame: object) -> None:
        if b"comm_msg" in (frame if isinstance(frame, bytes) else str(frame).encode()):
            moments.append(time.perf_counter())

    page.on("websocket", lambda socket: socket.on("framereceived", note))
    with opened(lab, page, url, "busy"):
        page.evaluate(PAINT, 1)
        moments.clear()
        started = time.perf_counter()
        writer = subprocess.Popen([sys.executable, "-c", WRITER, url, str(load_s)], stdout=subprocess.PIPE, text=True)
        while writer.poll() is None:
            page.wait_for_timeout(50)
        ended = time.perf_counter()
        page.locator(".tnb-tr", has_text="t_import#0").first.locator(".tnb-s-finished").wait_for(timeout=20_000)
        shown = time.perf_counter()
        busy = [moment for moment in moments if moment <= ended]
        most = max(sum(1 for other in busy if start <= other < start + 1) for start in busy)
        rate = float(writer.stdout.read()) if writer.stdout else 0.0
    print(
        f"under {rate:,.0f} changes/s: {len(busy) / (ended - started):.1f} messages/s (at most {most} within a second)"
    )
    print(f"the last change is on the screen {shown - ended:.2f} s after the writer has ended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--load-s", type=float, default=10.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        os.environ["TRIGGERS_JOURNAL"] = str(Path(folder) / "journal.jsonl")
        url = f"sqlite:///{folder}/bench.db"
        make_sessions(url)
        lab = Lab(Path(folder) / "lab")
        browser = launch(playwright)
        try:
            lab.wait()
            results = {n: measure_size(lab, lab.page(browser), url, n, options.rounds) for n in SIZES}
            names = list(results[SIZES[0]])
            print("instances".rjust(10), *(name.rjust(14) for name in names))
            for n, row in results.items():
                print(f"{n:>10,}", *(f"{row[name]:>14.1f}" for name in names))
            ratio = results[SIZES[-1]]["first paint ms"] / results[SIZES[0]]["first paint ms"]
            print(f"first paint at 10,000 / at 20: {ratio:.2f}")
            measure_load(lab, lab.page(browser), url, options.load_s)
        finally:
            browser.close()
            lab.stop()


if __name__ == "__main__":
    main()
