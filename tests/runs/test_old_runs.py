"""Every run that the docs quote can still be read, whichever version wrote it."""

from pathlib import Path

import pytest

from potstill.report import find_runs, found_rows
from potstill.runs.headline import headline
from potstill.runs.recorded import read_run

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
FOLDERS, _ = find_runs([RESULTS])


def test_they_are_found():
    assert len(FOLDERS) >= 26


@pytest.mark.parametrize("folder", FOLDERS, ids=[str(folder.relative_to(RESULTS)) for folder in FOLDERS])
def test_an_old_run_can_be_read(folder):
    run = read_run(folder)
    assert run.unfinished is None
    assert run.unread == {}
    for learner in run.learners:
        for which in ("last", "best"):
            name, value = headline(run.measured(learner, which))
            assert name == "top1"
            assert 0 < value <= 100
    assert all(headline(measured)[0] == "top1" for measured in run.teachers().values())


def test_seeds_are_rows():
    rows, left_out = found_rows([folder for folder in FOLDERS if folder.parts[-3] == "rocket-table1-3-epochs"])
    assert left_out == {}
    assert {(row.learner, len(row.runs)) for row in rows} == {
        ("light", 2),
        ("booster", 2),
        ("student", 2),
        ("student", 1),
    }
