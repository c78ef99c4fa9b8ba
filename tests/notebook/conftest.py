from __future__ import annotations

from collections import Counter
from typing import ClassVar
from uuid import uuid4

import pytest

import triggers_nb as tnb
from triggers_nb.manager import TriggerManager
from triggers_nb.runners import ThreadingTaskRunner
from triggers_nb.task import TriggerTask


class Identify(TriggerTask):
    """Fails unless the flight's plane is known."""

    def _run(self, context):
        flight = context.trigger_kwargs["scheduled"]
        if flight.get("plane") is None:
            raise KeyError(f"tail number {flight.get('tail')!r} is not in the register")
        return {"plane": flight["plane"]}


class Rebook(TriggerTask):
    """Has nothing to do."""

    def _run(self, context):
        return None


CONFIGURATION = {
    "t_identify": {"after": ["scheduled"], "run": Identify.name},
    "t_rebook": {"after": ["t_identify", "cancelled"], "run": Rebook.name},
    "t_close": {"after": ["finalized"], "run": Rebook.name},
}


class CountingManager(TriggerManager):
    """Counts how often its hooks were called."""

    calls: ClassVar[Counter[str]] = Counter()

    def _post_fire(self, trigger_name, tasks_scheduled):
        self.calls["_post_fire"] += 1

    def _post_replay(self, task_instance):
        self.calls["_post_replay"] += 1

    def _post_skip(self, task_instance, cascade):
        self.calls["_post_skip"] += 1


@pytest.fixture
def calls():
    CountingManager.calls.clear()
    return CountingManager.calls


@pytest.fixture
def make_workspace(calls):
    """Makes workspaces on one storage, in which three flights have failed for the same reason."""
    url = f"memory://{uuid4().hex}"
    ws = tnb.connect(url, manager=CountingManager)
    for tail in ("N1", "N2", "N3"):
        session = ws.create(f"flight-{tail}", CONFIGURATION)
        session.fire("scheduled", {"tail": tail, "plane": None, "password": "hunter2"})
    finish()
    for session in ws:
        ws[session].fire("cancelled")
    calls.clear()
    return lambda **options: tnb.connect(url, manager=CountingManager, **options)


@pytest.fixture
def ws(make_workspace):
    return make_workspace()


def finish():
    """Wait until no task runs."""
    ThreadingTaskRunner.join_all()


def answer(logic, **values):
    """Fill in the open form as a front end does."""
    logic.handle({"do": "form", "number": logic.sheet.number, "form": values})
    return logic.sheet.state()


def execute(logic, **options):
    """Press the button of the open sheet."""
    state = logic.sheet.state()
    logic.handle({"do": "execute", "plan_id": state["plan_id"], "form": dict(logic.sheet.form), **options})
    finish()
