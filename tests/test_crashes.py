"""Runs that are killed, on full disks, in folders that vanish, with damaged files: some of tools/crash_test.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[1] / "tools" / "crash_test.py"
CASES, SEED, SCENARIOS = 40, 13, 7


def test_whatever_happens_to_a_run_it_ends_as_if_nothing_had(tmp_path):
    record = tmp_path / "record.json"
    command = [sys.executable, str(TOOL), "--kills", str(CASES), "--seed", str(SEED), "--out", str(record)]
    command += ["--scenarios", str(SCENARIOS)]
    # Times of warnings and threads of the suite's own are none of the tool's business.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    found = json.loads(record.read_text())
    assert found["failures"] == [], done.stderr
    assert done.returncode == 0
    assert found["cases"] == CASES
    assert found["kills"] > CASES / 4, "hardly any run was hurt"
    assert len(found["outcomes"]) == 8, "every kind is there"
