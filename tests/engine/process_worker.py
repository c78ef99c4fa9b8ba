"""A process that works on a session, and may kill itself on the way: ``url log name n_firings kill_at where``.

`where` is ``before`` or ``after`` (the commit of that number), ``body`` (in that body), ``never``, or ``finish``: hand
over what others left scheduled, twice, and fire nothing.
"""

import itertools
import os
import signal
import sys
from typing import Any

from triggers_nb import CacheStorageBackend, TaskContext, TriggerManager, TriggerTask
from triggers_nb.storages.store import Commit, Store


class Log:
    """Lines that all processes append to."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)

    def note(self, *words: str) -> None:
        os.write(self.descriptor, (" ".join(words) + "\n").encode())


class Fate:
    """Kills this process when it comes to a certain place for a certain time."""

    def __init__(self, log: Log, process: str, kill_at: int, where: str) -> None:
        self.log, self.process, self.kill_at, self.where = log, process, kill_at, where
        self.commits, self.bodies = itertools.count(1), itertools.count(1)

    def meet(self, place: str, number: int) -> None:
        if (place, number) == (self.where, self.kill_at):
            self.log.note("died", self.process)
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, store: Store) -> None:
        commit = store.commit

        def watched(uid: str, change: Commit) -> Any:
            number = next(self.commits)
            self.meet("before", number)
            answer = commit(uid, change)
            self.meet("after", number)
            return answer

        store.commit = watched  # type: ignore[method-assign]


def define_task(log: Log, fate: Fate) -> None:
    class Noting(TriggerTask):
        name = "process_worker.Noting"

        def _run(self, context: TaskContext) -> dict[str, Any]:
            log.note("ran", context.instance_name)
            fate.meet("body", next(fate.bodies))
            (kwargs,) = context.trigger_kwargs.values()
            return {"id": kwargs["id"]}


def main(url: str, path: str, process: str, n_firings: int, kill_at: int, where: str) -> None:
    log = Log(path)
    fate = Fate(log, process, kill_at, where)
    define_task(log, fate)
    manager = TriggerManager(CacheStorageBackend("shared", url))
    fate.watch(manager.storage.store)
    if where == "finish":
        scheduled = [each for each in manager.storage if each.status == "scheduled"]
        manager.hand_over([*scheduled, *scheduled])
    for number in range(n_firings):
        firing = f"{process}-{number}"
        log.note("try", firing)
        manager.fire("tick", {"id": firing})
        log.note("fired", firing)


if __name__ == "__main__":
    main(*sys.argv[1:4], *map(int, sys.argv[4:6]), sys.argv[6])
