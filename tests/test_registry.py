"""Registries: entry points of really installed distributions, and what is registered at run time."""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from triggers_nb.errors import RegistryError, UnknownKey
from triggers_nb.registry import Registry

GROUP = "tests.managers"
Install = Callable[..., None]


class Manager:
    def __init__(self, storage: object = None, **options: object) -> None:
        self.storage, self.options = storage, options


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution on the path: its entry points (key → target) and its modules (name → source)."""

    def install(distribution: str, points: dict[str, str], modules: dict[str, str] | None = None) -> None:
        place = tmp_path / distribution
        info = place / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        lines = [f"{key} = {target}" for key, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))
        for name, source in (modules or {}).items():
            (place / f"{name}.py").write_text(source)
        monkeypatch.syspath_prepend(place)

    yield install
    for name in [name for name in sys.modules if name.startswith("reg_")]:
        del sys.modules[name]


@pytest.fixture
def registry() -> Registry[object]:
    return Registry(GROUP)


# Entry points


def test_a_class_is_loaded_only_when_its_key_is_asked_for(install: Install, registry: Registry[object]) -> None:
    install("shop", {"lazy": "reg_lazy:A", "other": "reg_other:B"}, {
        "reg_lazy": "class A: pass", "reg_other": "raise SystemError('loaded for nothing')",
    })  # fmt: skip
    assert registry.keys() == list(registry) == ["lazy", "other"]
    assert len(registry) == 2
    assert "other" in registry
    assert registry.get_class("lazy").__name__ == "A"


def test_get_makes_an_instance_with_the_arguments(registry: Registry[Manager]) -> None:
    registry.register("default")(Manager)
    assert registry.get("default", "storage").storage == "storage"
    made = registry.get(key="default", storage="storage", allow_manager_change=True)
    assert (made.storage, made.options) == ("storage", {"allow_manager_change": True})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ValueError('no licence')", "ValueError: no licence"),
        ("import no_such_library", "No module named 'no_such_library'"),
        ("class", "SyntaxError"),
        ("import sys; sys.exit('go away')", "SystemExit: go away"),
        ("", "AttributeError"),
        ("A = 'no class'", "expected a class, got 'no class'"),
    ],
)
def test_a_broken_entry_point_breaks_nothing_else(
    source: str, said: str, install: Install, registry: Registry[object]
) -> None:
    install("shop", {"bad": "reg_bad:A", "good": "reg_good:B"}, {"reg_bad": source, "reg_good": "class B: pass"})
    with pytest.raises(RegistryError, match=re.escape("'bad' (reg_bad:A of shop 1.2) cannot be loaded")) as caught:
        registry.get("bad")
    assert said in str(caught.value)
    assert caught.value.__cause__ is not None
    assert registry.key_of(registry.get_class("good")) == "good"
    bad, good = registry.entries()
    assert (bad.cls, said in (bad.error or "")) == (None, True)
    assert (good.cls, good.error) == (registry.get_class("good"), None)


def test_a_class_of_the_wrong_kind_is_refused(install: Install) -> None:
    registry: Registry[Manager] = Registry(GROUP, Manager)
    install("shop", {"dict": "collections:OrderedDict"})
    with pytest.raises(RegistryError, match=r"expected a subclass of .*:Manager, got collections:OrderedDict"):
        registry.get("dict")
    with pytest.raises(RegistryError, match="expected a subclass"):
        registry.register("other")(int)
    assert "other" not in registry


def test_what_was_mended_is_loaded_at_the_next_try(
    install: Install, registry: Registry[object], tmp_path: Path
) -> None:
    install("shop", {"key": "reg_mended:A"})
    with pytest.raises(RegistryError):
        registry.get("key")
    (tmp_path / "shop" / "reg_mended.py").write_text("class A: pass")
    registry.refresh()
    assert registry.get_class("key").__name__ == "A"
    assert registry.entries()[0].error is None


def test_a_distribution_installed_later_is_seen_after_refresh(install: Install, registry: Registry[object]) -> None:
    assert registry.keys() == []
    install("shop", {"late": "collections:Counter"})
    assert registry.keys() == []
    registry.refresh()
    assert registry.keys() == ["late"]


def test_entries_tell_where_a_class_comes_from(install: Install, registry: Registry[object]) -> None:
    install("shop", {"key": "reg_where:A"}, {"reg_where": "class A: pass"})
    (entry,) = registry.entries()
    assert (entry.key, entry.target, entry.distribution, entry.version) == ("key", "reg_where:A", "shop", "1.2")
    assert (entry.error, entry.issue, entry.is_local) == (None, None, False)


@pytest.mark.parametrize("order", [("zoo", "airline"), ("airline", "zoo")])
def test_of_two_distributions_the_same_one_always_wins(
    order: tuple[str, str], install: Install, registry: Registry[object]
) -> None:
    for name in order:
        install(name, {"key": f"reg_{name}:A"}, {f"reg_{name}": "class A: pass"})
    (entry,) = registry.entries()
    assert (entry.distribution, entry.target) == ("airline", "reg_airline:A")
    assert entry.issue == "reg_airline:A of airline 1.2 is used; also claimed by reg_zoo:A of zoo 1.2"


def test_nobody_takes_a_key_of_triggers_nb(install: Install, registry: Registry[object]) -> None:
    install("airline", {"default": "collections:Counter"})
    install("triggers-nb", {"default": "collections:OrderedDict"})
    assert registry.get_class("default").__name__ == "OrderedDict"
    assert "Counter" in (registry.entries()[0].issue or "")


def test_the_built_in_keys_are_announced() -> None:
    built_in = {"managers": {"default", "flights"}, "storages": {"cache"}, "runners": {"celery", "threading"}}
    for group, keys in built_in.items():
        assert keys <= set(Registry(f"triggers.{group}"))


# Unknown keys


@pytest.mark.parametrize("key", ["defualt", "", "x" * 1000, None, 7])
def test_an_unknown_key_is_a_key_error_that_names_near_ones(key: str, registry: Registry[object]) -> None:
    registry.register("default")(Manager)
    with pytest.raises(UnknownKey, match="no manager is registered as") as caught:
        registry.get(key)
    assert isinstance(caught.value, KeyError)
    assert "'default'" in str(caught.value)
    assert key not in registry


def test_an_empty_registry_says_so(registry: Registry[object]) -> None:
    with pytest.raises(UnknownKey, match="None is known"):
        registry.get("default")


# At run time


def test_registering_again_replaces(registry: Registry[object]) -> None:
    first = registry.register("mine")(type("Mine", (), {}))
    second = registry.register("mine")(type("Mine", (), {}))
    assert registry.get_class("mine") is second
    assert (registry.key_of(first), registry.key_of(second)) == (None, "mine")


def test_the_decorator_returns_the_class(registry: Registry[object]) -> None:
    assert registry.register("mine")(Manager) is Manager


@pytest.mark.parametrize("key", ["", None, 3, Manager])
def test_a_key_that_is_no_text_is_refused(key: str, registry: Registry[object]) -> None:
    with pytest.raises(RegistryError, match="non-empty str"):
        registry.register(key)
    assert registry.keys() == []


@pytest.mark.parametrize("thing", [None, 3, lambda storage: storage])
def test_what_is_no_class_is_refused(thing: type, registry: Registry[object]) -> None:
    with pytest.raises(RegistryError, match="expected a class"):
        registry.register("mine")(thing)
    assert registry.keys() == []


def test_run_time_registrations_are_local_and_survive_refresh(install: Install, registry: Registry[object]) -> None:
    install("shop", {"far": "collections:Counter"})
    registry.register("near")(Manager)
    registry.refresh()
    assert registry.get_class("near") is Manager
    assert registry.is_local("near")
    assert not registry.is_local("far")
    registry.get_class("far")
    assert not registry.is_local("far")
    assert not registry.is_local("nowhere")


def test_a_registration_hides_an_entry_point_until_it_is_unregistered(
    install: Install, registry: Registry[object]
) -> None:
    install("shop", {"key": "collections:Counter"})
    registry.register("key")(Manager)
    assert registry.get_class("key") is Manager
    assert registry.is_local("key")
    (entry,) = registry.entries()
    assert (entry.is_local, entry.distribution, entry.issue) == (True, None, "hides collections:Counter of shop 1.2")
    registry.unregister("key")
    assert registry.get_class("key").__name__ == "Counter"
    assert not registry.is_local("key")


def test_only_what_was_registered_can_be_unregistered(install: Install, registry: Registry[object]) -> None:
    install("shop", {"far": "collections:Counter"})
    registry.register("near")(Manager)
    for key in ("far", "neat"):
        with pytest.raises(UnknownKey, match="registered at run time"):
            registry.unregister(key)
    registry.unregister("near")
    assert registry.keys() == ["far"]


# The key of a class


def test_a_key_is_never_inherited(registry: Registry[object]) -> None:
    registry.register("base")(Manager)
    assert registry.key_of(type("Child", (Manager,), {})) is None


def test_the_key_is_found_before_the_class_was_ever_asked_for(install: Install, registry: Registry[object]) -> None:
    from collections import Counter

    install("shop", {"far": "collections:Counter"})
    assert registry.key_of(Counter) == "far"


def test_a_class_announced_from_another_module_has_its_key(install: Install, registry: Registry[object]) -> None:
    install("shop", {"far": "reg_public:A"}, {"reg_public": "from reg_inner import A", "reg_inner": "class A: pass"})
    import reg_inner  # type: ignore[import-not-found]

    assert registry.key_of(reg_inner.A) == "far"


def test_a_key_that_other_processes_know_is_preferred(install: Install, registry: Registry[object]) -> None:
    from collections import Counter

    install("shop", {"far": "collections:Counter"})
    registry.register("again")(Counter)
    assert registry.key_of(Counter) == "far"


# Injection, as existing test suites do it


def test_an_injected_class_is_there_until_refresh(registry: Registry[object]) -> None:
    registry._get_cache()["x"] = Manager
    assert registry.get_class("x") is Manager
    assert registry.key_of(Manager) == "x"
    assert isinstance(registry.get("x", "storage"), Manager)
    assert ("x" in registry, registry.keys(), registry.is_local("x")) == (True, ["x"], True)
    registry.refresh()
    assert ("x" in registry, registry.key_of(Manager)) == (False, None)


def test_an_injected_class_hides_an_entry_point_until_refresh(install: Install, registry: Registry[object]) -> None:
    install("shop", {"key": "collections:Counter"})
    registry.get_class("key")
    registry._get_cache()["key"] = Manager
    assert registry.get_class("key") is Manager
    assert registry.is_local("key")
    registry.refresh()
    assert registry.get_class("key").__name__ == "Counter"


# Threads


def test_threads_get_the_same_class(install: Install, registry: Registry[object]) -> None:
    install("shop", {"key": "reg_slow:A"}, {"reg_slow": "import threading\nclass A: pass"})
    together, found = threading.Barrier(8), []

    def ask() -> None:
        together.wait()
        found.append(registry.get_class("key"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_module_that_asks_the_registry_while_it_is_imported_blocks_nobody(
    install: Install, registry: Registry[object]
) -> None:
    install("shop", {"key": "reg_asks:A", "other": "collections:Counter"}, {
        "reg_asks": "import threading, builtins\nclass A: pass\n"
        "thread = threading.Thread(target=lambda: builtins.asked.get_class('other'))\n"
        "thread.start(); thread.join(30)\nassert not thread.is_alive()",
    })  # fmt: skip
    import builtins

    builtins.asked = registry  # type: ignore[attr-defined]
    try:
        assert registry.get_class("key").__name__ == "A"
    finally:
        del builtins.asked  # type: ignore[attr-defined]
