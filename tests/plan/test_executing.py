"""Executing plans: exactly the targets, each at the version that was seen, through the manager, once."""

import logging
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import ClassVar

import pytest

import triggers_nb as tnb
from tests.plan import fifo
from tests.plan.flights import CONFIGURATION, FAILS, connect, make_fleet, status
from triggers_nb.core.events import decode_event
from triggers_nb.errors import PlanUsed
from triggers_nb.journal import JournalWriter
from triggers_nb.manager import TriggerManager, trigger_managers
from triggers_nb.plan.execution import PlanFailed
from triggers_nb.runners import ThreadingTaskRunner
from triggers_nb.testing import DevNullTask, FailingTask


@trigger_managers.register("tests-recorder")
class Recorder(TriggerManager):
    """Notes each call of its hooks; raises if a test wants it to."""

    calls: ClassVar[list[tuple[str, ...]]] = []
    raises: ClassVar[bool] = False

    def _post_fire(self, trigger_name, tasks_scheduled):
        self.note("fire", trigger_name, *[instance.name for instance in tasks_scheduled])

    def _post_replay(self, task_instance):
        self.note("replay", task_instance.name)

    def _post_skip(self, task_instance, cascade):
        self.note("skip", task_instance.name, str(cascade))

    def note(self, *what):
        self.calls.append((self.storage.uid, *what))
        if self.raises:
            raise ConnectionError(f"no network for {what[0]}")


@pytest.fixture
def calls(monkeypatch):
    monkeypatch.setattr(Recorder, "calls", [])
    return lambda: Counter(Recorder.calls)


def events_of(ws, uid="f0"):
    return [decode_event(stored.data) for stored in ws.store.events(uid)]


def test_a_plan_is_executed_once():
    ws = make_fleet(1)
    plan = ws["f0"].plan.replay("t_import#0")
    plan.execute()

    with pytest.raises(PlanUsed, match="executed already"):
        plan.execute()
    assert "has been executed" in repr(plan)
    assert [event.action for event in events_of(ws)].count("replay") == 1


def test_of_two_threads_that_execute_one_plan_one_does():
    ws = make_fleet(20)
    plan = ws.plan.replay(ws.failures())
    barrier = threading.Barrier(2)

    def execute():
        barrier.wait()
        try:
            return plan.execute(progress=False).counts
        except PlanUsed:
            return None

    with ThreadPoolExecutor(2) as pool:
        outcomes = [future.result() for future in [pool.submit(execute), pool.submit(execute)]]

    assert sorted(outcomes, key=str) == sorted([{"done": 20}, None], key=str)


def test_what_moved_on_is_refused_and_reported_and_the_rest_is_done():
    ws = make_fleet(4)
    plan = ws.plan.replay(ws.failures().sort_values("session_uid"), merge_kwargs={"scheduled": {"plane": "N1"}})
    ws["f1"].update_metadata("t_import#0", {"looked": "at"})
    ws["f2"].skip("t_import#0")

    result = plan.execute(reason="planes found")

    assert list(result.frame["outcome"]) == ["done", "refused", "refused", "done"]
    assert list(result.frame["new_instance"].fillna("")) == ["t_import#1", "", "", "t_import#1"]
    assert result.frame["error"].str.contains("StaleTarget").sum() == 2
    assert [status(ws, f"f{n}") for n in range(4)] == ["replayed", "failed", "skipped", "replayed"]
    assert result.counts == {"done": 2, "refused": 2}
    with pytest.raises(PlanFailed, match=r"(?s)2 of 4 steps went wrong:\nf1 t_import#0: refused: StaleTarget.*\nf2"):
        result.raise_for_errors()
    with pytest.raises(PlanFailed, match=r"… and 1 more$"):
        result.raise_for_errors(first=1)


