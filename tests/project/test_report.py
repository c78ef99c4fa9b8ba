"""The report that `make demo` leaves can be read without a network, and asks for nothing."""

import re
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter


def test_the_report_loads_nothing_from_elsewhere(root: Path) -> None:
    said = re.search(r"^HTML := --to html ((?:.*\\\n)*.*)$", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert said
    options = dict(re.findall(r"--HTMLExporter\.(\w+)=(\S*)", said[1]))

    page, _ = HTMLExporter(**options).from_notebook_node(nbformat.v4.new_notebook())

    assert re.findall(r"""(?:src|href|Src)\s*=\s*["']https?://[^"']*""", page) == []
