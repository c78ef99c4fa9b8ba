"""A module imports its own layer or lower ones, never higher; each library is imported where it belongs."""

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = "triggers_nb"

#: Module, or `package.*` for it and all below it → layer; the longest match counts. A module missing here fails.
LAYERS = {
    "triggers_nb.errors": 0,
    "triggers_nb.settings": 0,
    "triggers_nb.redaction.*": 0,
    "triggers_nb.core.*": 1,
    "triggers_nb.storages.*": 2,
    "triggers_nb.registry": 2,
    "triggers_nb.patcher": 2,
    "triggers_nb.runners.base": 2,
    "triggers_nb.manager": 3,
    "triggers_nb.task": 4,
    "triggers_nb.runners.threads": 5,
    "triggers_nb.runners.celery": 5,
    "triggers_nb.testing": 5,
    "triggers_nb.recovery": 5,
    "triggers_nb.analysis.*": 6,
    "triggers_nb.render.*": 7,
    "triggers_nb.access": 8,
    "triggers_nb.changes": 8,
    "triggers_nb.session_views": 8,
    "triggers_nb.views": 8,
    "triggers_nb.workspace": 8,
    "triggers_nb.session": 8,
    "triggers_nb.plan.*": 8,
    "triggers_nb.journal": 8,
    "triggers_nb.incidents.*": 9,
    "triggers_nb.notebook.*": 10,
    "triggers_nb.__main__": 10,
    "triggers_nb.cli": 10,
    "triggers_nb.cli_reading": 10,
    "triggers_nb.demo.*": 10,
    "triggers": 11,
    "triggers.*": 11,
}

#: Packages that load names of any layer when they are first used; whoever imports such a name imports its module.
FACADES = {"triggers_nb": 0, "triggers_nb.runners": 2}

#: Thin methods of the wrapper that import upward, inside the function.
UPWARD_METHODS = {
    "triggers_nb.workspace": {"triage", "snapshot", "incident"},
    "triggers_nb.session": {"panel", "snapshot", "incident"},
}

#: Library → the only places that import it.
LIBRARIES = {
    "celery": {"triggers_nb.runners.celery", "triggers_nb.demo.app"},
    "django": {"triggers_nb.storages.*"},
    "redis": {"triggers_nb.storages.*"},
    "IPython": {"triggers_nb.notebook.*"},
    "ipywidgets": {"triggers_nb.notebook.*"},
    "anywidget": {"triggers_nb.notebook.*"},
}

#: Libraries that a worker and a web process do without: nothing up to this layer imports them.
ENGINE_TOP = 5
NOT_IN_ENGINE = {"pandas", "numpy", "networkx", "pyarrow", "graphlay", "rich", "tqdm", "pygments"}
ALLOWED_IN_CORE = {"msgspec"}


@dataclass(frozen=True)
class Import:
    target: str
    function: str | None  # the innermost function that the import stands in
    line: int


