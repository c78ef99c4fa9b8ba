"""What the test cases of an application share, and tasks of its own."""

from unittest import TestCase

from triggers import CacheStorageBackend, TriggerTask
from triggers.manager import trigger_managers
from triggers.runners import ThreadingTaskRunner
from triggers.storages import storage_backends
from triggers.testing import TriggerManagerTestCaseMixin, name_matches_classpath


class ApplicationTestCase(TriggerManagerTestCaseMixin, TestCase):
    """Has a manager of a session that is named after the test."""

    #: Where sessions are kept; None is the default.
    cache = None

    def setUp(self):
        super().setUp()
        self.storage = storage_backends.get("cache", uid=self._testMethodName, **self.storage_arguments())
        self.storage.cache.clear()
        self.manager = trigger_managers.get("default", storage=self.storage)

    def storage_arguments(self):
        return {} if self.cache is None else {"cache": self.cache}

    def tearDown(self):
        ThreadingTaskRunner.join_all()
        self.storage.cache.clear()
        super().tearDown()

    def fire(self, *names, **kwargs):
        """Fire triggers, and wait for what they start."""
        for name in names:
            self.manager.fire(name, kwargs)
            ThreadingTaskRunner.join_all()

    def reopened(self):
        """The session, as another process would see it."""
        return CacheStorageBackend(self.storage.uid, **self.storage_arguments())


class InMemory:
    """Keeps sessions in memory."""

    cache = "memory://compat"


@name_matches_classpath
class GreetTask(TriggerTask):
    """Greets whoever asks for it, and fails for somebody that has no name."""

    def _run(self, context):
        name = context.trigger_kwargs["greet"]["name"]
        if name is None:
            raise ValueError("nobody to greet")
        return {"greeting": f"hello, {name}"}
