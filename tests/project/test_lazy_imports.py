"""Importing the packages is cheap, and a worker never loads what only notebooks need."""

import subprocess
import sys

import pytest

HEAVY = {"pandas", "numpy", "networkx", "IPython", "ipywidgets", "anywidget", "celery", "django", "redis"}
ENGINE = [
    "from triggers_nb import TriggerManager, CacheStorageBackend, TriggerTask, trigger_managers",
    "from triggers import TriggerManager, CacheStorageBackend, TriggerTask",
    "import triggers.runners, triggers.storages.base, triggers.storages.cache, triggers.exceptions, triggers.locking",
    "import triggers.testing",
]


def loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sorted(name.partition('.')[0] for name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


@pytest.mark.parametrize("package", ["triggers_nb", "triggers"])
def test_importing_the_package_loads_no_library(package: str) -> None:
    assert not loaded_by(f"import {package}") & (HEAVY | {"msgspec"})


@pytest.mark.parametrize("statement", ENGINE)
def test_the_engine_loads_no_notebook_library(statement: str) -> None:
    assert not loaded_by(statement) & HEAVY


def test_listing_the_public_names_loads_nothing() -> None:
    assert not loaded_by("import triggers_nb, triggers; dir(triggers_nb); dir(triggers); triggers_nb.__all__") & HEAVY
