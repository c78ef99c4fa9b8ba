"""Running instances in Celery workers. The only module of the engine that imports Celery."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any, ClassVar

import celery
from celery.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request

from triggers_nb.core.events import Provenance
from triggers_nb.core.failures import describe
from triggers_nb.core.instances import TaskInstance
from triggers_nb.errors import HandoverRefused, StorageError, WorkerLost
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.recovery import recover
from triggers_nb.runners.base import BaseTaskRunner
from triggers_nb.storages.base import BaseTriggerStorage, storage_backends
from triggers_nb.task import TriggerTask, find_task, merge, run_instance, watch_tasks, worker_actor

logger = logging.getLogger("triggers_nb.runners.celery")

#: Name of the Celery task that recovers all sessions, for a beat schedule.
RECOVER_TASK = "triggers_nb.recover"


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
            countdown=task_instance.cooldown or None,
        )

    def check(self, manager: TriggerManager, run: str) -> None:
        """Refuse work that a worker could not do.

        Raises
        ------
        HandoverRefused
            If the storage is embedded, or workers could not find the manager's, the storage's or the task's class.
        """
        if manager.storage.store.embedded:
            raise HandoverRefused(
                f"{manager.storage.store.url} belongs to this machine alone: Celery workers cannot be sent there. "
                "Use a Redis URL, or runner='threading'"
            )
        for registry, owner in ((trigger_managers, manager), (storage_backends, manager.storage)):
            key = registry.key_of(type(owner))
            if key is None or registry.is_local(key):
                known = (
                    "is registered under no key" if key is None else f"is registered as {key!r} in this process only"
                )
                raise HandoverRefused(
                    f"{type(owner).__qualname__} {known}: a worker could not find it. "
                    f"Register it under the entry-point group {registry.group!r} of an installed distribution"
                )
        _refuse_local_task(run)


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

    Also registers the task ``triggers_nb.recover``, to be put into the beat schedule.

    Parameters
    ----------
    app : celery.Celery
        The application of the workers.
    """

    def register(task_class: type[TriggerTask]) -> None:
        app.register_task(type(task_class.__name__, (TriggerCeleryTask,), {"name": task_class.name})())

    watch_tasks(register)
    app.register_task(RecoverTask())


class TriggerRequest(Request):  # type: ignore[misc]
    """A delivery whose worker process may be killed: the instance fails at once, not only when its lease runs out."""

    def on_timeout(self, soft: bool, timeout: float) -> None:
        """Fail the instance when the hard time limit has killed its process."""
        super().on_timeout(soft, timeout)
        if not soft:
            _fail_delivery(self.kwargs, TimeLimitExceeded(timeout))

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Fail the instance when its process died."""
        error = exc_info.exception
        if isinstance(error, WorkerLostError):
            _fail_delivery(self.kwargs, WorkerLost(f"the worker process that ran it died: {error}"))
        return super().on_failure(exc_info, send_failed_event, return_ok)


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
        manager = _manager(manager_type, storage_type, storage_uid, storage_id, self.app)
        manager.storage[instance_name]
        run_instance(manager, instance_name, find_task(self.name))


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
        return celery.current_app
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


def _manager(
    manager_type: str, storage_type: str, uid: str, storage_id: str | None, app: celery.Celery
) -> TriggerManager:
    """Rebuild the manager that sent the work."""
    storage: BaseTriggerStorage = storage_backends.get(storage_type, uid)
    found = storage.store.storage_id
    if storage_id is not None and storage_id != found:
        raise StorageError(
            f"the work of session {uid!r} is in storage {storage_id!r}, this worker looks into {found!r} "
            f"({storage.store.url}): give it the same TRIGGERS_URL"
        )
    own = storage.derive(provenance=Provenance(actor=worker_actor("celery")), fallback_runner="celery", celery_app=app)
    return trigger_managers.get_class(manager_type)(own)


def _fail_delivery(kwargs: Mapping[str, Any], error: BaseException) -> None:
    """Fail the instance that a killed process was running."""
    try:
        name = kwargs["instance_name"]
        manager = _manager(
            kwargs["manager_type"],
            kwargs["storage_type"],
            kwargs["storage_uid"],
            kwargs.get("storage_id"),
            celery.current_app,
        )
        manager.fail_running(name, manager.storage.claim_of(name), describe(error))
    except Exception:
        logger.exception("the instance of a killed worker process could not be failed; its lease will run out")


def _portable(value: Any) -> Any:
    """Kwargs for the message; a worker takes the stored ones, these are for people who look at messages."""
    if isinstance(value, Mapping):
        return {key: _portable(item) for key, item in value.items()}
    if isinstance(value, (list, set, frozenset)):
        return [_portable(item) for item in value]
    return str(value) if isinstance(value, timedelta) else value
