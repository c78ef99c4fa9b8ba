"""The core decides; it reads no clock, draws no lots, and touches nothing outside."""

import ast
from pathlib import Path

import pytest

#: What a module of the core may import, besides modules of the core and the errors.
PURE = {
    "__future__", "collections", "collections.abc", "datetime", "decimal", "difflib", "logging", "math", "struct",
    "traceback", "typing", "unicodedata", "uuid", "zoneinfo", "msgspec", "msgspec.msgpack",
}  # fmt: skip
#: Names of pure modules that are not pure.
IMPURE_CALLS = {"now", "today", "utcnow", "uuid1", "uuid4", "getLogger", "print", "open", "input", "eval", "exec"}

CORE = sorted((Path(__file__).parents[2] / "triggers_nb" / "core").glob("*.py"))


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_a_module_of_the_core_does_no_io(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module or "")
    ours = {name for name in imported if name == "triggers_nb.errors" or name.startswith("triggers_nb.core")}
    assert imported - ours <= PURE

    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    names = {func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "") for func in calls}
    assert not names & IMPURE_CALLS
