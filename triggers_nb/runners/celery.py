"""Running instances in Celery workers. The only module of the engine that imports Celery."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any, ClassVar

import celery
from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import Terminated
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery.signals import task_unknown
from celery.worker.request import Request

from triggers_nb.core.events import Provenance
from triggers_nb.core.failures import describe
from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import HandoverRefused, StorageError, TaskNotFound, WorkerLost
from triggers_nb.manager import TriggerManager, refuse_local_classes, trigger_managers
from triggers_nb.recovery import recover
from triggers_nb.runners.base import BaseTaskRunner, left_of_cooldown_s
from triggers_nb.storages.base import BaseTriggerStorage, storage_backends
from triggers_nb.task import TriggerTask, find_task, merge, run_instance, watch_tasks, worker_actor

logger = logging.getLogger("triggers_nb.runners.celery")

#: Name of the Celery task that recovers all sessions, for a beat schedule.
RECOVER_TASK = "triggers_nb.recover"

#: What Celery reports when the process that ran a task is gone.
_LOST = (WorkerLostError, Terminated, SystemExit, KeyboardInterrupt)


class CeleryTaskRunner(BaseTaskRunner):
    """Sends instances to Celery workers, as messages for the task of the name that ``run`` gives.

    The message goes through the application's own router; a cooldown is its countdown. The application is the storage
    handle's ``celery_app`` (``connect(celery_app="proj.celery:app")``), else Celery's current one.
    """

    name: ClassVar[str] = "celery"
    crosses_processes: ClassVar[bool] = True

    def run(self, manager: TriggerManager, task_instance: TaskInstance) -> None:
        """Send the instance."""
        self.check(manager, task_instance.config.run)
        storage = manager.storage
        find_app(storage.celery_app).send_task(
            task_instance.config.run,
            kwargs={
                "instance_name": task_instance.name,
                "manager_type": trigger_managers.key_of(type(manager)),
                "storage_type": storage_backends.key_of(type(storage)),
                "storage_uid": storage.uid,
                "storage_id": storage.store.storage_id,
                "trigger_kwargs": _portable(merge(task_instance.config.with_params, task_instance.kwargs)),
            },
            countdown=left_of_cooldown_s(task_instance) or None,
            # For Celery's events; it would write out all kwargs.
            kwargsrepr=f"{task_instance.name} of session {storage.uid!r}",
            # Where the task is not registered, Celery would wait for its result, with a subscription for each message.
            ignore_result=True,
        )

    def check(self, manager: TriggerManager, run: str) -> None:
        """Refuse work that a worker could not do.

        Raises
        ------
        HandoverRefused
            If the storage is embedded, if workers could not find the manager's, the storage's or the task's class, or
            if there is no Celery application to send it with.
        """
        if manager.storage.store.embedded:
            raise HandoverRefused(
                f"{manager.storage.store.url} belongs to this machine alone: Celery workers cannot be sent there. "
                "Use a Redis URL, or runner='threading'"
            )
        refuse_local_classes(manager)
        _refuse_local_task(run)
        find_app(manager.storage.celery_app)


def _refuse_local_task(run: str) -> None:
    try:
        task_class = find_task(run)
    except LookupError:
        return  # the workers know it, or will say that they do not
    if task_class.__module__ == "__main__":
        raise HandoverRefused(
            f"task class {run!r} is defined in this notebook or script only: a worker could not find it. "
            "Put it into a module that the workers import"
        )


def register_tasks(app: celery.Celery) -> None:
    """Make every trigger task, defined by now or later, a Celery task of an application.

    Also registers the task ``triggers_nb.recover``, to be put into the beat schedule, and lets workers fail instances
    of task classes that they do not know. The application may be configured before or after; modules that define tasks
    belong into its ``include``, unless something else imports them.

    Parameters
    ----------
    app : celery.Celery
        The application of the workers.
    """

    def register(task_class: type[TriggerTask]) -> None:
        app.register_task(type(task_class.__name__, (TriggerCeleryTask,), {"name": task_class.name})())

    def register_all(**_: object) -> None:
        watch_tasks(register)
        app.register_task(RecoverTask())

    def fail_unknown(sender: Any, name: str, message: Any, **_: object) -> None:
        if sender.app is app:
            _fail_unknown(app, name, message)

    task_unknown.connect(fail_unknown, weak=False)
    if app.finalized:
        register_all()
    else:
        # Not before it is configured: a task takes its settings when it is registered.
        app.on_after_finalize.connect(register_all, weak=False)


def _fail_unknown(app: celery.Celery, name: str, message: Any) -> None:
    """Fail the instance of a message for a class that this worker does not know; Celery discards the message."""
    try:
        payload = message.payload
        kwargs = payload["kwargs"] if isinstance(payload, Mapping) else payload[1]
        if not {"instance_name", "manager_type", "storage_type", "storage_uid"} <= kwargs.keys():
            return  # no work of ours
        manager = _manager(kwargs, app)
        instance = manager.storage[kwargs["instance_name"]]
        if instance.config.run == name:
            find_task(name)
        elif instance.status == "scheduled":
            manager.hand_over([instance])
    except TaskNotFound as error:
        manager._fail_scheduled(instance.name, error)
    except Exception:
        logger.exception("a message for the unknown task %r led nowhere", name)


class TriggerRequest(Request):  # type: ignore[misc]
    """A delivery whose worker process may be killed: the instance fails at once, not only when its lease runs out."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Fail the instance when the hard time limit kills its process."""
        super().on_timeout(soft, timeout)
        if not soft:
            self._fail(TimeLimitExceeded(timeout))

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Fail the instance when its process died."""
        error = exc_info.exception
        if isinstance(error, ExceptionWithTraceback):
            error = error.exc
        if isinstance(error, _LOST):
            self._fail(WorkerLost(f"the worker process that ran it died: {error!r}"))
        return super().on_failure(exc_info, send_failed_event, return_ok)

    def _fail(self, error: Exception) -> None:
        if self.worker_pid is None:
            return  # no process has taken it
        try:
            kwargs: Mapping[str, Any] = self.kwargs
            manager = _manager(kwargs, self.task.app)
            token = claim_token(self.id, self.hostname, self.worker_pid)
            manager.fail_running(kwargs["instance_name"], token, describe(error))
        except Exception:
            logger.exception("the instance of a killed worker process could not be failed; its lease will run out")


class TriggerCeleryTask(celery.Task):  # type: ignore[misc]
    """Runs an instance of the trigger task of the same name."""

    Request = TriggerRequest
    acks_late = True
    ignore_result = True
    typing = False

    def run(
        self,
        instance_name: str,
        manager_type: str,
        storage_type: str,
        storage_uid: str,
        trigger_kwargs: Mapping[str, Any] | None = None,
        storage_id: str | None = None,
        **others: Any,
    ) -> None:
        """Run the instance, if nobody has; what counts is what is stored, not what the message says.

        Raises
        ------
        StorageError
            If this worker looks into another storage than the sender.
        UnknownSession, UnknownInstance
            If there is nothing of that name.
        """
        sent = {
            "manager_type": manager_type,
            "storage_type": storage_type,
            "storage_uid": storage_uid,
            "storage_id": storage_id,
        }
        manager = _manager(sent, self.app)
        token = claim_token(self.request.id, self.request.hostname, os.getpid())
        try:
            run_instance(manager, instance_name, find_task(self.name), token, self.name)
        except SoftTimeLimitExceeded as error:
            # Not the body was interrupted, which fails the instance, but a commit.
            manager.fail_running(instance_name, token, describe(error))
            raise


class RecoverTask(celery.Task):  # type: ignore[misc]
    """Recovers all sessions of the worker's storage."""

    name = RECOVER_TASK
    ignore_result = True

    def run(self) -> dict[str, int]:
        """Recover what is due; see ``triggers_nb.recovery.recover``."""
        return recover(runner="celery", celery_app=self.app)


