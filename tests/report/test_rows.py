import json
import shutil

import pytest

from potstill.report import find_runs, found_rows, given_rows
from potstill.report.rows import baseline


def found(folder):
    return found_rows(find_runs([folder])[0])


def test_seeds_are_one_row_and_every_learner_its_own(runs):
    rows, left_out = found(runs)
    assert left_out == {}
    assert [(row.label, row.learner, len(row.runs)) for row in rows] == [
        ("supervised", "student", 2),
        ("distill", "student", 2),
        ("rocket: light", "light", 1),
        ("rocket: booster", "booster", 1),
    ]
    assert [run.seed for run in rows[0].runs] == [0, 1]
    assert [row.data for row in rows] == ["digits"] * 4
    assert [row.spec for row in rows] == ["wrn-10-1"] * 3 + ["resnet8"]


def test_the_baseline_is_the_same_network_alone(runs, edit):
    rows, _ = found(runs)
    alone, helped, light, booster = rows
    assert baseline(helped, rows) is baseline(light, rows) is alone
    assert baseline(booster, rows) is baseline(alone, rows) is None
    for seed in (0, 1):
        edit(runs / f"alone-{seed}" / "summary.json", lambda summary: summary.update(data="cifar10"))
    rows, _ = found(runs)
    assert [row.label for row in rows][-1] == "supervised", "it is nobody's baseline any more"
    assert all(baseline(row, rows) is None for row in rows)


def test_ten_comes_after_nine(runs):
    for seed in (9, 10):
        shutil.copytree(runs / "helped-0", runs / f"helped-{seed}")
        file = runs / f"helped-{seed}" / "config.json"
        config = json.loads(file.read_text())
        config["arguments"]["seed"] = seed
        file.write_text(json.dumps(config))
        metrics = runs / f"helped-{seed}" / "metrics.jsonl"
        metrics.write_text(metrics.read_text().replace('"lr": 0.05', f'"lr": 0.0{seed}'))
    rows, _ = found(runs)
    assert [run.seed for run in rows[1].runs] == [0, 1, 9, 10]


def test_a_copy_counts_once_and_the_same_seed_again_is_no_further_seed(runs):
    shutil.copytree(runs / "helped-0", runs / "x-copy")
    again = shutil.copytree(runs / "helped-1", runs / "y-again")
    (again / "metrics.jsonl").write_text((again / "metrics.jsonl").read_text().replace('"lr": 0.05', '"lr": 0.06'))
    rows, left_out = found(runs)
    assert left_out == {str(runs / "x-copy"): f"a copy of {runs / 'helped-0'}"}
    assert [(row.label, len(row.runs)) for row in rows if "distill" in row.label] == [
        ("distill (helped-0)", 2),
        ("distill (y-again)", 1),
    ]


def test_other_teachers_are_other_rows(runs, edit):
    edit(runs / "helped-1" / "config.json", lambda config: config["teachers"].update({"weights of teacher": "other"}))
    rows, _ = found(runs)
    assert [len(row.runs) for row in rows if "distill" in row.label] == [1, 1]


def test_a_stage_that_was_left_alone_is_no_row(runs, edit):
    edit(runs / "helped-1" / "config.json", lambda config: config["arguments"].update(stage="hint"))
    rows, left_out = found(runs)
    assert left_out == {str(runs / "helped-1"): "stage 'hint' of a run that has not come further"}
    assert len(rows[1].runs) == 1


def test_broken_folders_are_left_out_and_the_rest_goes_on(runs):
    (runs / "helped-0" / "config.json").write_text("{")
    (runs / "helped-1" / "insight.json").write_text("{")
    rows, left_out = found(runs)
    assert [len(row.runs) for row in rows] == [2, 1, 1, 1]
    assert left_out.keys() == {str(runs / "helped-0"), str(runs / "helped-1" / "insight.json")}


def test_given_rows_keep_their_names_order_and_first_learner(runs):
    rows, left_out = given_rows({"b <&": [runs / "rocket-0"], "a": [runs / "helped-1", runs / "helped-0"]})
    assert [(row.label, row.learner, len(row.runs)) for row in rows] == [("b <&", "light", 1), ("a", "student", 2)]
    assert left_out == {}


def test_given_rows_may_name_their_learner(runs):
    named = {"light": [runs / "rocket-0"], "booster": [runs / "rocket-0"]}
    rows, _ = given_rows(named, {"booster": "booster"})
    assert [(row.label, row.learner, row.spec) for row in rows] == [
        ("light", "light", "wrn-10-1"),
        ("booster", "booster", "resnet8"),
    ]


def test_given_rows_that_do_not_fit(runs):
    mixed = [runs / "nowhere", runs / "rocket-0", runs / "helped-0"]
    rows, left_out = given_rows({"mixed": mixed, "none": [runs / "nothing"]})
    assert [(row.label, len(row.runs)) for row in rows] == [("mixed", 1)]
    assert left_out == {
        str(runs / "nowhere"): "config.json is missing",
        str(runs / "helped-0"): "light does not learn there",
        str(runs / "nothing"): "config.json is missing",
    }


@pytest.mark.parametrize("finished", [0, 1])
def test_unfinished_seeds_do_not_count_beside_finished_ones(runs, finished):
    for seed in range(2 - finished):
        (runs / f"helped-{seed}" / "summary.json").unlink()
    row = found(runs)[0][1]
    assert len(row.runs) == 2
    assert [run.seed for run in row.counted] == ([1] if finished else [0, 1])


def test_where_a_run_was_computed_makes_no_other_row(runs, edit):
    edit(
        runs / "helped-1" / "config.json",
        lambda config: config["arguments"].update(workers=7, device="cuda", data_dir="/x", teacher_size=None),
    )
    assert [len(row.runs) for row in found(runs)[0]] == [2, 2, 1, 1]
    edit(runs / "helped-1" / "config.json", lambda config: config["arguments"].update(cache=True))
    assert len(found(runs)[0]) == 5, "the cache keeps smaller images"


def test_runs_that_are_measured_otherwise_are_another_row(runs, measure):
    measure(runs / "helped-1", lambda test: {"recall": 0.5})
    rows = [row for row in found(runs)[0] if "distill" in row.label]
    assert sorted((row.measure, len(row.runs)) for row in rows) == [("recall", 1), ("top1", 1)]