def test_a_session_that_was_deleted_and_made_again_is_refused_although_revisions_agree():
    ws = make_fleet(1)
    plan = ws["f0"].plan.replay("t_import#0")
    fire = ws["f0"].plan.fire("cancelled")
    seq = ws.store.state("f0").seq
    make_fleet(1)
    assert ws.store.state("f0").seq == seq

    for refused in (plan.execute(), fire.execute()):
        assert refused.counts == {"refused": 1}
        assert "deleted and made again" in refused.frame["error"][0]
    assert status(ws) == "failed"


def test_what_the_plans_own_steps_wrote_counts_as_seen():
    ws = make_fleet(1)
    plan = ws["f0"].plan.update_status(["t_import#0", "t_rebook#0"], "finished", cascade=True)

    result = plan.execute(confirm="memory")

    # The first releases the second, which is finished by hand before it runs
    assert result.counts == {"done": 2}
    assert status(ws, name="t_rebook#0") == "finished"


def test_what_the_hooks_of_the_plans_own_steps_wrote_counts_as_seen_too(monkeypatch):
    def note(self, *what):
        if what[:2] == ("fire", "t_import"):
            self.update_instance_metadata("t_rebook#0", {"because": "t_import"})

    monkeypatch.setattr(Recorder, "note", note)
    ws = make_fleet(1, manager="tests-recorder")
    plan = ws["f0"].plan.update_status(["t_import#0", "t_rebook#0"], "finished", cascade=True)

    assert "refused" not in set(plan.preview(hooks=True)["action"])
    assert plan.execute(confirm="memory").counts == {"done": 2}
    assert ws["f0"].storage["t_rebook#0"].metadata["because"] == "t_import"


def test_what_somebody_else_wrote_between_two_own_steps_does_not():
    ws = make_fleet(1, manager="tests-intruder")
    Intruder.act = lambda uid: connect()["f0"].update_metadata("t_rebook#0", {"by": "somebody else"})
    plan = ws["f0"].plan.update_status(["t_import#0", "t_rebook#0"], "finished", cascade=True)

    result = plan.execute(confirm="memory")

    assert list(result.frame["outcome"]) == ["done", "refused"]


@trigger_managers.register("tests-intruder")
class Intruder(TriggerManager):
    """Lets somebody else act after a firing, outside of its own handle."""

    act = None

    def _post_fire(self, trigger_name, tasks_scheduled):
        if self.act is not None and trigger_name == "t_import":
            type(self).act(self.storage.uid)


@pytest.fixture(autouse=True)
def no_intruder():
    yield
    Intruder.act = None


@trigger_managers.register("tests-later")
class Later(TriggerManager):
    """Fires from another thread: once it is asked to by the hook of ``b``, or by the test."""

    released: ClassVar[threading.Event]
    thread: ClassVar[threading.Thread]
    calls: ClassVar[list[str]]

    def _post_fire(self, trigger_name, tasks_scheduled):
        self.calls.append(trigger_name)
        if trigger_name == "go":
            type(self).released = threading.Event()
            type(self).thread = threading.Thread(target=self._fire_later)
            self.thread.start()
        if trigger_name == "b":
            self.end()

    def _fire_later(self):
        self.released.wait()
        self.fire("cancelled", {"by": "a thread"})

    @classmethod
    def end(cls):
        cls.released.set()
        cls.thread.join()


@pytest.mark.parametrize("triggers", [["go"], ["go", "a"], ["go", "b", "c"]])
def test_what_a_hook_lets_another_thread_do_later_is_an_ordinary_change(triggers):
    Later.calls = []
    ws = make_fleet(1, manager="tests-later")
    ws["f0"].configure({"t_more": {"after": ["go", "cancelled"], "run": "tests.Close", "andEvery": "cancelled"}})
    Later.calls = []

    plan = ws.plan.fire(["f0"] * len(triggers), triggers)
    result = plan.execute(progress=lambda done: "b" in triggers or Later.end())

    # It is there, its work was handed over and its hook called; the plan tells of its own steps alone
    assert Counter(Later.calls) == Counter([*triggers, "cancelled"])
    fifo.drain(FAILS)
    assert status(ws, name="t_more#0") == "finished"
    assert result.errors == ()
    assert list(result.frame["outcome"]) == ["done"] * len(triggers)
    own = {event.changes[0].target: seq for seq, event in enumerate(events_of(ws), start=1)}
    assert list(result.frame["seq"]) == [own[trigger] for trigger in triggers]
    assert not [item for item in ws.store.state("f0").due if item.startswith("q:")]


