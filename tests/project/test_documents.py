"""What README.md and docs/engine.md show runs as it stands there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import triggers_nb
from triggers_nb import storage_backends, task_runners, trigger_managers

ENGINE = """
import doctest, pathlib, re, sys
text = pathlib.Path(sys.argv[1]).read_text("utf-8")
blocks = "\\n".join(re.findall(r"^```pycon\\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
test = doctest.DocTestParser().get_doctest(blocks, {"__name__": "page"}, "engine.md", "engine.md", 0)
result = doctest.DocTestRunner().run(test)
print(result.attempted)
sys.exit(bool(result.failed))
"""


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(code: str, *arguments: str, cwd: Path) -> str:
    """Run code in a process of its own, so that what it registers stays there."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_readme_does_what_it_says(root: Path, tmp_path: Path) -> None:
    configure, look = blocks(root / "README.md", "python")
    join = "from triggers_nb.runners import ThreadingTaskRunner\nThreadingTaskRunner.join_all()\n"
    tell = "print([(i.name, i.status, i.metadata['result']) for i in manager.storage])\n"
    look = look.replace("plan.preview()", "print(plan.preview().to_string())")
    code = "\n".join([configure, join, look, join, tell])

    said = run(code, cwd=tmp_path)

    assert "t_greet#1" in said.partition("[(")[0]  # the preview shows something
    assert said.splitlines()[-1] == str([
        ("t_greet#0", "finished", {"greeting": "Hello Ada"}),
        ("t_greet#1", "finished", {"greeting": "Hello Grace"}),
    ])  # fmt: skip
    assert (tmp_path / "triggers.db").exists()


def test_the_page_on_the_engine_says_what_happens(root: Path, tmp_path: Path) -> None:
    said = run(ENGINE, str(root / "docs/engine.md"), cwd=tmp_path)
    assert int(said.splitlines()[-1]) > 20
    assert list(tmp_path.glob("*.db")) == []


def test_its_entry_points_are_of_the_groups_that_there_are(root: Path) -> None:
    [block] = blocks(root / "docs/engine.md", "toml")
    groups = tomllib.loads(block)["project"]["entry-points"]
    assert set(groups) == {registry.group for registry in (trigger_managers, storage_backends, task_runners)}


def test_no_block_is_left_out(root: Path) -> None:
    languages = re.findall(r"^```(\w+)$", (root / "docs/engine.md").read_text("utf-8"), re.MULTILINE)
    assert set(languages) == {"pycon", "toml"}


def test_every_setting_is_listed(root: Path) -> None:
    package = Path(triggers_nb.__file__).parent
    read = {
        name for path in package.rglob("*.py") for name in re.findall(r"\bTRIGGERS_[A-Z_]+", path.read_text("utf-8"))
    }
    listed = re.findall(r"^\| `(TRIGGERS_\w+)`", (root / "docs/engine.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(read)


@pytest.mark.parametrize("page", ["README.md", "docs/engine.md", "docs/celery.md"])
def test_links_lead_somewhere(root: Path, page: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (root / page).read_text("utf-8"))
    assert [target for target in targets if not (root / os.path.dirname(page) / target).exists()] == []  # noqa: PTH120
