"""An application as a worker runs it: tasks, a manager with a hook, and a Celery application.

The tasks tell through Redis what they do; `report_key` and `gate_key` are the lists for that.
"""

import json
import os
import signal
import sys
import time

import celery
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from triggers_nb.manager import TriggerManager
from triggers_nb.runners.celery import RECOVER_TASK, register_tasks
from triggers_nb.task import TaskContext, TriggerTask


def client() -> redis.Redis:
    never_again = Retry(NoBackoff(), 0)  # what is reported is reported once
    patient = {"socket_timeout": None, "socket_connect_timeout": None}
    return redis.Redis.from_url(os.environ["TRIGGERS_URL"], protocol=2, retry=never_again, **patient)


def report_key(uid: str) -> str:
    """The list that tasks of a session report to: ``[instance, process id]``."""
    return f"report:{uid}"


def hooks_key(uid: str) -> str:
    """The list that the hook of a session reports to: ``[trigger, instances, process id]``."""
    return f"hooks:{uid}"


def gate_key(uid: str) -> str:
    """The list from which a waiting task takes leave to go on."""
    return f"gate:{uid}"


def report(context: TaskContext) -> None:
    uid = context.manager.storage.uid
    client().rpush(report_key(uid), json.dumps([context.instance_name, os.getpid()]))


class OrdersManager(TriggerManager):
    """Registered as ``orders`` by a distribution of the tests."""

    def _post_fire(self, trigger_name, tasks_scheduled):
        names = [instance.name for instance in tasks_scheduled]
        client().rpush(hooks_key(self.storage.uid), json.dumps([trigger_name, names, os.getpid()]))


class Echo(TriggerTask):
    """Returns what it was given, and which queue it came through."""

    name = "tests.Echo"

    def _run(self, context):
        report(context)
        request = celery.current_task.request if celery.current_task else None
        return {
            "given": context.trigger_kwargs,
            "queue": request.delivery_info["routing_key"] if request else None,
            "pid": os.getpid(),
        }


class Slow(Echo):
    """Echo, but it takes a while."""

    name = "tests.Slow"

    def _run(self, context):
        result = super()._run(context)
        time.sleep(0.08)
        return result


class Modules(TriggerTask):
    """Returns which libraries of notebooks its process has imported."""

    name = "tests.Modules"

    def _run(self, context):
        heavy = ("pandas", "numpy", "IPython", "ipywidgets", "anywidget", "rich", "tqdm", "networkx")
        return {"heavy": [name for name in heavy if name in sys.modules]}


class Express(Echo):
    """Echo, but routed to another queue."""

    name = "tests.Express"


class Flaky(Echo):
    """Succeeds when it tries again."""

    name = "tests.Flaky"

    def _run(self, context):
        result = super()._run(context)
        if not self.request.retries:
            raise self.retry(exc=ConnectionError("try again"), cooldown=0.1)
        return result


class Wait(TriggerTask):
    """Waits until the test lets it go on."""

    name = "tests.Wait"

    def _run(self, context):
        report(context)
        client().blpop([gate_key(context.manager.storage.uid)])
        return {}


class WaitSoftly(Wait):
    """Has a soft time limit."""

    name = "tests.WaitSoftly"


class WaitHard(Wait):
    """Has a hard time limit."""

    name = "tests.WaitHard"


class Exit(TriggerTask):
    name = "tests.Exit"

    def _run(self, context):
        raise SystemExit("enough")


class Die(TriggerTask):
    """Ends its process as the system does when memory runs out."""

    name = "tests.Die"

    def _run(self, context):
        report(context)
        os.kill(os.getpid(), signal.SIGKILL)


class KeepTrying(TriggerTask):
    """Retries itself until it must not any more."""

    name = "tests.KeepTrying"
    max_retries = 2

    def _run(self, context):
        eta = celery.current_task.request.eta
        raise self.retry(exc=ValueError("not yet"), cooldown=0.2, metadata={"eta": eta})


ROUTES = {"tests.Express": {"queue": "express"}}

app = celery.Celery("tests", broker=os.environ.get("TRIGGERS_URL"))
register_tasks(app)
app.conf.task_routes = ROUTES
# Long enough for a body to begin before, on a busy machine too.
app.conf.task_annotations = {"tests.WaitSoftly": {"soft_time_limit": 4}, "tests.WaitHard": {"time_limit": 4}}
app.conf.worker_prefetch_multiplier = 1
app.conf.broker_transport_options = {"visibility_timeout": float(os.environ.get("VISIBILITY_TIMEOUT_S", "3600"))}
app.conf.beat_schedule = {RECOVER_TASK: {"task": RECOVER_TASK, "schedule": 0.5}}
