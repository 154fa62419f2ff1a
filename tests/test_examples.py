"""Additions made from outside the package: each example is run as it stands."""

import csv
import json
import math
import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
LINES = 40


def run(name, out):
    return runpy.run_path(str(FOLDER / f"{name}.py"))["main"](out)


def reached(summary):
    return summary["learners"]["student"]["last"]["test"]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_is_short_and_tested(file):
    assert len(file.read_text().splitlines()) <= LINES
    assert f'run("{file.stem}"' in Path(__file__).read_text()


def test_own_data_loader(tmp_path):
    summary = run("own_data_loader", tmp_path / "run")
    assert reached(summary)["top1"] > 70
    assert reached(summary)["n"] == 797


def test_tracker(tmp_path):
    summary = run("tracker", tmp_path / "run")
    rows = list(csv.reader((tmp_path / "run.csv").read_text().splitlines()))
    assert [row[0] for row in rows] == ["0", "1"]
    assert float(rows[-1][-1]) == reached(summary)["top1"]


def test_mixup(tmp_path):
    summary = run("mixup", tmp_path / "run")
    assert reached(summary)["n"] == 797
    assert summary["teachers"]["teacher"]["top1"] >= 0


def test_averaged_weights(tmp_path):
    summary = run("averaged_weights", tmp_path / "run")
    assert next(iter(reached(summary))) == "averaged_top1"
    assert reached(summary)["averaged_top1"] != reached(summary)["top1"]


def test_macro_recall(tmp_path):
    summary = run("macro_recall", tmp_path / "run")
    assert list(reached(summary)) == ["macro_recall", "worst_recall"]
    history = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    recalls = [record["learners"]["student"]["test"]["macro_recall"] for record in history]
    assert summary["learners"]["student"]["best"]["test"]["macro_recall"] == max(recalls)


def test_two_views(tmp_path):
    run("two_views", tmp_path / "run")
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert list(last["terms"]) == ["CE student", "KD of the strong view", "same attention"]
    assert all(math.isfinite(value) for value in last["terms"].values())


def test_feature_teacher(tmp_path):
    summary = run("feature_teacher", tmp_path / "run")
    assert reached(summary) == {}
    assert summary["teachers"]["teacher"].keys() == {"parameters", "macs"}
    history = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [record["terms"]["SameDirection student.pooled"] for record in history]
    assert losses[-1] < losses[0] / 2


def test_hugging_face_teacher(tmp_path):
    summary = run("hugging_face_teacher", tmp_path / "run")
    assert summary["teachers"]["teacher"]["n"] == 797
    assert reached(summary)["n"] == 797
