"""Explanations name the cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from tests.analysis.histories import UID, History, Obey, histories
from triggers_nb.analysis.reading import Source
from triggers_nb.errors import UnknownName
from triggers_nb.redaction import Redactor
from triggers_nb.session_views import SessionView


class Story:
    """A session with tasks of its own, whose instances end as they are told to."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.history = History()
        self.manager = self.history.manager
        run = {"run": Obey.name}
        self.manager.update_configuration({task: {**run, **rule} for task, rule in configuration.items()})
        self.view = SessionView(Source(self.history.store, Redactor()), UID)

    def fire(self, *triggers: str) -> Story:
        for trigger in triggers:
            self.manager.fire(trigger)
        return self

    def end(self, instance: str, how: str = "finish") -> Story:
        from triggers_nb.task import run_instance

        Obey.orders = how
        run_instance(self.manager, instance, Obey)
        return self

    def claim(self, instance: str) -> Story:
        from triggers_nb.task import InstanceRun

        InstanceRun(self.manager, instance, Obey).claim()
        return self

    def later(self, seconds: float) -> Story:
        now_us = self.history.store.now_us() + round(seconds * 1e6)
        self.history.store.now_us = lambda: now_us  # type: ignore[method-assign]
        return self


CHAIN = {
    "t_plane": {"after": ["scheduled"]},
    "t_rebook": {"after": ["t_plane", "cancelled"], "unless": ["departed", "diverted"]},
    "t_report": {"after": ["t_rebook"]},
}


def test_what_has_not_fired_is_named() -> None:
    about = Story(CHAIN).fire("cancelled").view.explain("t_rebook#0")

    assert about.status == "unstarted"
    assert "t_plane has no instance yet; scheduled has not fired" in about.sentence
    assert about.kinds() == ["no-instance", "not-fired"]


def test_a_name_that_was_misspelt_is_shown() -> None:
    about = Story(CHAIN).fire("canceled", "scheduled").end("t_plane#0").view.explain("t_rebook#0")

    assert about.kinds() == ["not-fired", "near-miss"]
    assert about.reasons[1].names == ("canceled",)
    assert "cancelled has not fired; but canceled has, which nothing waits for" in about.sentence


def test_a_misspelt_configuration_is_shown_what_fired_although_others_wait_for_it() -> None:
    misspelt = {
        **CHAIN,
        "t_notify": {"after": ["canceled"], "run": "x"},
        "t_gate": {"after": ["cancelled2"], "run": "x"},
    }
    view = Story(misspelt).fire("cancelled").view

    assert "canceled has not fired; but cancelled has, which is spelt almost alike" in view.explain("t_notify").sentence
    assert view.explain("t_gate").kinds() == ["not-fired"]  # numbered names are meant as they are


@pytest.mark.parametrize(
    ("how", "kind", "text"),
    [
        ("fail", "upstream-failed", "t_plane#0 failed (ValueError)"),
        ("skip", "upstream-skipped", "t_plane#0 was skipped without a cascade"),
        ("retry", "upstream-scheduled", "t_plane#1 is scheduled and has not started"),
    ],
)
def test_what_became_of_a_task_that_is_waited_for(how: str, kind: str, text: str) -> None:
    about = Story(CHAIN).fire("cancelled", "scheduled").end("t_plane#0", how).view.explain("t_rebook#0")

    assert about.kinds() == [kind]
    assert text in about.sentence


def test_a_task_that_still_runs_is_named() -> None:
    about = Story(CHAIN).fire("cancelled", "scheduled").claim("t_plane#0").view.explain("t_rebook#0")

    assert about.kinds() == ["upstream-running"]


def test_the_cause_is_looked_for_upstream() -> None:
    about = Story(CHAIN).fire("cancelled", "scheduled").end("t_plane#0", "fail").view.explain("t_report")

    assert about.status is None
    assert about.kinds() == ["no-instance", "upstream-failed"] or about.kinds() == [
        "upstream-waiting",
        "upstream-failed",
    ]
    assert "t_plane#0 failed" in about.sentence


def test_what_would_forbid_it_is_shown() -> None:
    about = Story(CHAIN).fire("cancelled", "departed").view.explain("t_rebook#0")

    assert about.reasons[-1].kind == "unless-partly"
    assert "departed fired: once diverted fires, too, it is abandoned" in about.sentence


def test_what_forbade_it_is_named() -> None:
    about = Story(CHAIN).fire("cancelled", "departed", "diverted").view.explain("t_rebook#0")

    assert about.status == "abandoned"
    assert about.reasons[0].names == ("departed", "diverted")
    assert about.sentence == "t_rebook#0 was abandoned: departed and diverted fired before it could start."


def test_what_is_done_by_hand_is_told_so() -> None:
    story = Story(CHAIN).fire("cancelled", "scheduled")
    story.manager.update_instance_status("t_rebook#0", "abandoned")
    story.manager.update_instance_status("t_plane#0", "finished")

    assert story.view.explain("t_rebook#0").kinds() == ["by-hand"]
    assert story.view.explain("t_plane#0").kinds() == ["by-hand"]


