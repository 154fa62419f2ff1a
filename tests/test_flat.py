"""A run of some epochs stays flat by tools/flat_test.py, which notices each kind of growth."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TOOL, LEAKING = HERE.parent / "tools" / "flat_test.py", HERE / "leaking.py"
EPOCHS = 40  # of fewer, one step of the allocator in their middle looks like growth

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def run(tmp_path, *command):
    """The exit code, what had grown, and what each epoch had."""
    file = tmp_path / "record.json"
    numbers = f"--epochs {EPOCHS} --warm-up 10 --images 170 --views 2"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    command = [sys.executable, *map(str, command), *numbers.split(), "--out", str(file)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert file.is_file(), done.stderr
    record = json.loads(file.read_text())
    return done.returncode, record["failures"], record["epochs"]


def test_a_run_stays_flat(tmp_path):
    code, failures, epochs = run(tmp_path, TOOL)
    assert (code, failures) == (0, {})
    assert len(epochs) == EPOCHS
    assert all(sample["memory"] > 2**26 and sample["open files"] > 3 for sample in epochs)  # it did look


def test_what_a_run_leaves_behind_every_epoch_is_noticed(tmp_path):
    code, failures, epochs = run(tmp_path, LEAKING, tmp_path)
    assert code == 1
    assert set(failures) == set(epochs[0])
