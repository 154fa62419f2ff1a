"""Drawn inputs of every kind end with a result or with one clear line: no other exception, no hang, no great memory.

tools/fuzz.py runs as many as one likes and replays one.
"""

import time
from pathlib import Path

import numpy as np
import pytest
from fuzzing import DOMAINS
from fuzzing.domain import Domain, Outcome, attempt, fuzz
from hypothesis import strategies as st

from potstill.errors import BadInput

SEED = 13
INPUTS = {
    **{"addresses": 500, "convolutions": 450, "terms": 350, "weights": 250, "runs": 150, "reports": 50},
    **{"image folders": 120, "parquet": 100, "networks": 80, "command lines": 100, "pictures": 60},
}


@pytest.mark.parametrize("name", DOMAINS)
def test_every_input_ends_with_a_result_or_a_clear_line(name):
    outcome = fuzz(DOMAINS[name], INPUTS[name], SEED)
    assert outcome.inputs >= INPUTS[name]
    assert outcome.refused > 0 or name in ("reports", "command lines")
    assert [f"{failure.error}\n{failure.value}\n{failure.traceback}" for failure in outcome.failures] == []


def test_there_are_enough():
    assert sum(INPUTS.values()) >= 2000


def _raises(value, folder):
    raise {"ours": BadInput("x"), "file": OSError("x"), "fault": KeyError("x"), "exit": SystemExit(0)}[value]


def _sleeps(value, folder):
    time.sleep(value)


def _fills(value, folder):
    np.ones(value, dtype=np.uint8)


@pytest.mark.parametrize(
    ("run", "value", "error"),
    [
        (_raises, "ours", None),
        (_raises, "file", None),
        (_raises, "fault", "KeyError: 'x'"),
        (_raises, "exit", "SystemExit: 0"),
        (_sleeps, 0.01, None),
        (_sleeps, 5, "Hang: still running after 0.3 s"),
        (_fills, 1 << 20, None),
        (_fills, 1 << 30, "MemoryError: Unable to allocate 1.00 GiB for an array"),
    ],
)
def test_what_counts_as_a_failure(run, value, error):
    outcome = Outcome()
    attempt(Domain(st.none(), run), value, outcome, seconds=0.3, extra=1 << 28)
    assert [failure.error[: len(error or "")] for failure in outcome.failures] == ([error] if error else [])


def test_the_same_seed_draws_the_same_inputs():
    drawn = []
    domain = Domain(st.text(), lambda value, folder: drawn.append(value))
    for seed in (1, 1, 2):
        fuzz(domain, 30, seed)
    assert drawn[:30] == drawn[30:60] != drawn[60:]


def test_an_input_has_an_empty_folder_of_its_own(tmp_path):
    places: list[Path] = []
    domain = Domain(st.integers(), lambda value, folder: places.append(folder) or (folder / "x").write_text("") * 0)
    fuzz(domain, 5, 0)
    assert len(set(places)) == len(places)
    assert not any(place.exists() for place in places)