def test_a_failure_says_what_it_blocks() -> None:
    about = Story(CHAIN).fire("cancelled", "scheduled").end("t_plane#0", "fail").view.explain("t_plane#0")

    assert about.sentence == "t_plane#0 failed: ValueError: no seats in t_plane#0; it blocks t_rebook and t_report."


def test_a_replay_is_followed_to_its_end() -> None:
    story = Story(CHAIN).fire("scheduled").end("t_plane#0", "fail")
    story.manager.replay_failed_instance("t_plane#0")
    story.end("t_plane#1", "fail")
    story.manager.replay_failed_instance("t_plane#1")

    assert story.view.explain("t_plane#0").sentence == "t_plane#0 was replayed: its replay t_plane#2 is scheduled."
    assert story.view.explain("t_plane#2").kinds() == ["pending", "replay-of"]
    assert story.view.explain("t_plane").sentence.startswith("t_plane has 3 instances: 1 scheduled, 2 replayed.")


def test_a_skip_says_whether_it_cascaded() -> None:
    for cascade, kind in ((True, "cascade"), (False, "no-cascade")):
        story = Story(CHAIN).fire("scheduled").end("t_plane#0", "fail")
        story.manager.skip_failed_instance("t_plane#0", cascade=cascade)
        assert story.view.explain("t_plane#0").kinds() == [kind]


def test_what_is_scheduled_waits_for_a_worker() -> None:
    story = Story(CHAIN).fire("scheduled")

    assert story.view.explain("t_plane#0").kinds() == ["pending"]
    assert story.later(60).view.explain("t_plane#0").reasons[0].names == ("pending hand-over",)


def test_what_is_handed_over_again_and_again_is_stuck_and_says_which_class_it_needs() -> None:
    story = Story(CHAIN).fire("scheduled")
    store = story.history.store
    store.postpone(UID, "p:t_plane#0", 300)
    assert f"no worker has started {Obey.name} yet" in story.later(60).view.explain("t_plane#0").sentence

    about = story.later(120).view.explain("t_plane#0")

    assert about.kinds() == ["stuck"]
    assert f"no worker has started {Obey.name} since" in about.sentence
    assert story.view.stuck()["why"].tolist() == ["pending hand-over"]


def test_a_worker_that_says_nothing_is_told() -> None:
    story = Story(CHAIN).fire("scheduled").claim("t_plane#0")

    assert story.view.explain("t_plane#0").kinds() == ["done"]
    about = story.later(100).view.explain("t_plane#0")
    assert about.kinds() == ["done", "stuck"]
    assert "recover() fails it as WorkerLost" in about.sentence


def test_a_cooldown_is_told() -> None:
    about = Story(CHAIN).fire("scheduled").end("t_plane#0", "retry").view.explain("t_plane#1")

    assert about.kinds() == ["cooldown", "pending", "replay-of"]


def test_what_fired_too_early_is_told() -> None:
    story = Story({}).fire("scheduled")
    story.manager.update_configuration({"t_late": {"after": ["scheduled"], "run": Obey.name}})

    about = story.view.explain("t_late")
    assert about.kinds() == ["fired-before"]
    assert about.sentence == "t_late has no instance yet: scheduled fired before t_late waited for it."


def test_a_circle_has_an_end() -> None:
    story = Story({"t_a": {"after": ["t_b"]}, "t_b": {"after": ["t_a"]}})

    assert story.view.explain("t_a").kinds() == ["no-instance", "circle"]


def test_messages_are_redacted() -> None:
    story = Story(CHAIN).fire("scheduled").end("t_plane#0", "fail")
    story.manager.update_instance_metadata("t_plane#0", {"exceptionMessage": "password=hunter2"})

    assert "hunter2" not in story.view.explain("t_plane#0").sentence


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.00006, "0.06 ms"), (0.012, "12 ms"), (1.25, "1.2 s"), (75.4, "75 s"), (7200, "7,200 s")]
)
def test_how_long_it_ran_is_said_in_plain_numbers(seconds: float, said: str) -> None:
    story = Story(CHAIN).fire("scheduled").end("t_plane#0")
    ran = datetime(2013, 2, 8, 10, tzinfo=UTC)
    situation = story.view._situation()
    stamps = situation.instances["t_plane#0"].metadata["timestamps"]
    stamps |= {"running": ran, "finished": ran + timedelta(seconds=seconds)}

    about = situation.explain("t_plane#0")

    assert about.sentence == f"t_plane#0 finished: it ran from 2013-02-08 10:00:00 UTC for {said}."


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(UnknownName, match="t_plane#0"):
        Story(CHAIN).fire("scheduled").view.explain("t_plan#0")


@given(histories)
@settings(max_examples=60)
def test_everything_can_be_explained(history: list[Any]) -> None:
    played = History().play(history)
    view = SessionView(Source(played.store), UID)

    for instance in played.storage:
        about = view.explain(instance.name)
        assert about.status == instance.status
        assert about.sentence.startswith(instance.name)
        if instance.status == "unstarted":
            assert about.reasons
    for task in played.storage.tasks:
        assert view.explain(task).target == task
