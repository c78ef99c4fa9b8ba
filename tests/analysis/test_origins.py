"""Application frames are told from library frames, on any machine."""

import pytest

from triggers_nb.analysis.origins import Origin, find_application, find_origin
from triggers_nb.analysis.tracebacks import parse

APPLICATION = {
    "/srv/app/tasks/seats.py": "tasks.seats",
    "C:\\services\\app\\tasks\\seats.py": "tasks.seats",
    "C:/services/app/tasks/seats.py": "tasks.seats",
    "/home/ann/my-project/seats.py": "seats",
    "/home/ann/src/seats.py": "seats",
    "seats.py": "seats",
    "./tasks/seats.py": "tasks.seats",
    "/srv/app/tasks/__init__.py": "app.tasks",
    "/srv/app/lib/seats.py": "seats",
    "C:\\services\\lib\\seats.py": "seats",
    "<stdin>": "<cell>",
    "<ipython-input-3-1a2b>": "<cell>",
    "/tmp/ipykernel_123/456.py": "<cell>",
    "<string>": "<string>",
    "/opt/venv/lib/python3.11/site-packages/triggers_nb/demo/tasks.py": "triggers_nb.demo.tasks",
    "/work/triggers_nb/tests/test_tasks.py": "tests.test_tasks",
}
LIBRARIES = {
    "/opt/venv/lib/python3.11/site-packages/pandas/core/frame.py": "pandas.core.frame",
    "C:\\venvs\\app\\Lib\\site-packages\\pandas\\core\\frame.py": "pandas.core.frame",
    "/usr/lib/python3/dist-packages/requests/api.py": "requests.api",
    "/opt/eggs/site-packages/Mako-1.0-py3.8.egg/mako/ast.py": "mako.ast",
    "/usr/lib/python3.11/json/decoder.py": "json.decoder",
    "/usr/local/lib/python3.13t/json/__init__.py": "json",
    "C:\\Python313\\Lib\\json\\decoder.py": "json.decoder",
    "/usr/lib64/pypy3.10/json/decoder.py": "json.decoder",
    "/srv/python312.zip/json/decoder.py": "json.decoder",
    "<frozen importlib._bootstrap>": "<frozen importlib._bootstrap>",
    "<__array_function__ internals>": "<__array_function__ internals>",
    "/home/ann/triggers_nb/triggers_nb/runners/threads.py": "triggers_nb.runners.threads",
    "/home/ann/triggers_nb/triggers_nb/task.py": "triggers_nb.task",
}


@pytest.mark.parametrize(("file", "module"), APPLICATION.items())
def test_the_application_is_what_is_in_no_library(file: str, module: str) -> None:
    assert find_origin(file) == Origin("application", module)


@pytest.mark.parametrize(("file", "module"), LIBRARIES.items())
def test_libraries_are_told(file: str, module: str) -> None:
    origin = find_origin(file)
    assert origin.kind != "application"
    assert origin.module == module


@pytest.mark.parametrize(
    ("prefix", "file", "module"),
    [
        ("/srv/app", "/srv/app/tasks/seats.py", "tasks.seats"),
        ("/srv/app/", "/srv/app/seats.py", "seats"),
        ("C:\\services\\app", "C:\\services\\app\\seats.py", "seats"),
        ("app", "/opt/venv/lib/python3.11/site-packages/app/tasks/seats.py", "app.tasks.seats"),
        ("app.tasks", "/srv/x/app/tasks/seats.py", "app.tasks.seats"),
        ("app", "/srv/app.py", "app"),
        ("app", "app/seats.py", "app.seats"),
    ],
)
def test_prefixes_are_folders_or_packages(prefix: str, file: str, module: str) -> None:
    origin = find_origin(file, (prefix,))
    assert (origin.kind, origin.module) == ("application", module)


@pytest.mark.parametrize("file", ["/srv/application/seats.py", "/srv/other/seats.py", "/srv/myapp/seats.py"])
@pytest.mark.parametrize("prefix", ["/srv/app", "app"])
def test_with_prefixes_nothing_else_is_the_application(prefix: str, file: str) -> None:
    assert find_origin(file, (prefix,)).kind != "application"


def traceback_of(*files: str) -> str:
    frames = "".join(f'  File "{file}", line 1, in run\n    x()\n' for file in files)
    return f"Traceback (most recent call last):\n{frames}KeyError: 'x'\n"


def test_an_installed_application_is_found_below_what_runs_tasks() -> None:
    packages = "/opt/venv/lib/python3.11/site-packages"
    story = parse(
        traceback_of(
            f"{packages}/celery/app/trace.py", f"{packages}/triggers_nb/task.py", f"{packages}/booking/tasks.py",
            f"{packages}/pandas/core/frame.py", f"{packages}/booking/rows.py",
        )
    )  # fmt: skip
    found = find_application(story).find_places(story.final.frames)
    assert found == ["booking.tasks:run", "booking.rows:run"]


def test_prefixes_that_nothing_is_in_are_ignored() -> None:
    story = parse(traceback_of("/srv/app/tasks/seats.py", "/usr/lib/python3.11/json/decoder.py"))
    assert find_application(story, ("other",)).find_places(story.final.frames) == ["tasks.seats:run"]


def test_library_code_alone_has_no_places() -> None:
    story = parse(traceback_of("/usr/lib/python3.11/json/decoder.py"))
    assert find_application(story).find_places(story.final.frames) == []
