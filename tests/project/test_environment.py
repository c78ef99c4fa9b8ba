"""environment.yml, pyproject.toml, README, Makefile and .ci/run say the same."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]


def expand(project: dict[str, Any], extra: str) -> set[str]:
    """The requirements of an extra, those of the extras that it names included."""
    found: set[str] = set()
    for requirement in project["optional-dependencies"][extra]:
        named = re.fullmatch(r"triggers-nb\[(.*)\]", requirement)
        found |= set().union(*(expand(project, each) for each in named[1].split(","))) if named else {requirement}
    return found


def test_environment_yml_asks_for_what_pyproject_asks_for(root: Path, project: dict[str, Any]) -> None:
    environment = yaml.safe_load((root / "environment.yml").read_text("utf-8"))
    *conda, last = environment["dependencies"]
    assert environment["name"] == project["name"]
    assert conda == [f"python{project['requires-python']}", "pip"]
    assert last["pip"] == [*sorted({*project["dependencies"], *expand(project, "all")}), "--editable ."]


def test_the_extra_all_is_every_extra_of_users(project: dict[str, Any]) -> None:
    users = set(project["optional-dependencies"]) - {"all", "test"}
    assert expand(project, "all") == set().union(*(expand(project, extra) for extra in users))


def test_every_requirement_has_a_lower_bound(project: dict[str, Any]) -> None:
    every = {*project["dependencies"], *expand(project, "all"), *expand(project, "test")}
    assert [each for each in every if not re.fullmatch(r"[a-z0-9-]+>=[0-9.]+(,<[0-9.]+)?", each)] == []


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_a_newcomers_commands_are_in_the_readme_and_run_by_ci(root: Path, command: str) -> None:
    target = command.removeprefix("make ")
    assert re.search(rf"^{command}$", (root / "README.md").read_text("utf-8"), re.MULTILINE)
    assert re.search(rf"^step {command}$", (root / ".ci/run").read_text("utf-8"), re.MULTILINE)
    assert re.search(rf"^{target}:", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