def test_what_a_firing_has_read_is_compared_once_for_each_session():
    ws = make_fleet(2)
    plan = ws.plan.fire(["f0", "f1"], ["t_import", "t_import"])
    ws["f1"].fire("t_import")

    result = plan.execute()

    # f1: the first step is refused as what it read has moved on; the second rests on nothing that is compared again
    assert list(result.frame["outcome"]) == ["done", "done", "refused", "done"]


def test_stopping_at_the_first_error_leaves_the_rest_undone():
    ws = make_fleet(3)
    plan = ws.plan.replay(ws.failures().sort_values("session_uid"))
    ws["f0"].skip("t_import#0")

    result = plan.execute(on_error="stop")

    assert list(result.frame["outcome"]) == ["refused", "not done", "not done"]
    assert [status(ws, f"f{n}") for n in (1, 2)] == ["failed", "failed"]
    assert "2 not done" in repr(result)


@pytest.mark.parametrize("options", [{"on_error": "halt"}, {"rate": 0}, {"rate": -1.0}, {"reason": 5}])
def test_nonsense_is_refused_before_anything_is_done(options):
    ws = make_fleet(1)
    plan = ws["f0"].plan.replay("t_import#0")

    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        plan.execute(**options)
    assert not plan.is_used
    assert status(ws) == "failed"


def test_a_rate_spaces_the_steps(monkeypatch):
    ws = make_fleet(4)
    now = [100.0]
    monkeypatch.setattr("triggers_nb.plan.execution.time.monotonic", lambda: now[0])
    slept = []

    def sleep(seconds):
        slept.append(round(seconds, 6))
        now[0] += seconds

    monkeypatch.setattr("triggers_nb.plan.execution.time.sleep", sleep)

    ws.plan.replay(ws.failures()).execute(rate=4, progress=False)

    assert slept == [0, 0.25, 0.25, 0.25]


def test_a_bulk_shows_progress_and_a_single_change_does_not(capsys):
    ws = make_fleet(21)
    ws["f0"].replay("t_import#0")
    assert capsys.readouterr().err == ""

    ws.plan.replay(ws.failures()).execute()

    assert "step" in capsys.readouterr().err


def test_what_follows_a_bulk_is_told_each_outcome_and_can_end_it(capsys):
    ws = make_fleet(21)
    told = []

    def follow(done):
        told.append((done.target, done.outcome))
        if len(told) == 3:
            raise KeyboardInterrupt

    result = ws.plan.replay(ws.failures()).execute(progress=follow)

    assert told == [("t_import#0", "done")] * 3
    assert result.was_interrupted
    assert result.counts == {"done": 3, "not done": 18}
    assert len(ws.instances(status="replayed")) == 3
    assert capsys.readouterr().err == ""


class Interrupting(TriggerManager):
    """Interrupts the process in the hook of the third replay, as the kernel's ■ does."""

    n_interrupts = 1
    n_replays = 0

    def _post_replay(self, task_instance):
        type(self).n_replays += 1
        if self.n_replays == 3:
            for _ in range(self.n_interrupts):
                os.kill(os.getpid(), signal.SIGINT)
                # The handler runs between two byte codes
                for _ in range(1000):
                    pass
        self.storage.store.counts(self.storage.uid)
        self.update_instance_metadata(task_instance, {"hook": "ended"})


