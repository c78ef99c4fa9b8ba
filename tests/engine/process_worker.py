"""A process that works on a session, and may kill itself on the way: ``url log name n_firings kill_at where``.

`where` is ``before`` or ``after`` (the commit of that number), ``body`` (in that body), ``never``, or ``finish``: hand
over what others left scheduled, twice, and fire nothing.
"""

import itertools
import os
import signal
import sys

from triggers_nb import CacheStorageBackend, TriggerManager, TriggerTask

url, log, process, n_firings, kill_at, where = sys.argv[1:7]
commits, bodies = itertools.count(1), itertools.count(1)
out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(*words: str) -> None:
    """Append a line to the log that all processes share."""
    os.write(out, (" ".join(words) + "\n").encode())


def maybe_die(place: str, number: int) -> None:
    if where == place and number == int(kill_at):
        note("died", process)
        os.kill(os.getpid(), signal.SIGKILL)


class Noting(TriggerTask):
    name = "process_worker.Noting"

    def _run(self, context):
        note("ran", context.instance_name)
        maybe_die("body", next(bodies))
        (kwargs,) = context.trigger_kwargs.values()
        return {"id": kwargs["id"]}


storage = CacheStorageBackend("shared", url)
commit = storage.store.commit


def dangerous_commit(*args):
    number = next(commits)
    maybe_die("before", number)
    answer = commit(*args)
    maybe_die("after", number)
    return answer


storage.store.commit = dangerous_commit
manager = TriggerManager(storage)
if where == "finish":
    scheduled = [each for each in storage if each.status == "scheduled"]
    manager.hand_over([*scheduled, *scheduled])
for number in range(int(n_firings)):
    firing = f"{process}-{number}"
    note("try", firing)
    manager.fire("tick", {"id": firing})
    note("fired", firing)