def find_app(app: object) -> celery.Celery:
    """Find the Celery application: itself, ``module:attribute``, or (None) the current one.

    Raises
    ------
    HandoverRefused
        If there is none of that name.
    """
    if app is None:
        return _current_app()
    if isinstance(app, str):
        module, _, attribute = app.partition(":")
        try:
            app = getattr(import_module(module), attribute or "app")
        except (ImportError, AttributeError, ValueError) as error:
            raise HandoverRefused(
                f"celery_app={app!r}: {error}; expected 'module:attribute' of a Celery application"
            ) from error
    if not isinstance(app, celery.Celery):
        raise HandoverRefused(f"celery_app is {app!r}, expected a Celery application or 'module:attribute' of one")
    return app


def _current_app() -> celery.Celery:
    app = celery.current_app._get_current_object()
    if app.set_as_current or app.conf.broker_url:
        return app
    # The one that Celery makes when there is none; it would look for RabbitMQ on this machine.
    raise HandoverRefused(
        "no Celery application is known in this process: pass celery_app='module:attribute' of yours (with connect, or "
        "on the handle), import it, or set CELERY_BROKER_URL"
    )


def claim_token(delivery: str | None, hostname: str | None, pid: int) -> bytes:
    """Token with which a process claims the instance of a delivery; both it and its parent can tell it.

    It need not be secret, and is used once: of an instance there is one claim.
    """
    return hashlib.blake2b(f"{delivery}\0{hostname}\0{pid}".encode(), digest_size=16).digest()


def _manager(sent: Mapping[str, Any], app: celery.Celery) -> TriggerManager:
    """Rebuild the manager that sent a message; those of 2018 carry no ``storage_id``."""
    uid, expected = sent["storage_uid"], sent.get("storage_id")
    storage: BaseTriggerStorage = storage_backends.get(sent["storage_type"], uid)
    found = storage.store.storage_id
    if expected is not None and expected != found:
        raise StorageError(
            f"the work of session {uid!r} is in storage {expected!r}, this worker looks into {found!r} "
            f"({storage.store.url}): give it the same TRIGGERS_URL"
        )
    own = storage.derive(provenance=Provenance(actor=worker_actor("celery")), fallback_runner="celery", celery_app=app)
    return trigger_managers.get_class(sent["manager_type"])(own)


def _portable(value: Any) -> Any:
    """Kwargs for the message; a worker takes the stored ones, these are for people who look at messages."""
    if isinstance(value, Mapping):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, (list, set, frozenset)):
        return [_portable(item) for item in value]
    return str(value) if isinstance(value, timedelta) else value
