"""The public names are listed, sorted, there, and the same for type checkers."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {"triggers_nb": "triggers_nb", "triggers": "triggers_nb/compat/triggers"}


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_sorted_and_unique(package: str) -> None:
    names = importlib.import_module(package).__all__
    assert names == sorted(set(names))


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in PACKAGES for name in importlib.import_module(package).__all__]
)
def test_every_public_name_is_there(package: str, name: str) -> None:
    module = importlib.import_module(package)
    value = getattr(module, name)
    assert value is getattr(importlib.import_module(module._MODULES[name]), name)
    assert name in dir(module)


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_see_the_same_names(package: str, root: Path) -> None:
    tree = ast.parse((root / PACKAGES[package] / "__init__.py").read_text("utf-8"))
    block = next(each for each in tree.body if isinstance(each, ast.If) and ast.unparse(each.test) == "TYPE_CHECKING")
    seen = [alias.asname for each in block.body if isinstance(each, ast.ImportFrom) for alias in each.names]
    assert sorted(map(str, seen)) == importlib.import_module(package).__all__


@pytest.mark.parametrize("package", PACKAGES)
def test_star_import_gives_all_of_them(package: str) -> None:
    code = f"from {package} import *\nimport {package}\nprint(set({package}.__all__) - set(globals()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.stdout == "set()\n", run.stderr


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        importlib.import_module(package).no_such_name  # noqa: B018


def test_the_version_is_that_of_the_distribution(root: Path) -> None:
    import tomllib

    import triggers_nb

    declared = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert triggers_nb.__version__ == declared
