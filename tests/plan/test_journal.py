"""The journal: what was executed, on disk before the next step begins, without secrets, and as Python that runs."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import warnings
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import triggers_nb as tnb
from tests.plan import fifo
from tests.plan.flights import FAILS, connect, make_fleet, make_flight, status
from triggers_nb.errors import UnreadableJournal, UnwrittenJournal
from triggers_nb.journal import Journal, JournalError
from triggers_nb.plan.frames import JOURNAL
from triggers_nb.redaction import Redactor


def test_each_step_is_a_line_and_a_row(journal):
    ws = make_fleet(2, actor="ada")
    plan = ws.plan.replay(ws.failures().sort_values("session_uid"))
    ws["f1"].skip("t_import#0")

    result = plan.execute(reason="planes found")

    frame = ws.journal()
    assert list(frame.columns) == JOURNAL.names
    last = frame.tail(2)
    assert list(last["outcome"]) == ["done", "refused"]
    assert list(last["session_uid"]) == ["f0", "f1"]
    assert set(last["plan_id"]) == {plan.plan_id}
    assert set(last["action_id"]) == {result.action_id}
    assert set(last["actor"]) == {"ada"}
    assert set(last["reason"]) == {"planes found"}
    assert last["new_instance"].iloc[0] == "t_import#1"
    assert last["python"].iloc[0] == "ws['f0'].replay('t_import#0', reason='planes found')"
    assert str(frame["at"].dtype) == "datetime64[us, UTC]"
    assert len(journal.read_text().splitlines()) == len(frame)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_nothing_secret_reaches_the_disk_and_kwargs_are_patches(journal):
    ws = make_fleet(1, actor="ada@example.org")
    session = ws["f0"]

    session.replay(
        "t_import#0",
        merge_kwargs={"scheduled": {"plane": "N1", "token": "tok-123456789"}},
        reason="asked ada@example.org, password=swordfish",
    )
    session.fire("noticed", {"api_key": "abcdefgh12345678"})

    text = journal.read_text()
    for secret in ("tok-123456789", "ada@example.org", "swordfish", "hunter2", "abcdefgh12345678"):
        assert secret not in text
    line = ws.journal("lines")[-2]["python"]
    assert "merge_kwargs={'scheduled': {'plane': 'N1', 'token': '[redacted:" in line
    assert "carrier" not in line, "what stays is not repeated"


def test_an_actor_cannot_add_lines_to_the_python():
    ws = make_fleet(1, actor="ada\nraise SystemExit")

    ws["f0"].skip("t_import#0", reason="no\nraise SystemExit")

    python = ws.journal("python")
    assert not [line for line in python.splitlines() if line.startswith("raise")]
    compile(python, "journal", "exec")


def test_the_journal_of_a_workspace_is_of_its_storage():
    make_fleet(1)
    elsewhere = connect("memory://elsewhere")

    assert len(elsewhere.journal()) == 0
    assert list(elsewhere.journal().columns) == JOURNAL.names
    assert elsewhere.journal("python") == ""


def state_without_times(ws):
    """What two storages have in common after the same changes: all but moments, tokens and tracebacks."""
    state = {}
    for uid in sorted(ws):
        storage = ws.session(uid).storage
        state[uid] = (
            {
                name: (each.status, each.kwargs, each.metadata.get("result"), each.metadata.get("note"))
                for name, each in storage.instances.items()
            },
            {name: config.serialize() for name, config in storage.tasks.items()},
            storage.latest_kwargs,
        )
    return state


def test_the_python_of_the_journal_makes_the_same_changes_in_a_copy():
    # Given changes of every kind, with values of every kind
    ws = connect("memory://original")
    ws.store.clear()
    fifo.forget()
    odd = {
        "at": datetime(2013, 2, 8, 6, tzinfo=UTC),
        "wait": timedelta(minutes=5),
        "price": Decimal("1.50"),
        "id": UUID(int=7),
        "legs": [{"to": "ORD"}],
        "seats": {1, 2},
        "raw": b"\x00'",
        "text": "line\nbreak '\"\\ ☃",
        "nothing": None,
    }
    for uid in ("f0", "f'1"):
        make_flight(ws, uid, {"plane": None, "crew": {"n": 4, "names": ["x"]}})
    session = ws["f0"]
    session.replay("t_import#0", merge_kwargs={"scheduled": {"crew": {"n": 5}, "odd": odd}}, reason='it\'s "found"')
    fifo.drain(FAILS)
    session.replay("t_import#1", kwargs={"scheduled": {"crew": {"names": []}}})
    fifo.drain(FAILS)
    session.replay("t_import#2", kwargs={})
    fifo.drain(FAILS)
    session.skip("t_import#3", cascade=True, result=odd)
    ws["f'1"].update_status("t_import#0", "finished", {"note": odd}, cascade=True, cascade_kwargs={"seats": 3})
    ws["f'1"].update_metadata("t_import#0", {"note": "done"})
    ws["f'1"].configure({"t_more": {"after": ["more"], "run": "x", "withParams": {"more": {"n": 1}}}})
    ws["f'1"].fire("more", odd, once=True)
    ws.session("made by a firing").fire("go")
    fifo.drain(FAILS)
    code = ws.journal("python")

    # When the journal is run line by line in another storage, where the work ends alike
    copy = connect("memory://copy")
    copy.store.clear()
    namespace = {"ws": copy}
    for line in code.splitlines():
        exec(line, namespace)
        fifo.drain(FAILS)

    # Then everything is as in the first
    assert state_without_times(copy) == state_without_times(ws)


def test_python_with_something_redacted_is_refused_naming_the_path():
    ws = make_fleet(1)
    ws["f0"].fire("noticed", {"password": "hunter2"})

    with pytest.raises(ValueError, match=r"password.*this stands for one that was hidden"):
        exec(ws.journal("python").splitlines()[-1], {"ws": ws})


def test_lines_that_a_crash_has_cut_off_spoil_no_other(journal):
    ws = make_fleet(1)
    n = len(ws.journal())
    with journal.open("ab") as file:
        file.write(b'{"version": 1, "at": "2026-')

    ws["f0"].fire("noticed")

    for form in ("frame", "lines", "python"):
        left_out = rf"{journal} .* left out: line {n + 1} \(Unterminated string"
        with pytest.warns(UnreadableJournal, match=left_out) as found:
            ws.journal(form)
        assert found[0].filename == __file__
    with pytest.warns(UnreadableJournal):
        assert len(ws.journal()) == n + 1
    with pytest.warns(UnreadableJournal):
        assert ws.journal("lines")[-1]["target"] == "noticed"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"version": 1}, "missing required field"),
        ({"version": 99}, "Invalid enum value 99"),
        ({"at": "yesterday"}, "RFC3339"),
        ({"at": "2026-11-24T08:00:00"}, "timezone"),
        ({"at": None}, "Expected `datetime`"),
        ({"seq": 10**40}, "Expected `int"),
        ({"seq": "1"}, "Expected `int"),
        ({"python": ["rm"]}, "Expected `str`"),
        ({"url": {}}, "Expected `str`"),
        ([], "Expected `object`"),
        (b"\xff\xfe", "codec can't decode|Expecting value"),
        (b"[" * 100_000, "recursion"),
        (b"9" * 10_000, "integer string conversion"),
    ],
)
def test_a_damaged_line_is_named_and_hides_no_other(journal, bad, why):
    # Given a journal with a line that another program wrote, or an editor has damaged
    ws = make_fleet(1)
    before = ws.journal("lines")
    if isinstance(bad, dict) and "version" not in bad:
        bad = before[-1] | bad
    with journal.open("ab") as file:
        file.write((bad if isinstance(bad, bytes) else json.dumps(bad).encode()) + b"\n\n")
    ws["f0"].fire("noticed")

    # When it is read, in each form, then a warning says which line it is and why, and all the others are there
    for form, n_good in (("frame", len(before) + 1), ("lines", len(before) + 1), ("python", 2 * (len(before) + 1))):
        with pytest.warns(UnreadableJournal, match=f"line {len(before) + 1} ") as found:
            read = ws.journal(form)
        assert re.search(why, str(found[0].message))
        assert len(read.splitlines() if form == "python" else read) == n_good


def test_a_journal_of_nothing_but_damage_names_the_first_lines(journal):
    journal.write_bytes(b"{}\n" * 1000)

    with pytest.warns(UnreadableJournal, match=r"line 1 .*line 5 .* and 995 more"):
        assert connect().journal().empty


@given(
    line=st.dictionaries(
        st.sampled_from([*JOURNAL.names, "version"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
            max_leaves=4,
        ),
    )
)
@example({"at": "0001-01-01T00:00:00+23:59"})
@example({"at": "9999-12-31T23:59:59.999999-23:59"})
def test_no_forged_line_takes_the_journal_down(tmp_path_factory, line):
    path = tmp_path_factory.mktemp("forged") / "journal.jsonl"
    good = {
        "version": 1, "at": "2026-11-24T08:00:00+00:00", "actor": "ada", "env": None, "url": "memory://flights",
        "reason": None, "plan_id": "p", "action_id": "a", "session_uid": "s", "action": "fire", "target": "x",
        "outcome": "done", "error": None, "new_instance": None, "seq": 2, "python": "ws['s'].fire('x')",
    }  # fmt: skip
    path.write_text("".join(json.dumps(each) + "\n" for each in (good, good | line, good)))
    journal = Journal(path, Redactor())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnreadableJournal)
        assert len(journal.frame()) >= 2
        assert journal.python().count(good["python"]) >= 2


KILLED = """
import os, signal, sys
import triggers_nb as tnb
from tests.plan import fifo
ws = tnb.connect(sys.argv[1], runner=fifo.KEY)
n = 0
def watch(*_):
    global n
    n += 1
    if n == 4:
        os.kill(os.getpid(), signal.SIGKILL)