def module_files(root: Path) -> dict[str, Path]:
    """Dotted name → file of every module of ours, the alias package included."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if parts[:2] == (PACKAGE, "compat"):
            parts = parts[2:]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def table_match(module: str, table: dict[str, int] | set[str]) -> str | None:
    """The longest entry of a table that covers the module."""
    matches = [each for each in table if each == module or (each.endswith(".*") and f"{module}.".startswith(each[:-1]))]
    return max(matches, key=len, default=None)


def layer_of(module: str) -> int | None:
    if module in FACADES:
        return FACADES[module]
    match = table_match(module, LAYERS)
    return None if match is None else LAYERS[match]


def imports_of(source: str, known: set[str]) -> Iterator[Import]:
    """Every import statement and every `import_module` of a literal, wherever it stands."""

    def visit(node: ast.AST, function: str | None) -> Iterator[Import]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, function, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            for alias in node.names:
                yield Import(from_target(str(node.module), alias.name, known), function, node.lineno)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return  # names for annotations only: nothing is imported
        elif is_dynamic_import(node):
            yield Import(node.args[0].value, function, node.lineno)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    yield from visit(ast.parse(source), None)


def from_target(module: str, name: str, known: set[str]) -> str:
    """The module that `from module import name` loads."""
    if f"{module}.{name}" in known:
        return f"{module}.{name}"
    if module in FACADES:
        table = getattr(importlib.import_module(module), "_MODULES", {})
        return table.get(name, module)
    return module


def is_dynamic_import(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] in {"import_module", "__import__"}
        and bool(node.args)
        and isinstance(node.args[0], ast.Constant)
    )


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in {PACKAGE, "triggers"}


def offences(module: str, source: str, known: set[str]) -> list[str]:
    """What a module imports and must not."""
    layer = layer_of(module)
    if layer is None:
        return [f"{module} is in no layer: add it to the table"]
    if module in FACADES:
        return []
    found = []
    for each in imports_of(source, known):
        where = f"{module}:{each.line} (layer {layer}) imports {each.target}"
        if is_ours(each.target):
            above = layer_of(each.target)
            exempt = each.function in UPWARD_METHODS.get(module, ())
            if above is None:
                found.append(f"{where}, which is in no layer")
            elif above > layer and not exempt:
                found.append(f"{where} (layer {above})")
        else:
            found.extend(f"{where}, {why}" for why in library_offences(module, layer, each.target.partition(".")[0]))
    return found


def library_offences(module: str, layer: int, library: str) -> Iterator[str]:
    if library in LIBRARIES and table_match(module, LIBRARIES[library]) is None:
        yield f"which belongs into {', '.join(LIBRARIES[library])}"
    if layer <= ENGINE_TOP and library in NOT_IN_ENGINE:
        yield "which the engine does without"
    if module.startswith("triggers_nb.core") and library not in sys.stdlib_module_names | ALLOWED_IN_CORE:
        yield "but the core is the standard library and msgspec alone"


def test_every_module_imports_its_own_layer_or_lower(root: Path) -> None:
    files = module_files(root)
    found = [line for name, path in files.items() for line in offences(name, path.read_text("utf-8"), set(files))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("triggers_nb.core.slice", "from triggers_nb.storages.base import Storage"),
        ("triggers_nb.core.slice", "def f():\n    from triggers_nb.manager import TriggerManager"),
        ("triggers_nb.manager", "from triggers_nb.runners import ThreadingTaskRunner"),
        ("triggers_nb.manager", "from triggers_nb import TriggerTask"),
        ("triggers_nb.manager", "import importlib\nimportlib.import_module('triggers_nb.runners.threads')"),
        ("triggers_nb.session", "from triggers_nb.notebook.panel import Panel"),
        ("triggers_nb.session", "def tasks(self):\n    from triggers_nb.notebook.panel import Panel"),
        ("triggers_nb.core.codec", "import pandas"),
        ("triggers_nb.core.codec", "import redis"),
        ("triggers_nb.storages.redis", "import numpy as np"),
        ("triggers_nb.render.graph", "from IPython.display import HTML"),
        ("triggers_nb.task", "from celery import Task"),
        ("triggers_nb.unheard_of", ""),
        ("triggers_nb.task", "import triggers_nb.unheard_of"),
    ],
)
def test_an_import_that_points_upward_is_found(module: str, source: str) -> None:
    known = {"triggers_nb.notebook.panel", "triggers_nb.storages.base", "triggers_nb.runners.threads"}
    assert offences(module, source, known)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("triggers_nb.core.slice", "from triggers_nb.core.status import Status\nimport msgspec, json"),
        ("triggers_nb.task", "from triggers_nb.manager import TriggerManager"),
        ("triggers_nb.manager", "from triggers_nb import AttrPatcher"),
        ("triggers_nb.session", "def panel(self):\n    from triggers_nb.notebook.panel import Panel"),
        ("triggers_nb.storages.redis", "import redis"),
        ("triggers_nb.analysis.frames", "import pandas as pd, networkx as nx"),
    ],
)
def test_an_import_that_points_down_is_not(module: str, source: str) -> None:
    assert offences(module, source, set()) == []
