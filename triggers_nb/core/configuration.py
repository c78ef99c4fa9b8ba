"""Reading a configuration, or refusing it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeGuard

import msgspec

from triggers_nb.core.codec import encode_mapping
from triggers_nb.core.instances import TaskConfig
from triggers_nb.core.records import ConfigRecord
from triggers_nb.errors import ConfigurationError, InvalidValue, brief

#: The directives that mean something to the engine.
DIRECTIVES = ("after", "run", "andEvery", "unless", "withParams", "using")

#: How long a name may be.
MAX_NAME = 500

NAME_RULE = f"a non-empty string of at most {MAX_NAME} characters, without control characters"


class _Nothing:
    """What is found where a directive is missing."""

    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def parse_configuration(configuration: object) -> dict[str, ConfigRecord]:
    """Read all tasks of a configuration, in its order.

    Raises
    ------
    ConfigurationError
        For the first task that is wrong, naming the directive, what was found and what is expected.
    """
    if not isinstance(configuration, Mapping):
        raise ConfigurationError("", "", configuration, "a mapping of task names to directives")
    return {_task_name(name): _parse_task(name, directives) for name, directives in configuration.items()}


def _task_name(name: object) -> str:
    if not is_name(name):
        raise ConfigurationError(brief(name), "", name, f"a task's name: {NAME_RULE}")
    if "#" in name:
        raise ConfigurationError(name, "", name, "a task's name without '#', which separates an instance's number")
    return name


def misspelt_directive(name: object) -> list[str]:
    """Return the directive that a name, which is none, is spelt almost like; at most one."""
    if not isinstance(name, str) or name in DIRECTIVES:
        return []
    words = {directive.lower(): directive for directive in DIRECTIVES}
    typed = name.lower().replace("_", "")
    return [words[near] for near in get_close_matches(typed, words, n=1, cutoff=0.8)]


def _parse_task(name: str, directives: object) -> ConfigRecord:
    if isinstance(directives, TaskConfig):
        directives = directives.serialize()
    if not isinstance(directives, Mapping):
        raise ConfigurationError(name, "", directives, "a mapping of directives")
    for required in ("after", "run"):
        if required not in directives:
            typed = [repr(other) for other in directives if required in misspelt_directive(other)]
            hint = f"; is {' or '.join(typed)} meant to be it?" if typed else ""
            raise ConfigurationError(name, required, _NOTHING, f"one: it is required{hint}")
    and_every = _optional_name(name, "andEvery", directives.get("andEvery"))
    after = _names(name, "after", directives["after"])
    if not after and and_every is None:
        raise ConfigurationError(name, "after", directives["after"], "at least one trigger (or andEvery)")
    if not is_name(directives["run"]):
        raise ConfigurationError(name, "run", directives["run"], f"the name of a task class: {NAME_RULE}")
    extra = {key: value for key, value in directives.items() if key not in DIRECTIVES}
    return ConfigRecord(
        run=directives["run"],
        after=tuple(sorted(after | ({and_every} if and_every else set()))),
        and_every=and_every,
        unless=tuple(sorted(_names(name, "unless", () if directives.get("unless") is None else directives["unless"]))),
        using=_optional_name(name, "using", directives.get("using")),
        with_params=_encoded(name, "withParams", _params(name, directives.get("withParams"))),
        extra=_encoded(name, "", _extra(name, extra)),
    )


def is_name(value: object) -> TypeGuard[str]:
    """Whether it can be the name of a task, a trigger, a task class or a runner."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        return False
    if value.isascii() and value.isprintable():
        return True
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _optional_name(task: str, directive: str, value: object) -> str | None:
    if value is not None and not is_name(value):
        raise ConfigurationError(task, directive, value, f"None or a name: {NAME_RULE}")
    return value


def _names(task: str, directive: str, value: object) -> set[str]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise ConfigurationError(task, directive, value, "a list or set of triggers")
    names = list(value)
    for name in names:
        if not is_name(name):
            raise ConfigurationError(task, directive, name, f"a trigger's name: {NAME_RULE}")
    return set(names)


def _params(task: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ConfigurationError(task, "withParams", value, "a mapping of mappings of kwargs")
    for key, kwargs in value.items():
        if not isinstance(kwargs, Mapping):
            raise ConfigurationError(task, f"withParams[{key!r}]", kwargs, "a mapping of kwargs")
    return {key: dict(kwargs) for key, kwargs in value.items()}


def _extra(task: str, extra: dict[Any, Any]) -> dict[str, Any]:
    for key in extra:
        if not isinstance(key, str):
            raise ConfigurationError(task, brief(key), key, "a string as the directive's name")
    return extra


def _encoded(task: str, directive: str, value: Mapping[str, Any]) -> msgspec.Raw:
    try:
        return msgspec.Raw(encode_mapping(value, directive or "directives"))
    except InvalidValue as error:
        expected = f"a value that can be stored ({error})"
        raise ConfigurationError(task, directive or error.path, value, expected) from error
