"""Time of ``import triggers_nb`` over bare Python, and of what else people import first.

Run it as ``python benchmarks/bench_import.py``: a fresh interpreter each time, the imports in turn, medians.
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 15
IMPORTS = {
    "bare Python": "pass",
    "import triggers_nb": "import triggers_nb",
    "import triggers": "import triggers",
    "from triggers import TriggerManager": "from triggers import TriggerManager",
    "triggers_nb.connect": "import triggers_nb; triggers_nb.connect",
}


def seconds(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - started


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(ROUNDS + 1):
        for name, code in IMPORTS.items():
            times[name].append(seconds(code))
    bare = statistics.median(times["bare Python"][1:])
    for name, found in times.items():
        median = statistics.median(found[1:])
        print(f"{name:38} {median * 1000:7.1f} ms   over bare Python {(median - bare) * 1000:7.1f} ms")


if __name__ == "__main__":
    main()
