"""Wheels and editable installs put both `triggers_nb` and `triggers` at the top level, without stale copies."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

Run = Callable[[str], str]
Install = Callable[[Path], Run]
PIP = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]


def python(*arguments: object, cwd: Path | None = None) -> str:
    """Run this interpreter and return what it prints."""
    command = [sys.executable, *map(str, arguments)]
    run = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def build(hook: str, source: Path, into: Path) -> Path:
    """Build a wheel or a source distribution by the hook that pip would call; nothing is downloaded."""
    into.mkdir()
    python("-c", f"from hatchling.build import {hook} as build; build({str(into)!r})", cwd=source)
    return next(into.iterdir())


@pytest.fixture
def source(root: Path, tmp_path: Path) -> Path:
    """A copy of what would be committed, so that nothing lands beside the real sources."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    copy = tmp_path / "source"
    for name in listing.stdout.splitlines():
        if (root / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((root / name).read_bytes())
    return copy


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Install into a new environment; what comes back runs code there and returns what it prints."""

    def install(wheel: Path) -> Run:
        venv.create(tmp_path / "env", with_pip=False, symlinks=True)
        interpreter = tmp_path / "env/bin/python"
        python("-m", "pip", "--python", interpreter, "install", *PIP, wheel)

        def run(code: str) -> str:
            done = subprocess.run([interpreter, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        return run

    return install


@pytest.fixture
def wheel(source: Path, tmp_path: Path) -> Path:
    return build("build_wheel", source, tmp_path / "wheel")


def test_the_wheel_installs_both_packages(wheel: Path, install: Install) -> None:
    run = install(wheel)
    assert run("import triggers_nb; print(triggers_nb.__version__)") == version("triggers-nb")
    assert "site-packages/triggers/" in run("import triggers; print(triggers.__file__)")
    run("import triggers.exceptions, triggers_nb; assert triggers.exceptions.with_context is triggers_nb.with_context")


def test_the_wheel_holds_every_module_once_and_nothing_else(wheel: Path, source: Path) -> None:
    built = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {str(path.relative_to(source)) for path in (source / "triggers_nb").rglob("*") if path.is_file()}
    assert built == {name.removeprefix("triggers_nb/compat/") for name in files}
    assert {"triggers/py.typed", "triggers_nb/py.typed", "triggers/storages/cache.py"} <= built


def test_the_wheel_announces_its_entry_points(wheel: Path, install: Install) -> None:
    run = install(wheel)
    code = "from importlib.metadata import entry_points as e; print(*sorted(p.name for p in e(group='triggers.{}')))"
    assert run(code.format("managers")) == "default flights"
    assert run(code.format("storages")) == "cache"
    assert run(code.format("runners")) == "celery threading"


def test_an_editable_install_shows_changes_of_both_packages(source: Path, install: Install, tmp_path: Path) -> None:
    run = install(build("build_editable", source, tmp_path / "editable"))
    for package, path in {"triggers_nb": "triggers_nb", "triggers": "triggers_nb/compat/triggers"}.items():
        assert run(f"import {package}; print({package}.__file__)") == str(source / path / "__init__.py")
        (source / path / "added.py").write_text("value = 'seen at once'\n")
        assert run(f"from {package}.added import value; print(value)") == "seen at once"
        (source / path / "added.py").unlink()
        assert run(f"import importlib.util as u; print(u.find_spec('{package}.added'))") == "None"


@pytest.mark.long
def test_the_source_distribution_builds_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    packed = build("build_sdist", source, tmp_path / "sdist")
    with tarfile.open(packed) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    again = build("build_wheel", next((tmp_path / "unpacked").iterdir()), tmp_path / "again")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())
