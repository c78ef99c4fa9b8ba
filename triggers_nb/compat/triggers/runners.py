"""Alias of `triggers_nb.runners`: the same module object, so that patching ``DEFAULT_TASK_RUNNER`` here reaches it."""

from __future__ import annotations

import sys

import triggers_nb.runners

sys.modules[__name__] = triggers_nb.runners
