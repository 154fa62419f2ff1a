import math

import pytest

from potstill.runs.headline import (
    best_epoch,
    cell,
    column,
    describe,
    headline,
    heads,
    of_teacher,
    results,
    title,
    value_of,
    value_text,
)
from potstill.runs.spread import Spread

USUAL = {"top1": 93.104, "top5": 99.8, "loss": 0.3, "n": 100}


def epochs(*tests, holdouts=()):
    learned = [{"test": test} for test in tests]
    for splits, holdout in zip(learned, holdouts, strict=False):
        splits["holdout"] = holdout
    return [{"epoch": i, "learners": {"student": splits}} for i, splits in enumerate(learned)]


@pytest.mark.parametrize(
    ("measured", "found", "text", "cell_text"),
    [
        (USUAL, ("top1", 93.104), "93.10 %", "93.10"),
        ({"recall": 0.81234, "top1": 93.1}, ("recall", 0.81234), "0.8123", "0.8123"),
        ({"n": 100, "loss": 0.5}, ("loss", 0.5), "0.5000", "0.5000"),
        ({"n": 100}, None, "-", "-"),
        ({}, None, "-", "-"),
    ],
)
def test_the_first_number_heads_a_summary(measured, found, text, cell_text):
    assert headline(measured) == found
    assert value_of(measured) == (found and found[1])
    assert (describe(measured), value_text(measured)) == (text, cell_text)


def test_a_teachers_costs_are_no_results():
    teacher = {"parameters": 5, "macs": None, **USUAL}
    assert of_teacher(teacher) == USUAL
    assert describe(of_teacher({"parameters": 5, "macs": 7})) == "-"


@pytest.mark.parametrize(
    ("history", "best"),
    [
        (epochs({"top1": 1}, {"top1": 3}, {"top1": 3}, {"top1": 2}), 1),
        (epochs({"top1": 1}, {"top1": 3}, holdouts=[{"top1": 9}, {"top1": 8}]), 0),
        (epochs({"recall": 0.5, "top1": 1}, {"recall": 0.4, "top1": 2}), 0),
        (epochs({"top1": math.nan}, {"top1": 1}, {"top1": math.nan}), 1),
        (epochs({"loss": -3.0}, {"loss": -2.0}), 1),
        (epochs({}, {}, {}), 2),
    ],
)
def test_the_best_epoch(history, best):
    assert best_epoch(history, "student")["epoch"] == best


def test_names_and_columns():
    assert [title(name) for name in ("top1", "top5", "loss", "recall")] == [
        "top-1, %",
        "top-5, %",
        "loss, nats",
        "recall",
    ]
    assert heads([USUAL, {}, {"recall": 1.0}, USUAL]) == ["top1", "recall"]
    assert list(results(USUAL)) == ["top1", "top5", "loss"]
    assert column("best epoch", []) == "best epoch, %"
    assert cell(None, "top1", ["top1"]) == cell(Spread((1.0,)), None, []) == "-"
    assert cell(Spread((1.0, 3.0)), "top1", ["top1"]) == "2.00 ± 1.41"
