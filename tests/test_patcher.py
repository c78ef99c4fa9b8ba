"""AttrPatcher leaves everything as it found it."""

from types import ModuleType, SimpleNamespace

import pytest

from triggers_nb.patcher import AttrPatcher


class Slotted:
    __slots__ = ("there", "unset")

    def __init__(self) -> None:
        self.there = 1


class Base:
    inherited = "of the class"

    @staticmethod
    def static() -> str:
        return "static"

    @property
    def size(self) -> int:
        return self._size

    @size.setter
    def size(self, value: int) -> None:
        self._size = value


def test_values_are_set_inside_and_restored_after() -> None:
    obj = SimpleNamespace(a=1)
    with AttrPatcher(obj, a=2, b=3):
        assert (obj.a, obj.b) == (2, 3)
    assert vars(obj) == {"a": 1}


def test_an_exception_restores_too_and_passes_through() -> None:
    obj = SimpleNamespace(a=1)
    with pytest.raises(ZeroDivisionError), AttrPatcher(obj, a=2, b=3):
        _ = 1 / 0
    assert vars(obj) == {"a": 1}


def test_what_the_block_itself_deleted_is_restored() -> None:
    obj = SimpleNamespace(a=1)
    with AttrPatcher(obj, a=2, b=3):
        del obj.a, obj.b
    assert vars(obj) == {"a": 1}


def test_an_inherited_value_stays_inherited() -> None:
    obj = Base()
    with AttrPatcher(obj, inherited="own"):
        assert obj.inherited == "own"
    assert obj.inherited == "of the class"
    assert vars(obj) == {}


def test_an_inherited_method_stays_inherited() -> None:
    obj = Base()
    with AttrPatcher(obj, static=lambda: "own"):
        del obj.static
    assert vars(obj) == {}


def test_descriptors_of_a_class_are_restored_as_such() -> None:
    with AttrPatcher(Base, static=lambda self: "patched"):
        assert Base().static() == "patched"
    assert Base().static() == Base.static() == "static"


def test_a_property_gets_its_value_back() -> None:
    obj = Base()
    obj.size = 1
    with AttrPatcher(obj, size=2):
        assert obj.size == 2
    assert obj.size == 1


def test_slots_get_their_values_back() -> None:
    obj = Slotted()
    with AttrPatcher(obj, there=2, unset=3):
        assert (obj.there, obj.unset) == (2, 3)
    assert obj.there == 1
    assert not hasattr(obj, "unset")


def test_a_lazy_name_of_a_module_is_lazy_again() -> None:
    module = ModuleType("lazy")
    module.__getattr__ = {"late": "loaded"}.__getitem__  # type: ignore[method-assign]
    with AttrPatcher(module, late="patched"):
        assert module.late == "patched"
    assert module.late == "loaded"
    assert "late" not in vars(module)


def test_what_was_set_before_a_refusal_is_restored() -> None:
    obj = Slotted()
    started = []
    with pytest.raises(AttributeError), AttrPatcher(obj, there=2, no_such_slot=3):
        started.append(True)
    assert not started
    assert obj.there == 1


def test_a_patcher_may_be_used_again_and_inside_itself() -> None:
    obj = SimpleNamespace(a=1)
    patcher = AttrPatcher(obj, a=2)
    with patcher:
        obj.a = 5
        with patcher:
            assert obj.a == 2
        assert obj.a == 5
    with patcher:
        assert obj.a == 2
    assert obj.a == 1


def test_any_name_may_be_patched() -> None:
    obj = SimpleNamespace()
    with AttrPatcher(obj, obj=1, self=2):
        assert vars(obj) == {"obj": 1, "self": 2}
    assert vars(obj) == {}