@pytest.mark.parametrize(("n_interrupts", "hook_ended"), [(1, True), (2, False)])
def test_an_interrupt_leaves_each_target_done_or_not_done(n_interrupts, hook_ended, monkeypatch, journal):
    monkeypatch.setattr(Interrupting, "n_interrupts", n_interrupts)
    monkeypatch.setattr(Interrupting, "n_replays", 0)
    trigger_managers.register("tests-interrupting")(Interrupting)
    ws = make_fleet(6, manager="tests-interrupting")
    frame = ws.failures().sort_values("session_uid")
    handler = signal.getsignal(signal.SIGINT)

    result = ws.plan.replay(frame).execute(progress=False)

    # The step that is hit ends (a second interrupt leaves its hook to recovery); the others are not begun
    assert list(result.frame["outcome"]) == ["done"] * 3 + ["not done"] * 3
    assert result.was_interrupted
    assert "interrupted" in repr(result)
    assert [status(ws, f"f{n}") for n in range(6)] == ["replayed"] * 3 + ["failed"] * 3
    assert ("hook" in ws["f2"].storage["t_import#1"].metadata) is hook_ended
    assert (result.rows[2].error is None) is hook_ended
    assert signal.getsignal(signal.SIGINT) is handler
    assert list(ws.journal()["outcome"]).count("done") == 6 * 3 + 3
    # What was not done can be planned and done
    assert ws.plan.replay(ws.failures()).execute(progress=False).counts == {"done": 3}


def test_interrupts_while_a_step_is_written_down_leave_one_line_and_one_row(monkeypatch):
    ws = make_fleet(3)
    plan = ws.plan.replay(ws.failures().sort_values("session_uid"))
    write = JournalWriter.write

    def write_and_be_interrupted(self, action, row):
        write(self, action, row)
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(JournalWriter, "write", write_and_be_interrupted)

    result = plan.execute(progress=False)

    assert list(result.frame["outcome"]) == ["done", "not done", "not done"]
    assert result.was_interrupted
    lines = ws.journal()
    assert list(lines[lines["plan_id"] == plan.plan_id]["session_uid"]) == ["f0"]


def test_an_interrupt_inside_of_a_commit_is_looked_up(monkeypatch):
    ws = make_fleet(2)
    plan = ws.plan.replay(ws.failures().sort_values("session_uid"))
    commit = ws.store.commit

    def commit_and_be_interrupted(uid, change):
        answer = commit(uid, change)
        if uid == "f0":
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(ws.store, "commit", commit_and_be_interrupted)

    result = plan.execute()

    assert list(result.frame["outcome"]) == ["done", "not done"]
    assert result.frame["seq"][0] == ws.store.state("f0").seq
    assert "interrupted after the change" in result.frame["error"][0]


def test_an_error_of_a_hook_is_reported_with_the_change_that_stands(monkeypatch, calls, caplog):
    caplog.set_level(logging.CRITICAL)
    ws = make_fleet(2, manager="tests-recorder")
    monkeypatch.setattr(Recorder, "raises", True)

    result = ws.plan.replay(ws.failures()).execute()

    assert result.counts == {"done": 2}
    assert result.frame["error"].str.contains("no network for replay").all()
    assert status(ws) == "replayed"
    with pytest.raises(PlanFailed, match="2 of 2 steps went wrong"):
        result.raise_for_errors()
    with pytest.raises(ConnectionError, match="no network for fire"):
        ws["f0"].fire("cancelled")


@pytest.mark.parametrize("raised", [SystemExit(3), GeneratorExit()])
def test_what_was_changed_is_in_the_journal_whatever_a_hook_raises(raised, monkeypatch, calls, caplog):
    caplog.set_level(logging.CRITICAL)
    ws = make_fleet(2, manager="tests-recorder")

    def leave(self, *what):
        raise raised

    monkeypatch.setattr(Recorder, "note", leave)
    plan = ws.plan.replay(ws.failures())

    if isinstance(raised, SystemExit):  # an error of the hook like others
        assert plan.preview(hooks=True)["detail"].str.contains("SystemExit", na=False).any()
        assert plan.execute().counts == {"done": 2}
    else:
        with pytest.raises(GeneratorExit):
            plan.execute()

    replayed = [uid for uid in ("f0", "f1") if status(ws, uid) == "replayed"]
    lines = ws.journal()
    assert sorted(lines[lines["plan_id"] == plan.plan_id]["session_uid"]) == replayed


