"""Random histories of a session, made through a real manager, with its state after every commit."""

from __future__ import annotations

import logging
from typing import Any

from hypothesis import strategies as st

from triggers_nb.core.instances import TaskInstance
from triggers_nb.manager import TriggerManager
from triggers_nb.runners.base import BaseTaskRunner, task_runners
from triggers_nb.storages.base import BaseTriggerStorage
from triggers_nb.storages.memory import MemoryStore
from triggers_nb.storages.store import SessionState
from triggers_nb.storages.transactions import Watch
from triggers_nb.task import InstanceRun, TaskContext, TriggerTask, run_instance

UID = "histories/1"

TRIGGERS = ["go", "stop", "tick", "t_first", "t_second", "nobody"]


@task_runners.register("tests.nowhere")
class Nowhere(BaseTaskRunner):
    """Loses everything; the tests run instances themselves."""

    name = "tests.nowhere"

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        pass


class Obey(TriggerTask):
    """Ends as the next order says."""

    name = "tests.histories.Obey"
    orders: str = "finish"

    def _run(self, context: TaskContext) -> Any:
        with context.get_logger_context(logging.getLogger("tests.histories")) as logger:
            logger.warning("ends: %s", self.orders)
        if self.orders == "fail":
            raise ValueError(f"no seats in {context.instance_name}")
        if self.orders == "skip":
            raise self.skip({"why": "told to"})
        if self.orders == "retry":
            raise self.retry(exc=KeyError("seats"), cooldown=5)
        return {"ended": context.instance_name}


CONFIGURATIONS: list[dict[str, dict[str, Any]]] = [
    {"t_third": {"after": ["t_second"], "unless": ["stop", "nobody"], "run": Obey.name, "owner": "ops"}},
    {"t_second": {"after": ["t_first", "go"], "run": Obey.name, "withParams": {"go": {"n": 1}}}},
    {"t_each": {"after": ["go"], "andEvery": "tick", "run": Obey.name, "using": Nowhere.name}},
]
FIRST = {
    "t_first": {"after": ["go"], "unless": ["stop"], "run": Obey.name},
    "t_second": {"after": ["t_first"], "run": Obey.name},
    "t_each": {"after": [], "andEvery": "tick", "run": Obey.name},
}

_PICK = st.integers(0, 5)

#: One step: its name, and numbers that choose among what is possible then.
steps = st.one_of(
    st.tuples(st.just("fire"), st.integers(0, len(TRIGGERS) - 1), _PICK),
    st.tuples(st.just("run"), _PICK, st.sampled_from(["finish", "fail", "skip", "retry"])),
    st.tuples(st.just("claim"), _PICK, _PICK),
    st.tuples(st.just("replay"), _PICK, _PICK),
    st.tuples(st.just("skip"), _PICK, st.booleans()),
    st.tuples(st.just("status"), _PICK, st.sampled_from(["finished", "failed", "skipped", "abandoned"])),
    st.tuples(st.just("metadata"), _PICK, _PICK),
    st.tuples(st.just("logs"), _PICK, _PICK),
    st.tuples(st.just("configure"), st.integers(0, len(CONFIGURATIONS) - 1), _PICK),
    st.tuples(st.just("draft"), _PICK, _PICK),
)
histories = st.lists(steps, min_size=1, max_size=25)


class History:
    """A session and all that it ever was."""

    def __init__(self, store: Any = None, uid: str = UID) -> None:
        self.uid = uid
        self.store = MemoryStore() if store is None else store
        #: State after each commit, by sequence number.
        self.states: dict[int, SessionState] = {}
        storage = BaseTriggerStorage(uid, self.store).derive(runner=Nowhere.name, watch=Watch(self._observe))
        self.manager = TriggerManager(storage)
        self.manager.update_configuration(FIRST)

    def _observe(self, outcome: Any) -> None:
        state = self.store.state(self.uid)
        assert state is not None
        self.states[state.seq] = state

    @property
    def storage(self) -> BaseTriggerStorage:
        return self.manager.storage

    def play(self, history: list[tuple[Any, ...]]) -> History:
        for step, *choices in history:
            getattr(self, f"_{step}")(*choices)
        return self

    def _pick(self, status: str | None, choice: int) -> str | None:
        names = [i.name for i in self.storage if status is None or i.status == status]
        return names[choice % len(names)] if names else None

    def _fire(self, trigger: int, n: int) -> None:
        self.manager.fire(TRIGGERS[trigger], {"n": n, "password": "hunter2"})

    def _run(self, choice: int, orders: str) -> None:
        if name := self._pick("scheduled", choice):
            Obey.orders = orders
            run_instance(self.manager, name, Obey)

    def _claim(self, choice: int, _: int) -> None:
        """Start, and never come back."""
        if name := self._pick("scheduled", choice):
            InstanceRun(self.manager, name, Obey).claim()

    def _replay(self, choice: int, n: int) -> None:
        if name := self._pick("failed", choice):
            self.manager.replay_failed_instance(name, {"go": {"n": n}} if n % 2 else None)

    def _skip(self, choice: int, cascade: bool) -> None:
        if name := self._pick("failed", choice):
            self.manager.skip_failed_instance(name, cascade=cascade, result={"seats": 0})

    def _status(self, choice: int, status: str) -> None:
        open_ones = [i.name for i in self.storage if not i.is_resolved]
        if open_ones:
            self.manager.update_instance_status(open_ones[choice % len(open_ones)], status, {"by": "hand"})

    def _metadata(self, choice: int, n: int) -> None:
        if name := self._pick(None, choice):
            self.manager.update_instance_metadata(name, {"n": n, "logLevel": 40 if n % 2 else 10})

    def _logs(self, choice: int, _: int) -> None:
        if name := self._pick(None, choice):
            self.manager.mark_instance_logs_resolved(name)

    def _configure(self, which: int, _: int) -> None:
        self.manager.update_configuration(CONFIGURATIONS[which])

    def _draft(self, choice: int, n: int) -> None:
        if name := self._pick("unstarted", choice):
            with self.storage.acquire_lock() as writable:
                writable[name].metadata["note"] = n
                writable.save()
