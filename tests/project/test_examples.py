"""Every public name says what it is, with an example that runs."""

import doctest
import importlib
import inspect

import pytest

import triggers_nb
from triggers_nb.registry import Registry
from triggers_nb.storages import memory, urls

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples_of(name):
    """What tells a user what it is for: its own examples; those of a registry's class; those of a constant's module."""
    value, module = getattr(triggers_nb, name), importlib.import_module(triggers_nb._MODULES[name])
    if isinstance(value, Registry):
        value = Registry
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        value = module
    found = doctest.DocTestFinder(recurse=False).find(value, name)
    return [each for each in found if each.examples and (value is not module or name in each.docstring)]


@pytest.mark.parametrize("name", triggers_nb.__all__)
def test_every_public_name_has_an_example_that_runs(name, tmp_path, monkeypatch):
    directory = tmp_path / "empty"
    directory.mkdir()
    monkeypatch.chdir(directory)
    monkeypatch.setattr(memory, "_named", {})  # the same examples may run again in this process
    monkeypatch.setattr(urls, "_stores", {})
    [examples] = examples_of(name)
    said = []

    result = doctest.DocTestRunner(optionflags=FLAGS, verbose=False).run(examples, out=said.append)

    assert result.attempted > 0
    assert result.failed == 0, "".join(said)
    assert list(directory.iterdir()) == []  # whoever tries it finds no files of it afterwards
