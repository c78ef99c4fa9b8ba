"""Alias of `triggers_nb.testing`."""

from __future__ import annotations

from triggers_nb.testing import (
    DevNullTask,
    FailingTask,
    PassThruTask,
    SelfRetryingTask,
    SelfSkippingTask,
    TriggerManagerTestCaseMixin,
    name_matches_classpath,
)

__all__ = [
    "DevNullTask",
    "FailingTask",
    "PassThruTask",
    "SelfRetryingTask",
    "SelfSkippingTask",
    "TriggerManagerTestCaseMixin",
    "name_matches_classpath",
]
