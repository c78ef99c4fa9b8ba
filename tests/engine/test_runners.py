"""Where work runs, and what happens when it cannot be handed over."""

import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from triggers_nb import runners, settings
from triggers_nb.core.instances import TaskInstance
from triggers_nb.core.work import HANDOVER
from triggers_nb.errors import NoRunner, TaskNotFound, UnknownKey
from triggers_nb.manager import TriggerManager
from triggers_nb.patcher import AttrPatcher
from triggers_nb.runners.base import BaseTaskRunner
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.cache import CacheStorageBackend
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.task import rebuild_manager, run_instance
from triggers_nb.testing import DevNullTask, PassThruTask

CONFIGURATION: dict[str, Any] = {"t_a": {"after": ["go"], "run": DevNullTask.name}}


class Noting(BaseTaskRunner):
    """Notes what it is given, and runs nothing."""

    taken: list[str]

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        self.taken.append(task_instance.name)


class SharedMemory(MemoryStore):
    """A store that others reach, too, as far as the engine can tell."""

    embedded = False


def runner(name: str, **attributes: Any) -> Any:
    return type(name.title(), (Noting,), {"name": name, "taken": [], **attributes})


def pending(storage: BaseTriggerStorage) -> dict[str, int]:
    state = storage.store.state(storage.uid)
    assert state is not None
    return {
        item.removeprefix(HANDOVER): due.due_us - state.modified_us
        for item, due in state.due.items()
        if item.startswith(HANDOVER)
    }


# The choice


