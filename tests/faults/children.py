"""Processes that are killed, most at the worst moment: ``python -m tests.faults.children <url> <what> <uid> …``."""

import os
import random
import signal
import sys
import time
from typing import Any, NoReturn

from tests.celery import app as application
from triggers_nb import CacheStorageBackend, TriggerManager
from triggers_nb.manager import trigger_managers
from triggers_nb.recovery import recover
from triggers_nb.runners.threads import ThreadingTaskRunner


def die(*_: Any, **__: Any) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


def open_manager(uid: str, url: str, runner: str = "threading") -> TriggerManager:
    storage = CacheStorageBackend(uid, url).derive(runner=runner, celery_app=application.app)
    return trigger_managers.get("orders", storage)


def die_before_the_hand_over(uid: str, url: str) -> None:
    TriggerManager.hand_over = die  # type: ignore[method-assign]
    open_manager(uid, url).fire("start", {"n": 1})


def die_before_the_hook(uid: str, url: str) -> None:
    TriggerManager._call_hooks = die  # type: ignore[method-assign]
    open_manager(uid, url, "celery").fire("start", {"n": 1})


def die_in_the_hook(uid: str, url: str) -> None:
    hook = application.OrdersManager._post_fire

    def call_and_die(self: TriggerManager, *args: Any) -> None:
        hook(self, *args)
        die()

    application.OrdersManager._post_fire = call_and_die
    open_manager(uid, url, "celery").fire("start", {"n": 1})


def die_before_the_cascade_is_handed_over(uid: str, url: str) -> None:
    hand_over = TriggerManager.hand_over

    def hand_over_but_cascades(self: TriggerManager, instances: Any, *args: Any) -> Any:
        if any(instance.name == "t_second#0" for instance in instances):
            die()
        return hand_over(self, instances, *args)

    TriggerManager.hand_over = hand_over_but_cascades  # type: ignore[method-assign]
    open_manager(uid, url).fire("start", {"n": 1})
    ThreadingTaskRunner.join_all()


def die_while_it_recovers(uid: str, url: str) -> None:
    TriggerManager.hand_over = die  # type: ignore[method-assign]
    while True:
        recover(url, runner="threading")


def fire_many(prefix: str, url: str, name: str, count: str, n_sessions: str) -> None:
    """Fire on random sessions; what has been acknowledged is noted in a list of the server."""
    chance, told = random.Random(name), application.client()
    managers = [open_manager(f"{prefix}-{n}", url, "celery") for n in range(int(n_sessions))]
    for n in range(int(count)):
        manager = (
            chance.choice(managers)
            if chance.random() < 0.5
            else open_manager(f"{prefix}-{chance.randrange(int(n_sessions))}", url, "celery")
        )
        manager.fire("start", {"id": f"{name}-{n}"})
        told.rpush("acknowledged", f"{name}-{n}")
        time.sleep(chance.expovariate(50))


if __name__ == "__main__":
    globals()[sys.argv[2]](sys.argv[3], sys.argv[1], *sys.argv[4:])
