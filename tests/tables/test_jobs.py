"""The scheduler, with commands that take no time: it knows nothing of recipes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from potstill.cores import cores
from potstill.errors import BadInput
from potstill.tables.jobs import Job, run_jobs
from potstill.tables.runners.local import local

PYTHON = (sys.executable, "-S", "-c")


class Diary:
    def __init__(self):
        self.lines = []

    def started(self, job, host):
        self.lines.append(f"{job.name} started")

    def ended(self, job, failure):
        self.lines.append(f"{job.name} ended: {failure}")

    def tick(self):
        pass


def job(tmp_path, name, code, needs=None):
    return Job(name, (*PYTHON, code), tmp_path / name / "log", needs)


def test_as_many_at_once_as_allowed_and_no_more(tmp_path):
    """Each of two waits for the other's sign of life: one after the other would never end."""
    meet = "import pathlib, time, sys\nmine, other = map(pathlib.Path, sys.argv[1:])\nmine.touch()\n"
    meet += "for _ in range(200):\n    if other.exists(): sys.exit(0)\n    time.sleep(0.05)\nsys.exit('alone')"
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    pair = [Job(n, (*PYTHON, meet, *files), tmp_path / f"{n}.log") for n, files in {"x": (a, b), "y": (b, a)}.items()]
    assert run_jobs(pair, local(2), Diary()) == {}
    diary = Diary()
    assert run_jobs([job(tmp_path, name, "") for name in "pq"], local(1), diary) == {}
    assert diary.lines == ["p started", "p ended: None", "q started", "q ended: None"]


def test_what_needs_another_waits_for_it(tmp_path):
    diary = Diary()
    student = job(tmp_path, "student", "", needs="teacher")
    assert run_jobs([student, job(tmp_path, "teacher", "import time; time.sleep(0.3)")], local(2), diary) == {}
    assert diary.lines.index("teacher ended: None") < diary.lines.index("student started")
    assert run_jobs([student], local(1), Diary()) == {}  # its teacher was there before


def test_a_failure_says_why_and_stops_only_what_needs_it(tmp_path):
    diary = Diary()
    failures = run_jobs(
        [
            job(tmp_path, "teacher", "import sys; print('epoch 0'); sys.exit('potstill: no data set here\\n')"),
            job(tmp_path, "student", "raise AssertionError", needs="teacher"),
            job(tmp_path, "silent", "import sys; sys.exit(7)"),
            job(tmp_path, "killed", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"),
            job(tmp_path, "fine", "print('fine')"),
        ],
        local(1),
        diary,
    )
    assert failures == {
        "teacher": "no data set here",
        "student": "not run: its teacher teacher failed: no data set here",
        "silent": "exit code 7",
        "killed": "killed by SIGKILL",
    }
    assert "student started" not in diary.lines
    assert (tmp_path / "fine" / "log").read_text() == "fine\n"


def test_processes_share_the_cores(tmp_path, monkeypatch):
    tell = "import os; print(os.environ['OMP_NUM_THREADS'])"
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    for at_once in (1, 2, 1000):
        (tmp_path / "threads" / "log").unlink(missing_ok=True)
        run_jobs([job(tmp_path, "threads", tell)], local(at_once), Diary())
        assert int((tmp_path / "threads" / "log").read_text()) == max(1, cores() // at_once)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")  # what the user says counts
    run_jobs([job(tmp_path, "told", tell)], local(1), Diary())
    assert (tmp_path / "told" / "log").read_text() == "3\n"


def test_no_jobs_at_once():
    with pytest.raises(BadInput, match="--jobs must be positive, not 0"):
        run_jobs([], local(0), Diary())


PARENT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a suite that runs in the background ignores,
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and so does one that was started with nohup
from potstill.tables.jobs import Job, run_jobs
from potstill.tables.runners.local import local
class Mute:
    def started(self, job, host): pass
    def ended(self, job, failure): pass
    def tick(self): pass
code, folder = sys.argv[1:]
try:
    run_jobs([Job(n, (sys.executable, "-S", "-c", code), Path(folder) / n) for n in "ab"], local(2), Mute())
except KeyboardInterrupt:
    sys.exit(130)
"""


def signalled(number, code, tmp_path):
    """What a parent of two children ends with when it gets the signal, and what it says; and the children's logs."""
    command = [sys.executable, "-c", PARENT, code, str(tmp_path)]
    with subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        logs = [tmp_path / name for name in "ab"]
        while not all(log.is_file() and log.read_text().endswith("\n") for log in logs):
            assert time.monotonic() < deadline, "children never started"
            time.sleep(0.05)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
    return process.returncode, said, logs


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_c10_children_end_with_their_parent_however_it_dies(number, tmp_path):
    sleep = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code, _, logs = signalled(number, sleep, tmp_path)
    assert code == (-number if number == signal.SIGKILL else 128 + number)
    deadline = time.monotonic() + 10
    while any(lives(int(log.read_text())) for log in logs):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_c10_children_are_waited_for_while_they_save_and_what_they_said_is_passed_on(tmp_path):
    save = """
import signal, sys, time
def end(*_):
    time.sleep(0.5)
    print("potstill: saved after step 3")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
print("started", flush=True)
time.sleep(60)
"""
    code, said, logs = signalled(signal.SIGINT, save, tmp_path)
    assert code == 130
    assert sorted(said.splitlines()) == ["potstill: a: saved after step 3", "potstill: b: saved after step 3"]
    assert all(log.read_text().endswith("saved after step 3\n") for log in logs)
