import gc
import threading

import pytest

from triggers_nb.notebook.live import Follower

#: What does not happen within that time does not happen.
TIMEOUT_S = 120.0


class Clock:
    """Something that is followed."""

    def __init__(self):
        self.refreshed = threading.Semaphore(0)
        self.alive = threading.Semaphore(0)
        self.lost: list[Exception] = []
        self.error: Exception | None = None

    def refresh(self):
        if self.error is not None:
            raise self.error
        self.refreshed.release()

    def note_lost(self, error):
        self.lost.append(error)

    def note_alive(self):
        self.alive.release()


class Look:
    """Waits for what a test says."""

    def __init__(self):
        self.changes = threading.Semaphore(0)
        self.error: Exception | None = None

    def __call__(self, timeout_s):
        if self.error is not None:
            raise self.error
        return self.changes.acquire(timeout=timeout_s)


@pytest.fixture
def follower():
    clock, look = Clock(), Look()
    follower = Follower(clock, look)
    follower.clock, follower.look = clock, look
    yield follower
    follower.stop()


def test_a_change_leads_to_a_refresh(follower):
    follower.start()
    follower.start()
    follower.look.changes.release()

    assert follower.clock.refreshed.acquire(timeout=TIMEOUT_S)


def test_stopping_leaves_no_thread_and_starting_again_follows_again(follower):
    follower.start()
    thread = follower._thread
    follower.stop(TIMEOUT_S)
    assert not thread.is_alive()

    follower.look.changes.release()
    assert not follower.clock.refreshed.acquire(blocking=False)
    follower.start()
    assert follower.clock.refreshed.acquire(timeout=TIMEOUT_S)


def test_a_storage_that_goes_away_is_told_and_heals(follower):
    follower.look.error = ConnectionError("gone")
    follower.start()
    while not follower.clock.lost:
        follower._stopped.wait(0.01)
    assert str(follower.clock.lost[0]) == "gone"

    follower.look.error = None
    follower.look.changes.release()
    assert follower.clock.refreshed.acquire(timeout=TIMEOUT_S)
    assert follower.clock.alive.acquire(timeout=TIMEOUT_S)


def test_a_refresh_that_fails_is_told_and_tried_again(follower):
    follower.clock.error = RuntimeError("broken")
    follower.start()
    follower.look.changes.release()
    while not follower.clock.lost:
        follower._stopped.wait(0.01)
    follower.clock.error = None
    follower.look.changes.release()

    assert follower.clock.refreshed.acquire(timeout=TIMEOUT_S)


def test_what_nobody_holds_any_more_is_followed_no_more():
    clock, look = Clock(), Look()
    follower = Follower(clock, look)
    follower.start()
    thread = follower._thread
    del clock
    gc.collect()

    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
