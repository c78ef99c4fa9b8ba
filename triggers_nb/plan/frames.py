"""Columns of the frames that plans give."""

from __future__ import annotations

from typing import Final

from triggers_nb.analysis.schema import COUNT, MOMENT, OBJECT, TEXT, Column, Schema

#: A row for each consequence; sessions in the order of the plan, in each the order in which things happen.
PREVIEW: Final = Schema(
    (
        Column("step", COUNT, "number of the plan's step that brings it about, from 0"),
        Column("session_uid", TEXT, "the session"),
        Column(
            "action",
            TEXT,
            "fire, create, apply, status, metadata, logs, configure or session; blocked: a task that still waits; "
            "refused: the step cannot be done; stopped: by max_steps; hook: what a hook raised; note: what an "
            "execution would meet, that a step changes nothing, or what was assumed in vain; not simulated: a hook "
            "that was left out",
        ),
        Column("target", TEXT, "instance, trigger or task"),
        Column("from_status", TEXT, "the instance's status before, missing for a new one"),
        Column("to_status", TEXT, "the instance's status after"),
        Column("trigger", TEXT, "the trigger that is fired, taken or waited for"),
        Column("certainty", TEXT, "certain, or if_succeeds: depends on the success of a task"),
        Column("origin", TEXT, "direct, cascade or hook"),
        Column(
            "kwargs",
            OBJECT,
            "kwargs of a firing, or of all triggers of an instance that is made or takes one: dict, redacted; None if "
            "they rest on the unknown result of a task",
        ),
        Column("detail", TEXT, "what else there is to say"),
    )
)

#: A row for each consequence in one preview or in both, in the order of the first.
COMPARISON: Final = Schema((Column("found_in", TEXT, "both, first or second"), *PREVIEW.columns))

#: A row for each step of a plan, in order.
RESULT: Final = Schema(
    (
        Column("session_uid", TEXT, "the session"),
        Column("action", TEXT, "what was to be done"),
        Column("target", TEXT, "instance or trigger"),
        Column("outcome", TEXT, "done, unchanged, refused, failed or not done"),
        Column("error", TEXT, "what was raised"),
        Column("new_instance", TEXT, "the instance that a replay made"),
        Column("seq", COUNT, "sequence number of the change in its session"),
    )
)

#: A row for each executed step, oldest first.
JOURNAL: Final = Schema(
    (
        Column("at", MOMENT, "when it was executed"),
        Column("actor", TEXT, "who"),
        Column("env", TEXT, "the environment"),
        Column("url", TEXT, "the storage, without credentials"),
        Column("session_uid", TEXT, "the session"),
        Column("action", TEXT, "what was to be done"),
        Column("target", TEXT, "instance or trigger"),
        Column("reason", TEXT, "why"),
        Column("outcome", TEXT, "done, unchanged, refused, failed or not done"),
        Column("error", TEXT, "what was raised, redacted"),
        Column("new_instance", TEXT, "the instance that a replay made"),
        Column("seq", COUNT, "sequence number of the change in its session"),
        Column("plan_id", TEXT, "the plan"),
        Column("action_id", TEXT, "the execution"),
        Column("python", TEXT, "the line that does the same, redacted"),
    )
)
