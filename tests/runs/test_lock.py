import errno
import json
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from hashlib import sha256

import pytest

from potstill.errors import BadInput, TrainingFailed
from potstill.recipes import supervised
from potstill.runs import manifest
from potstill.runs.lock import Lock
from potstill.training import Training
from potstill.whole_file import write_whole

HOLD = """
import json, pathlib, sys, filelock
folder = pathlib.Path(sys.argv[1])
with filelock.FileLock(folder / ".lock"):
    (folder / ".holder.json").write_text(json.dumps({"process": 4711, "machine": "here", "since": "noon"}))
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def held(tmp_path):
    """A run folder that another process holds until it is sent a line."""
    folder = tmp_path / "run"
    folder.mkdir()
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield folder, process
        process.kill()


def test_the_second_run_says_who_holds_the_folder_and_waits(held, capsys):
    folder, process = held
    said = []

    def end_the_other():
        while not said:  # until this process says that it waits
            said.extend(line for line in capsys.readouterr().err.splitlines() if "waiting" in line)
            time.sleep(0.05)
        process.communicate("\n")

    thread = threading.Thread(target=end_the_other)
    thread.start()
    lock = Lock(folder)
    lock.take()
    thread.join()
    assert said == [f"potstill: {folder} is being trained by process 4711 on here since noon; waiting for it to end"]
    lock.release()


def test_a_killed_holder_holds_nothing(held, capsys):
    folder, process = held
    process.kill()
    process.wait()
    lock = Lock(folder)
    lock.take()
    assert "waiting" not in capsys.readouterr().err
    lock.release()
    assert not (folder / ".holder.json").exists()


def test_two_starts_of_one_run_train_once(tmp_path, capsys):
    training = Training(data="digits", epochs=1, batch_size=300, out=tmp_path / "run")
    first = supervised(network="wrn-10-1", training=training)
    assert supervised(network="wrn-10-1", training=replace(training)) == first
    assert capsys.readouterr().err.count("epoch   0") == 1


# C10: file systems without locks.
def without_locks(number):
    def flock(file, how, **more):
        raise OSError(number, os.strerror(number))

    return flock


NUMBERS = [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO]


@pytest.mark.parametrize("number", NUMBERS, ids=[errno.errorcode[number] for number in NUMBERS])
def test_without_locks_a_file_says_who_writes(tmp_path, number, capsys):
    lock = Lock(tmp_path, without_locks(number))
    lock.take()
    assert json.loads((tmp_path / ".holder.json").read_text())["process"] == os.getpid()
    assert capsys.readouterr().err.count("lies on a file system without locks") == 1
    lock.release()
    assert not (tmp_path / ".holder.json").exists()


@pytest.mark.parametrize(
    "left",
    [
        {"process": 2**22 + 1, "machine": platform.node(), "since": "noon"},
        {"process": 2**70, "machine": platform.node(), "since": "noon"},
        {"process": os.getpid(), "machine": platform.node(), "since": "noon", "started": "1"},
    ],
    ids=["gone", "no number of a process", "its number was given again"],
)
def test_without_locks_a_process_that_is_gone_holds_nothing(tmp_path, left):
    (tmp_path / ".holder.json").write_text(json.dumps(left))
    lock = Lock(tmp_path, without_locks(errno.ENOLCK))
    lock.take()
    assert json.loads((tmp_path / ".holder.json").read_text())["process"] == os.getpid()
    lock.release()


def test_without_locks_a_torn_file_holds_nothing_for_long(tmp_path, monkeypatch):
    (tmp_path / ".holder.json").write_text('{"process": ')
    os.utime(tmp_path / ".holder.json", (0, 0))
    lock = Lock(tmp_path, without_locks(errno.ENOLCK))
    lock.take()
    lock.release()


def test_without_locks_a_process_of_another_machine_is_waited_for_and_named_again(tmp_path, capsys, monkeypatch):
    holder = tmp_path / ".holder.json"
    holder.write_text(json.dumps({"process": 1, "machine": "elsewhere", "since": "noon"}))
    monkeypatch.setattr("potstill.runs.lock.SAY_SECONDS", 0.5)
    timer = threading.Timer(1.5, holder.unlink)
    timer.start()
    lock = Lock(tmp_path, without_locks(errno.ENOLCK))
    lock.take()
    lock.release()
    said = capsys.readouterr().err
    assert said.count(f"process 1 on elsewhere since noon (if that is gone, delete {holder})") >= 2


def test_what_is_no_lock_is_one_line(tmp_path):
    (tmp_path / ".lock").mkdir()
    with pytest.raises(BadInput, match=r"\.lock is not the lock of a run \(Is a directory\); remove it$"):
        Lock(tmp_path).take()


# Several machines: their kernels' locks, which never hold against each other, and the claim that does.
def of_another_kernel(file, how):
    """A lock that is always free, as on a network file system whose locks are each host's own."""


BEAT = 0.2  # nine of them without a sign of life are an end


def lock_of(machine, folder, beat=BEAT, flock=of_another_kernel):
    return Lock(folder, flock, machine, beat)