def test_the_order_in_which_a_runner_is_looked_for(register_runner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # given runners named in every place
    names = ["using", "handle", "default", "environment"]
    found = {name: register_runner(runner(name)) for name in names}
    patched = runner("patched")
    storage = BaseTriggerStorage("s", SharedMemory())
    storage.runner = "handle"
    monkeypatch.setenv("TRIGGERS_RUNNER", "environment")
    manager: Any = type("Manager", (TriggerManager,), {"default_task_runner_name": "default"})(storage)
    manager.update_configuration({"t": {**CONFIGURATION["t_a"], "using": "using"}})
    config = storage.tasks["t"]
    with AttrPatcher(runners, DEFAULT_TASK_RUNNER=patched):
        # when one after the other is taken away, the next one is chosen
        assert manager.choose_runner(config).runner is found["using"]
        config.using = None
        assert manager.choose_runner(config).runner is found["handle"]
        storage.runner = None
        assert manager.choose_runner(config).runner is found["default"]
        type(manager).default_task_runner_name = None
        assert manager.choose_runner(config).runner is patched
    assert manager.choose_runner(config).runner is found["environment"]
    monkeypatch.delenv("TRIGGERS_RUNNER")
    with pytest.raises(NoRunner, match=r"nothing says where work .*TRIGGERS_RUNNER"):
        manager.choose_runner(config)
    # and an embedded storage needs none
    embedded = TriggerManager(BaseTriggerStorage("s", MemoryStore()))
    assert embedded.choose_runner(config).runner is ThreadingTaskRunner


def test_work_without_a_runner_is_refused_before_anything_is_committed() -> None:
    storage = BaseTriggerStorage("s", SharedMemory())
    manager = TriggerManager(storage)
    manager.update_configuration(CONFIGURATION)
    before = storage.store.state("s")
    with pytest.raises(NoRunner):
        manager.fire("go")
    assert storage.store.state("s") == before
    # what schedules nothing goes through
    manager.fire("something else")


@pytest.mark.parametrize("where", ["using", "handle", "default", "environment"])
def test_a_runner_that_does_not_exist_is_an_error_before_anything_is_committed(
    manager: TriggerManager, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    config = dict(CONFIGURATION["t_a"])
    if where == "using":
        config["using"] = "threadign"
    elif where == "handle":
        manager.storage.runner = "threadign"
    elif where == "default":
        monkeypatch.setattr(TriggerManager, "default_task_runner_name", "threadign")
    else:
        monkeypatch.setenv("TRIGGERS_RUNNER", "threadign")
    manager.update_configuration({"t_a": config})
    before = manager.storage.store.state(manager.storage.uid)
    with pytest.raises(UnknownKey, match="Did you mean 'threading'"):
        manager.fire("go")
    assert manager.storage.store.state(manager.storage.uid) == before


def test_a_runner_may_refuse_before_anything_is_committed(manager: TriggerManager, register_runner: Any) -> None:
    def check(self: Any, manager: TriggerManager, run: str) -> None:
        raise NoRunner(f"never {run}")

    register_runner(runner("refusing", check=check))
    manager.update_configuration({"t_a": {**CONFIGURATION["t_a"], "using": "refusing"}})
    before = manager.storage.store.state(manager.storage.uid)
    with pytest.raises(NoRunner, match=f"never {DevNullTask.name}"):
        manager.fire("go")
    assert manager.storage.store.state(manager.storage.uid) == before


def test_work_that_no_runner_takes_does_not_keep_an_instance_from_finishing(
    manager: TriggerManager, statuses: Callable[[], dict[str, str]], join: Callable[[], None]
) -> None:
    manager.update_configuration({**CONFIGURATION, "t_b": {"after": ["t_a"], "run": "app.Task", "using": "unheard of"}})
    manager.fire("go")
    join()
    assert statuses() == {"t_a#0": "finished", "t_b#0": "scheduled"}
    assert pending(manager.storage)["t_b#0"] < 10_000_000  # due at once, not after the period of grace


# Handing over


def test_a_runner_that_raises_stops_nothing(
    storage: BaseTriggerStorage, register_runner: Any, register_manager: Any, events: Callable[[], list[Any]]
) -> None:
    # given two runners, of which the first always fails
    def fail(self: Any, manager: TriggerManager, task_instance: TaskInstance) -> None:
        raise ConnectionError("no broker")

    register_runner(runner("broken", run=fail))
    working = register_runner(runner("working"))
    hooked: list[Any] = []

    class Hooked(TriggerManager):
        def _post_fire(self, trigger_name: str, tasks_scheduled: list[TaskInstance]) -> None:
            hooked.append([each.name for each in tasks_scheduled])

    manager = register_manager(Hooked)(storage)
    manager.update_configuration({
        "t_a": {"after": ["go"], "run": "app.Task", "using": "broken"},
        "t_b": {"after": ["go"], "run": "app.Task", "using": "working"},
        "t_c": {"after": ["go", "later"], "run": "app.Task"},
    })  # fmt: skip
    # when a trigger schedules work for both
    with pytest.raises(ConnectionError, match="no broker"):
        manager.fire("go", {"n": 1})
    # then the others got theirs, all of them have the new kwargs, and the hook ran
    assert working.taken == ["t_b#0"]
    assert {each.name: (each.status, each.kwargs) for each in storage} == {
        "t_a#0": ("scheduled", {"go": {"n": 1}}),
        "t_b#0": ("scheduled", {"go": {"n": 1}}),
        "t_c#0": ("unstarted", {"go": {"n": 1}}),
    }
    assert hooked == [["t_a#0", "t_b#0"]]
    # and what was not handed over is due at once
    assert pending(storage)["t_a#0"] < 10_000_000 < pending(storage)["t_b#0"]
    assert [event.action for event in events()] == ["configure", "fire"]


def test_a_task_that_does_not_exist_fails_its_instance(
    manager: TriggerManager, join: Callable[[], None], events: Callable[[], list[Any]]
) -> None:
    manager.update_configuration({"t_a": {"after": ["go"], "run": "triggers_nb.testing.DevNullTsk"}})
    manager.fire("go")
    instance = manager.storage["t_a#0"]
    assert instance.status == "failed"
    assert instance.metadata["exceptionType"].endswith("TaskNotFound")
    assert "Did you mean 'triggers_nb.testing.DevNullTask'" in instance.metadata["exceptionMessage"]
    assert pending(manager.storage) == {}
    assert [event.action for event in events()] == ["configure", "fire", "fail"]
    # and it can be replayed once it is known
    manager.update_configuration({"t_a": {"after": ["go"], "run": DevNullTask.name}})
    manager.replay_failed_instance("t_a#0")
    join()
    assert manager.storage["t_a#1"].status == "finished"


def test_a_task_that_does_not_exist_leaves_the_others_of_the_firing_alone(
    manager: TriggerManager, statuses: Callable[[], dict[str, str]], join: Callable[[], None]
) -> None:
    manager.update_configuration({**CONFIGURATION, "t_0": {"after": ["go"], "run": "app.Missing"}})
    manager.fire("go")
    join()
    assert statuses() == {"t_0#0": "failed", "t_a#0": "finished"}


def test_a_task_defined_again_replaces_the_old_one(
    manager: TriggerManager, define: Callable[..., str], join: Callable[[], None]
) -> None:
    run = define(lambda task, context: {"version": 1}, name="app.Redefined")
    manager.update_configuration({"t_a": {"after": [], "andEvery": "go", "run": run}})
    manager.fire("go")
    join()
    define(lambda task, context: {"version": 2}, name="app.Redefined")
    manager.fire("go")
    join()
    assert [each.metadata["result"] for each in manager.storage] == [{"version": 1}, {"version": 2}]


def test_a_second_delivery_does_not_run(
    manager: TriggerManager, define: Callable[..., str], join: Callable[[], None]
) -> None:
    ran = []
    run = define(lambda task, context: ran.append(context.instance_name), name="app.Twice")
    manager.update_configuration({"t_a": {"after": ["go"], "run": run}})
    manager.fire("go")
    instance = manager.storage["t_a#0"]
    manager.hand_over([instance, instance])
    join()
    assert ran == ["t_a#0"]
    assert manager.storage["t_a#0"].status == "finished"


def test_a_configuration_that_changes_before_it_starts_counts(
    manager: TriggerManager, define: Callable[..., str], join: Callable[[], None]
) -> None:
    ran = []
    define(lambda task, context: ran.append("old"), name="app.Old")
    define(lambda task, context: ran.append("new"), name="app.New")
    manager.update_configuration({"t_a": {"after": ["go"], "run": "app.Old"}})
    manager.storage.handover = "defer"
    manager.fire("go")
    instance = manager.storage["t_a#0"]
    manager.update_configuration({"t_a": {"after": ["go"], "run": "app.New"}})
    # when it is handed over as it was
    manager.hand_over([instance])
    join()
    assert ran == ["new"]
    assert manager.storage["t_a#0"].status == "finished"


def test_what_is_resolved_by_hand_before_it_starts_does_not_run(manager: TriggerManager, register_runner: Any) -> None:
    register_runner(runner("slow"))
    manager.update_configuration({"t_a": {**CONFIGURATION["t_a"], "using": "slow"}})
    manager.fire("go")
    assert pending(manager.storage).keys() == {"t_a#0"}
    manager.update_instance_status("t_a#0", "skipped")
    assert pending(manager.storage) == {}
    run_instance(rebuild_manager(manager, "test"), "t_a#0", DevNullTask)
    assert manager.storage["t_a#0"].status == "skipped"


def test_claiming_removes_the_pending_hand_over(
    manager: TriggerManager, define: Callable[..., str], release: threading.Event
) -> None:
    started = threading.Event()

    def wait(task: Any, context: Any) -> None:
        started.set()
        release.wait()

    manager.update_configuration({"t_a": {"after": ["go"], "run": define(wait, name="app.Waiting")}})
    manager.fire("go")
    started.wait()
    assert pending(manager.storage) == {}
    assert manager.storage["t_a#0"].status == "running"
    release.set()


# The thread runner


def test_join_all_waits_for_cascades(
    manager: TriggerManager, statuses: Callable[[], dict[str, str]], join: Callable[[], None]
) -> None:
    names = [f"t_{number:02}" for number in range(20)]
    manager.update_configuration({
        name: {"after": [before], "run": PassThruTask.name} for before, name in zip(["go", *names], names, strict=False)
    })  # fmt: skip
    manager.fire("go")
    join()
    assert statuses() == {f"{name}#0": "finished" for name in names}


def test_join_all_waits_for_cooldowns(
    manager: TriggerManager,
    define: Callable[..., str],
    statuses: Callable[[], dict[str, str]],
    join: Callable[[], None],
) -> None:
    def retry_once(task: Any, context: Any) -> None:
        if task.request.retries == 0:
            raise task.retry(cooldown=0.05)

    manager.update_configuration({"t_a": {"after": ["go"], "run": define(retry_once, name="app.Cooling")}})
    manager.fire("go")
    join()
    assert statuses() == {"t_a#0": "replayed", "t_a#1": "finished"}


def test_join_all_with_nothing_to_wait_for_returns() -> None:
    ThreadingTaskRunner.join_all()


def test_join_all_from_a_task_is_an_error(
    manager: TriggerManager, define: Callable[..., str], join: Callable[[], None]
) -> None:
    run = define(lambda task, context: ThreadingTaskRunner.join_all(), name="app.Joining")
    manager.update_configuration({"t_a": {"after": ["go"], "run": run}})
    manager.fire("go")
    join()
    assert manager.storage["t_a#0"].status == "failed"
    assert "wait for itself" in manager.storage["t_a#0"].metadata["exceptionMessage"]


def test_more_work_than_threads_is_all_done(
    manager: TriggerManager, define: Callable[..., str], join: Callable[[], None]
) -> None:
    n_running, most, lock = 0, 0, threading.Lock()

    def count(task: Any, context: Any) -> None:
        nonlocal n_running, most
        with lock:
            n_running += 1
            most = max(most, n_running)
        with lock:
            n_running -= 1

    manager.update_configuration({"t_a": {"after": [], "andEvery": "go", "run": define(count, name="app.Counting")}})
    for _ in range(100):
        manager.fire("go")
    join()
    assert manager.storage.counts()["s:finished"] == 100
    assert 1 <= most <= 32


def test_a_dotted_path_is_imported_only_for_tests(
    manager: TriggerManager, join: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from triggers_nb.task import TriggerTask\n"
        "class Task(TriggerTask):\n    name = 'another name'\n    def _run(self, context): return {'by': 'path'}\n"
        "class NoTask: pass\n"
    )
    (tmp_path / "dotted_path_tasks.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "dotted_path_tasks", raising=False)
    manager.update_configuration({
        "t_a": {"after": [], "andEvery": "go", "run": "dotted_path_tasks.Task"},
        "t_b": {"after": [], "andEvery": "go", "run": "dotted_path_tasks.NoTask"},
        "t_c": {"after": [], "andEvery": "go", "run": "dotted_path_tasks.Missing"},
        "t_d": {"after": [], "andEvery": "go", "run": "dotted_path_tasks_that_are_missing.Task"},
    })  # fmt: skip
    manager.fire("go")
    join()
    assert "dotted_path_tasks" not in sys.modules
    with AttrPatcher(ThreadingTaskRunner, allow_python_path_target=True):
        manager.fire("go")
        join()
    found = {each.name: each.status for each in manager.storage}
    assert found == {
        "t_a#0": "failed", "t_a#1": "finished", "t_b#0": "failed", "t_b#1": "failed", "t_c#0": "failed",
        "t_c#1": "failed", "t_d#0": "failed", "t_d#1": "failed",
    }  # fmt: skip
    assert manager.storage["t_a#1"].metadata["result"] == {"by": "path"}


def test_resolving_a_task_says_what_is_missing() -> None:
    with pytest.raises(TaskNotFound, match=r"no task class 'app\.Nowhere'"):
        ThreadingTaskRunner().resolve("app.Nowhere")


SCRIPT = """
import sys
from triggers_nb import CacheStorageBackend, TriggerManager, TriggerTask

class Slow(TriggerTask):
    name = "script.Slow"
    def _run(self, context):
        import time
        time.sleep(0.02)
        return {"n": context.trigger_kwargs["go"]["n"]}

manager = TriggerManager(CacheStorageBackend("exit", sys.argv[1]))
manager.update_configuration({
    "t_a": {"after": [], "andEvery": "go", "run": "script.Slow"},
    "t_b": {"after": [], "andEvery": "t_a", "run": "triggers_nb.testing.DevNullTask"},
})
import triggers_nb.testing
for n in range(40):
    manager.fire("go", {"n": n})
"""


def test_a_process_ends_only_when_what_was_handed_over_has_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'sessions.db'}"
    ended = subprocess.run([sys.executable, "-c", SCRIPT, url], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    storage = CacheStorageBackend("exit", url)
    assert {each.status for each in storage} == {"finished"}
    assert sorted(each.metadata["result"]["n"] for each in storage.instances_of_task("t_a").values()) == list(range(40))
    assert len(storage.instances_of_task("t_b")) == 40
    storage.store.close()


COOLING = """
import sys
from triggers_nb import CacheStorageBackend, TriggerManager, TriggerTask

class Cooling(TriggerTask):
    name = "script.Cooling"
    def _run(self, context):
        raise self.retry(cooldown=3600)

manager = TriggerManager(CacheStorageBackend("exit", sys.argv[1]))
manager.update_configuration({"t_a": {"after": ["go"], "run": "script.Cooling"}})
manager.fire("go")
"""


def test_a_process_does_not_wait_for_cooldowns(tmp_path: Path) -> None:
    storage = CacheStorageBackend("exit", f"sqlite:///{tmp_path / 'sessions.db'}")
    subprocess.run([sys.executable, "-c", COOLING, storage.store.url], check=True)
    # what waits is not lost: it is due when its time has come
    assert {each.name: each.status for each in storage} == {"t_a#0": "replayed", "t_a#1": "scheduled"}
    assert pending(storage)["t_a#1"] > 3_600_000_000
    storage.store.close()


@pytest.mark.parametrize("variable", ["TRIGGERS_GRACE_S", "TRIGGERS_LEASE_S"])
@pytest.mark.parametrize("value", ["soon", "-1", "0", "nan", "inf", "1e12"])
def test_a_setting_that_makes_no_sense_is_an_error(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValueError, match=f"{variable}='{value}': expected a positive number of seconds"):
        settings.grace_s() if variable == "TRIGGERS_GRACE_S" else settings.lease_s()


def test_it_is_one_before_anything_is_committed(manager: TriggerManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIGGERS_GRACE_S", "soon")
    with pytest.raises(ValueError, match="TRIGGERS_GRACE_S"):
        manager.fire("go")
    assert not manager.storage.exists()


def test_a_forked_child_waits_only_for_its_own_work(
    manager: TriggerManager, define: Callable[..., str], release: threading.Event, join: Callable[[], None]
) -> None:
    # given work that this process still does
    started = threading.Event()

    def wait(task: Any, context: Any) -> None:
        started.set()
        release.wait()

    manager.update_configuration({"t_a": {"after": ["go"], "run": define(wait, name="app.Forking")}})
    manager.fire("go")
    started.wait()
    # when it forks
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it has threads: that is what this is about
        child = os.fork()
    if child == 0:
        ThreadingTaskRunner.join_all()
        os._exit(0)
    # then the child does not wait for it
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    release.set()
    join()
    assert manager.storage["t_a#0"].status == "finished"
