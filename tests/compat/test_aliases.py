"""Everything that applications import from `triggers` is there, and is the very object of `triggers_nb`."""

import importlib

import pytest

NAMES = {
    "triggers": ["TriggerManager", "CacheStorageBackend"],
    "triggers.manager": ["TriggerManager", "trigger_managers"],
    "triggers.storages": ["storage_backends", "BaseTriggerStorage", "CacheStorageBackend"],
    "triggers.storages.base": ["BaseTriggerStorage", "storage_backends"],
    "triggers.storages.cache": ["CacheStorageBackend"],
    "triggers.runners": [
        "BaseTaskRunner", "ThreadingTaskRunner", "CeleryTaskRunner", "task_runners", "DEFAULT_TASK_RUNNER",
    ],
    "triggers.task": ["TriggerTask", "TaskContext", "StatusChange", "Retry", "MaxRetriesExceeded"],
    "triggers.types": ["TaskConfig", "TaskInstance"],
    "triggers.exceptions": ["with_context"],
    "triggers.locking": ["LockAcquisitionFailed"],
    "triggers.patcher": ["AttrPatcher"],
    "triggers.testing": [
        "TriggerManagerTestCaseMixin", "DevNullTask", "PassThruTask", "FailingTask", "SelfRetryingTask",
        "SelfSkippingTask",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in NAMES.items() for name in names])
def test_the_name_is_there(module: str, name: str) -> None:
    assert hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("module", NAMES)
def test_every_class_is_defined_by_triggers_nb(module: str) -> None:
    package = importlib.import_module(module)
    classes = [value for value in (getattr(package, name) for name in NAMES[module]) if isinstance(value, type)]
    assert {each.__module__.partition(".")[0] for each in classes} <= {"triggers_nb"}


def test_modules_are_attributes_of_the_package() -> None:
    import triggers

    assert triggers.manager.TriggerManager is triggers.TriggerManager
    assert triggers.storages.cache.CacheStorageBackend is triggers.CacheStorageBackend


def test_a_patched_default_runner_is_the_engines_default_runner() -> None:
    import triggers.runners
    import triggers_nb.runners
    from triggers import runners
    from triggers.patcher import AttrPatcher

    assert triggers_nb.runners.DEFAULT_TASK_RUNNER is None
    with AttrPatcher(runners, DEFAULT_TASK_RUNNER=runners.ThreadingTaskRunner):
        assert triggers_nb.runners.DEFAULT_TASK_RUNNER is runners.ThreadingTaskRunner
    assert triggers_nb.runners.DEFAULT_TASK_RUNNER is None
    assert triggers.runners is triggers_nb.runners
