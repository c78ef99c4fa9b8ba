"""What `connect` refuses at once, before a storage is touched."""

import re
import sys
from pathlib import Path

import pytest

import triggers_nb as tnb
from triggers_nb.errors import InvalidValue


@pytest.mark.parametrize("name", ["wrongly.spelt", "wrongly.spelt:app", "wrongly"])
def test_a_celery_application_of_no_module_is_refused_at_once(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=rf"celery_app='{name}': there is no module 'wrongly' here; .*'proj.celery:app'"
    ):
        tnb.connect(f"sqlite:///{tmp_path}/new.db", celery_app=name)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["", ":app", "proj.celery:", "proj/celery.py:app", "proj.celery:app()", "a..b", ".b:c"]
)
def test_what_names_no_celery_application_is_refused_at_once(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected 'module:attribute', such as 'proj\.celery:app'"):
        tnb.connect("memory://connecting", celery_app=name)


def test_connecting_imports_nothing_of_the_application(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "an_application"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)

    ws = tnb.connect("memory://connecting", celery_app="an_application.celery:app")

    assert ws.celery_app == "an_application.celery:app"
    assert "an_application" not in sys.modules
    assert tnb.connect("memory://connecting", celery_app="__main__:app").celery_app == "__main__:app"


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("actor", 5, "a person's name"),
        ("actor", b"ada", "a person's name"),
        ("url", 5, "text such as 'sqlite:///triggers.db'"),
        ("redact", "no", "True or False"),
        ("redact", None, "True or False"),
        ("allow_manager_change", "false", "True or False"),
    ],
)
def test_an_argument_of_another_type_is_refused_at_once(argument: str, value: object, expected: str) -> None:
    """Given an actor that is no text, events of its changes could not be read; of "no" nobody knows what is meant."""
    with pytest.raises(TypeError, match=f"{argument}={re.escape(repr(value))}: expected {expected}"):
        tnb.connect(**{"url": "memory://connecting", argument: value})  # type: ignore[arg-type]


def test_text_that_no_storage_takes_is_refused_before_anything_is_changed() -> None:
    with pytest.raises(InvalidValue, match=r"actor = .* lone surrogate"):
        tnb.connect("memory://connecting", actor="ada\ud800")
    s = tnb.connect("memory://connecting").create("surrogates", {})
    with pytest.raises(InvalidValue, match=r"reason = .* lone surrogate"):
        s.fire("arrived", reason="\ud800")
    assert s.triggers().empty