def test_the_claim_of_a_living_machine_holds_and_that_of_one_that_vanished_is_taken_over(tmp_path, capsys):
    first, second = lock_of("one", tmp_path), lock_of("two", tmp_path)
    first.take()
    waiting = threading.Thread(target=second.take)
    waiting.start()
    time.sleep(15 * BEAT)
    assert waiting.is_alive()  # though the claim was made longer ago than a claim lives
    first.claim.must_hold()
    first.claim.over.set()  # the machine is gone
    waiting.join(30)
    assert json.loads((tmp_path / ".holder.json").read_text())["machine"] == "two"
    assert "process" in (said := capsys.readouterr().err)
    assert "on one since" in said
    assert "taken over when it has given no sign of life for 1.8 seconds" in said
    with pytest.raises(TrainingFailed, match="was taken over by process .* on two since .* no sign of life for 1.8 s"):
        first.claim.must_hold()
    first.release()
    assert (tmp_path / ".holder.json").exists()  # it is the second's
    second.release()
    assert [file.name for file in tmp_path.iterdir()] == [".lock"]


OWNER = """
import sys, threading, time
from pathlib import Path
from potstill.cli import answer_to
from potstill.runs import manifest
from potstill.runs.lock import Lock
folder = Path(sys.argv[1])
Lock(folder, lambda file, how: None, "one", float(sys.argv[2])).take()
try:
    while True:
        manifest.write(folder, {"metrics.jsonl": b"one"})
        print("written", flush=True)
        time.sleep(0.5)
except BaseException as error:
    sys.exit(answer_to(error, []))
"""


def test_an_owner_that_was_stopped_for_too_long_writes_nothing_when_it_wakes(tmp_path):
    command = [sys.executable, "-c", OWNER, str(tmp_path), str(BEAT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as owner:
        assert owner.stdout.readline() == "written\n"
        owner.send_signal(signal.SIGSTOP)
        lock = lock_of("two", tmp_path)
        lock.take()
        manifest.write(tmp_path, {"metrics.jsonl": b"two"})
        owner.send_signal(signal.SIGCONT)
        (line,) = owner.communicate(timeout=60)[1].splitlines()
    assert owner.returncode == 3
    assert "was taken over by process" in line
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"two"
    lock.release()


@pytest.mark.parametrize("links", [True, False], ids=["hard links", "no hard links"])
def test_of_many_machines_one_at_a_time_has_the_folder(tmp_path, links, monkeypatch):
    """They all find the claim of one that vanished, and then each other's."""
    monkeypatch.setattr("potstill.runs.lock.POLL_SECONDS", 0.001)
    if not links:
        monkeypatch.setattr("os.link", without_locks(errno.EPERM))
    left = {"process": 1, "machine": "gone", "since": "noon", "beat": BEAT}
    (tmp_path / ".holder.json").write_text(json.dumps(left))
    os.utime(tmp_path / ".holder.json", (0, 0))
    inside, most = [], []

    def work(machine):
        lock = lock_of(machine, tmp_path)
        lock.take()
        inside.append(machine)
        most.append(len(inside))
        time.sleep(0.02)
        inside.remove(machine)
        lock.release()

    threads = [threading.Thread(target=work, args=(f"machine {i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == [1] * 8


def test_a_claim_that_was_removed_by_hand_is_made_again(tmp_path):
    lock = lock_of("one", tmp_path)
    lock.take()
    (tmp_path / ".holder.json").unlink()
    lock.claim.must_hold()
    assert json.loads((tmp_path / ".holder.json").read_text())["machine"] == "one"
    lock.release()


def test_what_a_killed_process_left_of_a_take_over_is_no_obstacle_for_ever(tmp_path):
    left = {"process": 1, "machine": "gone", "since": "noon", "beat": BEAT}
    (tmp_path / ".holder.json").write_text(json.dumps(left))
    os.utime(tmp_path / ".holder.json", (0, 0))
    lock = lock_of("one", tmp_path)
    found = lock.claim.found()
    guard = tmp_path / f".holder.{sha256(found.content).hexdigest()[:16]}.taken"
    guard.touch()
    assert not lock.claim.take_over(found)
    os.utime(guard, (0, 0))
    lock.take()
    assert not guard.exists()
    lock.release()


def test_an_owner_that_was_stopped_in_the_middle_of_a_write_does_not_end_it(tmp_path):
    def lost():
        raise TrainingFailed("taken over")

    (tmp_path / "last.ckpt").write_bytes(b"two")
    with pytest.raises(TrainingFailed, match="taken over"):
        write_whole(tmp_path / "last.ckpt", b"one", keep=tmp_path / "previous.ckpt", check=lost)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"last.ckpt": b"two"}


def test_a_lock_is_no_program_and_who_is_waited_for_is_said_once(tmp_path, capsys):
    lock = Lock(tmp_path)
    lock.take()
    assert not (tmp_path / ".lock").stat().st_mode & 0o111
    lock.release()
    answers = iter([None] * 4 + [True])
    assert lock._wait(lambda: next(answers))
    assert capsys.readouterr().err.count("waiting for it to end") == 1


def test_a_claim_that_was_lost_is_not_touched_and_its_thread_goes_on(tmp_path):
    claim = Lock(tmp_path, beat=0.01).claim
    assert claim.make()
    beats, wait = [], claim.over.wait

    def lost():
        beats.append(1)
        raise TrainingFailed("another process has it")

    claim.must_hold, claim.over.wait = lost, lambda beat: len(beats) == 3 or wait(beat)
    claim._touch_on()
    assert len(beats) == 3
