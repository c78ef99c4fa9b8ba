"""What must hold once everything has been recovered, whatever was killed meanwhile."""

import time
from collections import Counter

from triggers_nb import CacheStorageBackend
from triggers_nb.core.events import decode_event
from triggers_nb.recovery import recover
from triggers_nb.runners.threads import ThreadingTaskRunner
from triggers_nb.storages.store import Store

#: Nothing is waited for any longer after so long without anything done.
TIMEOUT_S = 240.0


def recover_all(store: Store, **options: object) -> Counter[str]:
    """Recover until nothing is pending any more, and return what was done."""
    done: Counter[str] = Counter()
    deadline = time.monotonic() + TIMEOUT_S
    while store.next_due_us() is not None:
        assert time.monotonic() < deadline, f"still pending: {[each[:2] for each in store.due()]}, done: {done}"
        found = recover(store, **options)
        done.update(found)
        ThreadingTaskRunner.join_all()
        if found:
            deadline = time.monotonic() + TIMEOUT_S
        else:
            time.sleep(0.05)
    return done


def check_invariants(store: Store, uid: str) -> None:
    """The session's state agrees with its history and with itself, and nothing in it waits for anybody."""
    storage = CacheStorageBackend(uid, store)
    state = store.state(uid)
    assert state is not None
    instances = {instance.name: instance for instance in storage}
    events = store.events(uid)
    # Each change was committed once, in order.
    assert [event.seq for event in events] == list(range(1, state.seq + 1))
    decoded = [decode_event(event.data) for event in events]
    assert len({event.commit_id for event in decoded}) == len(decoded)
    # Each instance was created once, and there is no other.
    changes = [change for event in decoded for change in event.changes]
    created = Counter(change.target for change in changes if change.action == "create")
    assert created == Counter(list(instances))
    # Whatever has ended has fired its task, once; of what has run, everything ended.
    finished = Counter(instance.config.name for instance in instances.values() if instance.status == "finished")
    fired = Counter(change.target for change in changes if change.action == "fire")
    assert {task: fired[task] for task in storage.tasks} == {task: finished[task] for task in storage.tasks}
    assert {instance.status for instance in instances.values()}.isdisjoint({"scheduled", "running"})
    assert state.due == {}
    # The counts are right.
    statuses = Counter(instance.status for instance in instances.values())
    assert {name[2:]: n for name, n in state.counts.items() if name.startswith("s:") and n} == statuses
    assert state.counts.get("unresolved", 0) == sum(not instance.is_resolved for instance in instances.values())
