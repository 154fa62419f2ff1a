import errno
import json
import os
import platform
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from potstill.errors import BadInput
from potstill.recipes import supervised
from potstill.runs.lock import Lock
from potstill.training import Training

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
    def flock(file, how):
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
