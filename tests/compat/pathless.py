"""A task that nobody imports: its path is found by name."""

from triggers import TriggerTask


class NamedTask(TriggerTask):
    name = "another name than its path"

    def _run(self, context):
        return {"by": "path"}
