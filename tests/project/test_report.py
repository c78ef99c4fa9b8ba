"""The report that `make demo` leaves can be read without a network, and asks for nothing."""

import importlib
import re
from pathlib import Path

import nbformat


def test_the_report_loads_nothing_from_elsewhere(root: Path) -> None:
    said = re.search(r"^HTML := --to ([\w.]+)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert said
    module, _, name = said[1].rpartition(".")
    exporter = getattr(importlib.import_module(module), name)()

    page, _ = exporter.from_notebook_node(nbformat.v4.new_notebook())

    assert re.findall(r"""(?:src|href|Src)\s*=\s*["']https?://[^"']*""", page) == []
