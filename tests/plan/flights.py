"""Small sessions with something failed, for the tests of plans."""

from collections.abc import Mapping
from typing import Any

import triggers_nb as tnb
from tests.plan import fifo
from triggers_nb.session import Session
from triggers_nb.workspace import Workspace

CONFIGURATION: dict[str, dict[str, Any]] = {
    "t_import": {"after": ["scheduled"], "run": "tests.Import", "withParams": {"scheduled": {"retries": 2}}},
    "t_rebook": {"after": ["t_import", "cancelled"], "run": "tests.Rebook"},
    "t_close": {"after": ["t_rebook"], "run": "tests.Close"},
}
FAILS: dict[str, Any] = {"t_import": LookupError("no plane"), "t_rebook": {}, "t_close": {}, "t_more": {}}
KWARGS = {"plane": None, "carrier": "AA", "password": "hunter2"}


def connect(url: str = "memory://flights", **options: Any) -> Workspace:
    return tnb.connect(url, **{"runner": fifo.KEY, **options})


def make_fleet(n: int, url: str = "memory://flights", **options: Any) -> Workspace:
    """Given sessions f0, f1, … in each of which t_import#0 has failed, and a cancellation waits."""
    workspace = connect(url, **options)
    workspace.store.clear()
    fifo.forget()
    for number in range(n):
        make_flight(workspace, f"f{number}")
    return workspace


def make_flight(
    workspace: Workspace, uid: str = "f0", kwargs: Mapping[str, Any] = KWARGS, confirm: str | None = None
) -> Session:
    session = workspace.create(uid, CONFIGURATION, confirm=confirm)
    session.fire("scheduled", kwargs, confirm=confirm)
    session.fire("cancelled", confirm=confirm)
    fifo.drain(FAILS)
    return session


def status(workspace: Workspace, uid: str = "f0", name: str = "t_import#0") -> str:
    return workspace.session(uid).storage[name].status