def test_errors_are_redacted_where_they_are_shown(monkeypatch, calls):
    ws = make_fleet(1, manager="tests-recorder")

    def leak(self, *what):
        raise ConnectionError("redis://ada:hunter2@cache:6379 refused")

    monkeypatch.setattr(Recorder, "note", leak)

    result = ws.plan.replay(ws.failures()).execute()

    shown = repr(result) + result._repr_html_() + result.frame.to_string() + ws.journal().to_string()
    assert "hunter2" not in shown
    with pytest.raises(PlanFailed) as raised:
        result.raise_for_errors()
    assert "hunter2" not in str(raised.value)


def test_each_hook_is_called_exactly_once_for_each_change_singly_in_bulk_and_from_another_thread(calls):
    ws = make_fleet(6, manager="tests-recorder")
    Recorder.calls.clear()

    ws["f0"].replay("t_import#0")
    ws["f1"].skip("t_import#0", cascade=True)
    ws["f1"].fire("extra")
    failed = ws.failures()
    ws.plan.replay(failed[failed["session_uid"].isin(["f2", "f3"])]).execute()
    thread = threading.Thread(target=lambda: ws.plan.skip(ws.failures()).execute(confirm="memory"))
    thread.start()
    thread.join()

    assert calls() == Counter(
        [
            ("f0", "replay", "t_import#1"),
            ("f1", "fire", "t_import", "t_rebook#0"),
            ("f1", "skip", "t_import#0", "True"),
            ("f1", "fire", "extra"),
            ("f2", "replay", "t_import#1"),
            ("f3", "replay", "t_import#1"),
            ("f4", "skip", "t_import#0", "False"),
            ("f5", "skip", "t_import#0", "False"),
        ]
    )


def test_what_hands_work_over_and_what_runs_it_uses_the_sessions_own_manager(calls):
    make_fleet(1, manager="tests-recorder")
    Recorder.calls.clear()
    ws = connect()  # which names no manager

    ws["f0"].replay("t_import#0")
    fifo.drain({**FAILS, "t_import": {}})

    assert calls() == Counter(
        [
            ("f0", "replay", "t_import#1"),
            ("f0", "fire", "t_import", "t_rebook#0"),
            ("f0", "fire", "t_rebook", "t_close#0"),
            ("f0", "fire", "t_close"),
        ]
    )


def test_actor_reason_action_and_plan_are_in_the_events_and_in_those_of_hooks(monkeypatch):
    def note(self, *what):
        if what[0] == "replay":
            self.fire("noticed", once=True)

    monkeypatch.setattr(Recorder, "note", note)
    ws = make_fleet(2, manager="tests-recorder", actor="ada")
    plan = ws.plan.replay(ws.failures())

    result = plan.execute(reason="planes found")

    frame = ws.events()
    frame = frame[frame["plan_id"].eq(plan.plan_id)]
    assert set(frame["action"]) == {"replay", "fire"}
    assert set(frame["session_uid"]) == {"f0", "f1"}
    assert set(frame["reason"]) == {"planes found"}
    assert set(frame["actor"]) == {"ada"}
    assert set(frame["action_id"]) == {result.action_id}


def test_following_waits_until_the_replays_have_ended():
    ws = tnb.connect("memory://following")
    ws.store.clear()
    for uid in "ab":
        ws.create(
            uid,
            {"t_fail": {"after": ["go"], "run": FailingTask.name}, "t_ok": {"after": ["go"], "run": DevNullTask.name}},
        )
        ws[uid].fire("go")
    ThreadingTaskRunner.join_all()

    result = ws.plan.replay(ws.failures()).execute()
    frame = result.follow()

    assert list(frame["instance"]) == ["t_fail#1"] * 2
    assert list(frame["session_uid"]) == list(result.frame["session_uid"])
    assert set(frame["status"]) == {"failed"}


