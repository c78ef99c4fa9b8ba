"""The documentation lists the columns that there are."""

from __future__ import annotations

from pathlib import Path

from triggers_nb.analysis.failure_groups import GROUPS
from triggers_nb.analysis.schema import SCHEMAS, Schema

CALLS = {
    "sessions": "`ws.sessions()`: a row for each session, last changed first",
    "instances": "`ws.instances()`, `s.instances()`: a row for each instance, by session, task and number",
    "failures": "`ws.failures()`, `s.failures()`: a row for each failed instance, in the same order",
    "groups": "`ws.failure_groups()`, `tnb.failure_groups(frame)`: a row for each cause, largest first",
    "stuck": "`ws.stuck()`, `s.stuck()`: a row for each instance that should have moved on",
    "events": "`ws.events()`, `s.events()`: a row for each change, oldest first; several changes make an event",
    "tasks": "`s.tasks()`: a row for each task, by name",
    "triggers": "`s.triggers()`: a row for each trigger that is named or has fired, by name",
    "differences": "`s.diff(before, after)`: a row for each field that differs",
    "managers": "`ws.managers()`: a row for each registered manager, by key",
}


def tables() -> str:
    """The columns of every frame, as Markdown."""
    schemas = {**SCHEMAS, "groups": GROUPS}
    return "\n".join(table(title, schemas[kind]) for kind, title in CALLS.items())


def table(title: str, schema: Schema) -> str:
    rows = [f"| `{column.name}` | `{column.dtype}` | {column.meaning} |" for column in schema.columns]
    return "\n".join([f"### {title}", "", "| column | dtype | meaning |", "|---|---|---|", *rows, ""])


def test_every_frame_is_documented_as_it_is(root: Path) -> None:
    assert {*SCHEMAS, "groups"} == set(CALLS)
    assert tables() in (root / "docs" / "frames.md").read_text("utf-8")
