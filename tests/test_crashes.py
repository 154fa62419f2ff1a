"""Runs that are killed, on full disks, in folders that vanish, with damaged files: some of tools/crash_test.py."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[1] / "tools" / "crash_test.py"
CASES, SEED, SCENARIOS = 10, 13, 2


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    file = tmp_path_factory.mktemp("crashes") / "record.json"
    numbers = f"--kills {CASES} --seed {SEED} --scenarios {SCENARIOS}"
    command = [sys.executable, str(TOOL), *numbers.split(), "--out", str(file)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    subprocess.run(command, env=environment, check=False, stdout=subprocess.DEVNULL)
    return json.loads(file.read_text())


def test_whatever_happens_to_a_run_it_ends_as_if_nothing_had(record):
    assert [failure for failure in record["failures"] if failure["outcome"] == "FAILED"] == []
    assert record["cases"] == CASES
    assert record["kills"] > CASES / 4, "hardly any run was hurt"
    assert len(record["outcomes"]) > 3, "of few kinds only"


def test_no_damage_to_a_file_goes_unnoticed(record):
    assert [failure for failure in record["failures"] if failure["outcome"] == "unnoticed"] == []