def test_following_gives_up_after_its_time():
    ws = make_fleet(1)
    result = ws["f0"].replay("t_import#0")

    frame = result.follow(timeout_s=0.05)

    assert list(frame["status"]) == ["scheduled"]


#: What another process has not done within that time it does not do.
TIMEOUT_S = 240.0


def replay_all(url, barrier, results):
    from tests.plan import fifo as own_fifo  # registers the runner here

    ws = tnb.connect(url, runner=own_fifo.KEY, actor=f"process {os.getpid()}")
    plan = ws.plan.replay(ws.failures().sort_values("session_uid"), merge_kwargs={"scheduled": {"by": os.getpid()}})
    barrier.wait(TIMEOUT_S)
    results.put([(row.session_uid, row.outcome, row.error) for row in plan.execute(reason="race").rows])


def check_race(ws, found, n):
    """Then each target has changed once, and the other execution says so."""
    assert len(found) == 2
    for uid, *outcomes in zip([row[0] for row in found[0]], *[[row[1] for row in rows] for rows in found], strict=True):
        assert sorted(outcomes) == ["done", "refused"], uid
        assert [event.action for event in events_of(ws, uid)].count("replay") == 1
    refusals = [row[2] for rows in found for row in rows if row[1] == "refused"]
    assert len(refusals) == n
    assert all("StaleTarget" in text or "InvalidStatus" in text for text in refusals)


def test_two_processes_that_execute_at_once_change_each_target_once(tmp_path):
    url = f"sqlite:///{tmp_path}/race.db"
    ws = make_fleet(25, url)
    context = get_context("spawn")
    barrier, results = context.Barrier(2), context.Queue()
    processes = [context.Process(target=replay_all, args=(url, barrier, results)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [results.get(timeout=TIMEOUT_S) for _ in processes]
    for process in processes:
        process.join()

    check_race(ws, found, 25)
    # And the journal has every step of both, whole
    assert len([line for line in ws.journal("lines") if line["reason"] == "race"]) == 50


def test_two_threads_that_execute_at_once_change_each_target_once(tmp_path):
    ws = make_fleet(25, f"sqlite:///{tmp_path}/race.db")
    frame = ws.failures().sort_values("session_uid")
    plans = [ws.plan.replay(frame), ws.plan.replay(frame)]
    barrier = threading.Barrier(2)

    def execute(plan):
        barrier.wait()
        return [(row.session_uid, row.outcome, row.error) for row in plan.execute(progress=False).rows]

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(execute, plans))

    check_race(ws, found, 25)


def test_a_result_says_the_same_as_text_and_html():
    ws = make_fleet(2)
    frame = ws.failures().sort_values("session_uid")
    plan = ws.plan.replay(frame)
    ws["f1"].skip("t_import#0")
    result = plan.execute()

    for said in (repr(result), result._repr_html_()):
        for fact in (
            "Replay 2 instances in 2 sessions: 1 done, 1 refused",
            "f1",
            "t_import#0",
            "refused",
            "StaleTarget",
        ):
            assert fact in said
    assert len(result) == 2


def test_a_session_is_made_by_its_first_configuration_and_planned_steps_know_it():
    ws = connect()
    ws.store.clear()

    result = ws.session("new").plan.configure(CONFIGURATION).execute()

    assert result.counts == {"done": 1}
    assert "new" in ws


def test_a_firing_that_was_to_happen_once_and_has_says_that_nothing_is_changed():
    ws = make_fleet(1)
    ws["f0"].fire("noticed")
    seq = ws["f0"].events()["seq"].max()

    plan = ws["f0"].plan.fire("noticed", once=True)
    preview, result = plan.preview(), plan.execute()

    assert preview[["action", "target"]].values.tolist() == [["note", "noticed"]]
    assert preview["detail"].item() == "it has fired before and is to be fired once: nothing is changed"
    assert result.counts == {"unchanged": 1}
    result.raise_for_errors()
    assert ws["f0"].events()["seq"].max() == seq
