"""Running instances in threads of this process."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from importlib import import_module
from typing import ClassVar

from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import TaskNotFound
from triggers_nb.manager import TriggerManager
from triggers_nb.runners.base import BaseTaskRunner, left_of_cooldown_s
from triggers_nb.task import TriggerTask, find_task, rebuild_manager, run_instance

logger = logging.getLogger("triggers_nb.runners.threads")

#: How many instances run at once in a process.
MAX_THREADS = 32
#: How often, and how long each time, a thread without work waits for some.
IDLE_LOOKS, IDLE_LOOK_S = 20, 0.05


class ThreadingTaskRunner(BaseTaskRunner):
    """Runs instances in threads of this process; a cooldown is waited for by a timer.

    The process does not end before what was handed over has run, cooldowns excepted.
    """

    name: ClassVar[str] = "threading"

    #: Whether ``run`` in a configuration may be a dotted path, which is then imported; for tests only.
    allow_python_path_target: ClassVar[bool] = False
    #: Whether cooldowns are waited for.
    respect_cooldown: ClassVar[bool] = True

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        """Start the instance in a thread."""
        task_class = self.resolve(task_instance.config.run)
        own = rebuild_manager(manager, self.name)
        name, run = task_instance.name, task_instance.config.run
        delay_s = left_of_cooldown_s(task_instance) if self.respect_cooldown else 0.0
        _pool.submit(lambda: run_instance(own, name, task_class, run=run), delay_s)

    def resolve(self, target: str) -> type[TriggerTask]:
        """Find the task class that a configuration names."""
        try:
            return find_task(target)
        except TaskNotFound:
            module, _, name = target.rpartition(".")
            if not (self.allow_python_path_target and module):
                raise
            found = _import(module, name)
            if found is None:
                raise
            return found

    @classmethod
    def join_all(cls) -> None:
        """Wait until everything that was handed over in this process has ended, cascades and cooldowns included.

        Raises
        ------
        ValueError
            If it is called from a task: that would wait for itself.
        """
        _pool.join()


def _import(module: str, name: str) -> type[TriggerTask] | None:
    """Import a task class, None if there is none of that name."""
    try:
        found = getattr(import_module(module), name, None)
    except ImportError:
        logger.warning("%s cannot be imported", module, exc_info=True)
        return None
    return found if isinstance(found, type) and issubclass(found, TriggerTask) else None


class _Pool:
    """Threads that live for as long as there is work."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._queue: deque[Callable[[], None]] = deque()
        self._threads: set[threading.Thread] = set()
        #: Threads that wait for work.
        self._n_idle = 0
        #: Work that is queued, running, or waiting for its cooldown.
        self._outstanding = 0

    def submit(self, work: Callable[[], None], delay_s: float = 0) -> None:
        with self._condition:
            self._outstanding += 1
        if delay_s:
            timer = threading.Timer(delay_s, self._enqueue, (work,))
            timer.daemon = True
            timer.start()
        else:
            self._enqueue(work)

    def _enqueue(self, work: Callable[[], None]) -> None:
        with self._condition:
            self._queue.append(work)
            if self._n_idle >= len(self._queue):
                self._condition.notify_all()
                return
            if len(self._threads) >= MAX_THREADS:
                return
            thread = threading.Thread(target=self._drain, name="triggers_nb worker")
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            # No new thread can start (the interpreter is shutting down): those that run take it.
            with self._condition:
                self._threads.discard(thread)

    def _drain(self) -> None:
        while True:
            with self._condition:
                if not self._queue and not self._wait():
                    self._threads.discard(threading.current_thread())
                    return
                work = self._queue.popleft()
            try:
                work()
            except BaseException:
                logger.exception("an instance could not be run; it stays as it is until recover()")
            with self._condition:
                self._outstanding -= 1
                if not self._outstanding:
                    self._condition.notify_all()

    def _wait(self) -> bool:
        """Wait a while for work, but never for longer than the process lives; whether there is some."""
        self._n_idle += 1
        for _ in range(IDLE_LOOKS):
            if self._queue or not threading.main_thread().is_alive():
                break
            self._condition.wait(IDLE_LOOK_S)
        self._n_idle -= 1
        return bool(self._queue)

    def join(self) -> None:
        with self._condition:
            if threading.current_thread() in self._threads:
                raise ValueError("join_all() cannot be called from a task: it would wait for itself")
            self._condition.wait_for(lambda: not self._outstanding)


_pool = _Pool()


def _forget() -> None:
    """Start anew in a forked child: the work, and the threads, are those of its parent."""
    global _pool
    _pool = _Pool()


os.register_at_fork(after_in_child=_forget)
