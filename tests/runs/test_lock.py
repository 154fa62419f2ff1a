import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

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
