"""What a process that hands work over does besides sending the message."""

import celery
import pytest

from triggers_nb import TriggerManager


def test_nobody_waits_for_the_result_of_a_task_that_only_workers_know(session, monkeypatch: pytest.MonkeyPatch) -> None:
    app = celery.Celery("sender", broker="memory://sending", backend="cache+memory://", set_as_current=False)
    awaited: list[str] = []
    monkeypatch.setattr(type(app.backend), "on_task_call", lambda self, producer, task_id: awaited.append(task_id))
    manager = TriggerManager(session.manager.storage.derive(runner="celery", celery_app=app))
    manager.update_configuration({"t_echo": {"after": ["start"], "run": "elsewhere.Echo"}})

    manager.fire("start")

    assert manager.storage["t_echo#0"].status == "scheduled"
    with app.connection_for_read() as connection:
        assert connection.SimpleQueue("celery").get(timeout=5).headers["task"] == "elsewhere.Echo"
    assert awaited == []
