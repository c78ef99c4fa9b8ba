"""The Celery application of the demo: ``celery -A triggers_nb.demo.app worker``.

The broker is ``CELERY_BROKER_URL``, else the Redis server of ``TRIGGERS_URL``, where the sessions are. Add ``--beat``
(or run ``celery -A triggers_nb.demo.app beat``) to have what a crash leaves behind recovered every half minute.
"""

from __future__ import annotations

import os
from typing import Final

import celery

from triggers_nb.runners.celery import RECOVER_TASK, register_tasks
from triggers_nb.settings import grace_s
from triggers_nb.storages.urls import URL_VARIABLE

_PLAIN: Final = ("redis://", "rediss://")
_SOCKET: Final = "unix://"


def make_app(url: str | None) -> celery.Celery:
    """Make the application for sessions at a URL; without a broker if nothing names one.

    Examples
    --------
    >>> make_app("redis://redis.example:6379/2").conf.broker_url
    'redis://redis.example:6379/2'
    """
    app = celery.Celery("triggers_nb.demo", broker=_broker_url(url), include=["triggers_nb.demo.manager"])
    app.conf.beat_schedule = {RECOVER_TASK: {"task": RECOVER_TASK, "schedule": grace_s()}}
    register_tasks(app)
    return app


def _broker_url(url: str | None) -> str | None:
    named = os.environ.get("CELERY_BROKER_URL")
    if named or url is None:
        return named or None
    if url.startswith(_PLAIN):
        return url
    if url.startswith(_SOCKET):
        return "redis+socket://" + url.removeprefix(_SOCKET).replace("?db=", "?virtual_host=")
    return None  # Celery knows no Redis Cluster


#: The application of this process's environment.
app = make_app(os.environ.get(URL_VARIABLE))