from triggers_nb.plan.execution import _Execution
step = _Execution.step
_Execution.step = lambda self, action: (step(self, action), watch())
ws.plan.replay(ws.failures().sort_values("session_uid")).execute(progress=False)
"""


def test_lines_survive_a_kernel_that_is_killed(tmp_path, journal):
    url = f"sqlite:///{tmp_path}/killed.db"
    ws = make_fleet(8, url)
    n = len(ws.journal())

    killed = subprocess.run([sys.executable, "-c", KILLED, url], env={**os.environ, "PYTHONPATH": "."}, check=False)

    assert killed.returncode == -signal.SIGKILL
    assert list(ws.journal()["session_uid"])[n:] == ["f0", "f1", "f2", "f3"]
    assert [status(ws, f"f{i}") for i in range(8)] == ["replayed"] * 4 + ["failed"] * 4


APPENDING = """
import sys
import triggers_nb as tnb
from tests.plan import fifo
ws = tnb.connect(f"memory://{sys.argv[1]}", runner=fifo.KEY)
session = ws.create("s", {"t_x": {"after": ["x"], "run": "x"}})
for n in range(100):
    session.fire("noticed", {"n": n, "text": "x" * 3000})
"""


def test_several_processes_append_without_mixing_their_lines(journal):
    names = ["a", "b", "c"]
    processes = [
        subprocess.Popen([sys.executable, "-c", APPENDING, name], env={**os.environ, "PYTHONPATH": "."})
        for name in names
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]

    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert len(lines) == 3 * 101
    for name in names:
        own = [line for line in lines if line["url"] == f"memory://{name}"]
        assert [line["seq"] for line in own] == sorted(line["seq"] for line in own)
        assert len(own) == 101


def test_threads_append_without_mixing_their_lines(journal):
    ws = make_fleet(4)
    n = len(ws.journal())

    def fire(uid):
        for number in range(50):
            ws[uid].fire("noticed", {"n": number, "text": "x" * 3000})

    threads = [threading.Thread(target=fire, args=(f"f{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(ws.journal()) == n + 200


def test_a_journal_that_cannot_be_written_is_said_before_anything_changes(tmp_path, monkeypatch):
    make_fleet(1)
    monkeypatch.setenv("TRIGGERS_JOURNAL", str(tmp_path))
    ws = connect()
    plan = ws["f0"].plan.replay("t_import#0")

    with pytest.raises(JournalError, match="nothing was changed: set TRIGGERS_JOURNAL"):
        plan.execute()
    assert status(ws) == "failed"
    assert not plan.is_used


def test_a_full_disk_is_a_warning_that_says_that_the_change_was_made(monkeypatch):
    ws = make_fleet(1)
    monkeypatch.setenv("TRIGGERS_JOURNAL", "/dev/full")

    with pytest.warns(UnwrittenJournal, match="The change was made; it is missing from the journal alone"):
        result = connect()["f0"].fire("noticed")

    assert result.counts == {"done": 1}
    assert "noticed" in ws["f0"].storage.latest_kwargs


def test_a_journal_that_is_a_directory_cannot_be_read(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIGGERS_JOURNAL", str(tmp_path))

    with pytest.raises(JournalError, match=r"cannot be read .*: set TRIGGERS_JOURNAL"):
        connect().journal()


def test_a_journal_that_fails_on_the_way_is_reported_with_the_change_and_ends_the_execution(monkeypatch):
    ws = make_fleet(2)
    plan = ws.plan.replay(ws.failures())
    monkeypatch.setattr(
        "triggers_nb.journal.JournalWriter.write", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full"))
    )

    result = plan.execute()

    assert result.counts == {"done": 1, "not done": 1}
    assert "the journal could not be written: [Errno 28] disk full" in result.frame["error"][0]
    assert len(ws.failures()) == 1


def test_recorded_reasons_are_shown_redacted_in_frames_of_events():
    ws = make_fleet(1)
    ws["f0"].replay("t_import#0", reason="password=swordfish")

    assert "swordfish" not in ws["f0"].events().to_string()
    assert "swordfish" not in ws.journal().to_string()
    assert tnb.connect("memory://flights", redact=False)["f0"].events()["reason"].str.contains("swordfish").any()
