"""The repository holds what the layout names, and nothing of the machine that it was written on."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "benchmarks",
    "conftest.py", "docs", "environment.yml", "notebooks", "pyproject.toml", "tests", "triggers_nb",
}  # fmt: skip

#: `types` is the name of a module that applications import from the package `triggers`.
STDLIB_NAMES_ALLOWED = {"triggers_nb/compat/triggers/types.py"}

#: Hosts that packages come from.
REGISTRY_HOSTS = r"pypi[.]org|pythonhosted[.]|registry[.]npmjs|index[-]url"


@pytest.fixture(scope="module")
def tracked(root: Path) -> list[str]:
    """The files that git would commit."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return sorted({name for name in listing.stdout.split("\0") if name and (root / name).is_file()})


def test_the_top_level_is_as_laid_out(tracked: list[str]) -> None:
    assert {name.partition("/")[0] for name in tracked} <= TOP_LEVEL


def test_no_file_names_a_machine(root: Path, tracked: list[str]) -> None:
    here = [re.escape(f"{path}/") for path in (root, sys.prefix, Path.home())]
    pattern = re.compile("|".join([REGISTRY_HOSTS, *here]))
    found = {}
    for name in tracked:
        match = pattern.search((root / name).read_text("utf-8", errors="replace"))
        if match:
            found[name] = match[0]
    assert found == {}


def test_no_module_is_named_after_one_of_the_standard_library(tracked: list[str]) -> None:
    modules = [Path(name) for name in tracked if name.startswith("triggers_nb/") and name.endswith(".py")]
    named = [path.parent if path.stem == "__init__" else path for path in modules]
    clashes = {str(path) for path in named if path.stem in sys.stdlib_module_names}
    assert clashes <= STDLIB_NAMES_ALLOWED


def test_no_module_is_a_bag_of_anything(tracked: list[str]) -> None:
    assert [name for name in tracked if Path(name).stem in {"utils", "util", "helpers", "misc", "common"}] == []


@pytest.mark.parametrize("package", ["triggers_nb", "triggers_nb/compat/triggers"])
def test_type_hints_are_announced(root: Path, package: str) -> None:
    assert (root / package / "py.typed").is_file()
