"""From rows to runs and commands, and which runs count as finished."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from potstill.cli import main
from potstill.errors import BadInput
from potstill.runs import manifest
from potstill.tables.plan import Run, expand
from potstill.tables.row import Budget, Row, Table

SETTINGS = {"data": "digits", "epochs": 1, "batch_size": 500, "milestones": (1,), "optimizer": "sgd"}
TEACHER = Row("teacher", "supervised", {"network": "resnet8"}, SETTINGS)
STUDENT = Row(
    "student", "distill", {"student": "resnet8", "terms": ("0.5 * CE", "KD(temperature=2)")}, SETTINGS, "teacher"
)
OTHER = Row("other", "mutual", {"networks": ("resnet8", "resnet8"), "alternate": False}, SETTINGS, learners=("a", "b"))
SEEN = replace(OTHER, name="other-b", learners=("b",), runs_of="other")
ROWS = [STUDENT, OTHER, SEEN, TEACHER]


def names(runs):
    return [run.name for run in runs]


def test_teachers_come_first_then_seed_after_seed():
    runs = expand(ROWS, 2, Path("out"), {}, None)
    assert names(runs) == [
        "teacher seed 0", "student seed 0", "other seed 0", "student seed 1", "other seed 1", "teacher seed 1",
    ]  # fmt: skip
    assert {run.row.name: run.job().needs for run in runs} == {
        "teacher": None,
        "student": "teacher seed 0",
        "other": None,
    }


def test_only_brings_its_teachers_along_once():
    assert names(expand(ROWS, 3, Path("out"), {}, "stud*")) == [
        "teacher seed 0",
        *(f"student seed {i}" for i in range(3)),
    ]
    assert names(expand(ROWS, 2, Path("out"), {}, "other-b")) == ["other seed 0", "other seed 1"]
    with pytest.raises(BadInput, match="'studet\\*' fits none of the 4 rows; did you mean student"):
        expand(ROWS, 1, Path("out"), {}, "studet*")


def test_rows_that_ask_for_logits_alone_fill_the_cache_first():
    features = replace(STUDENT, name="features", arguments={**STUDENT.arguments, "terms": ("AT", "KD")})
    runs = expand([TEACHER, features, STUDENT], 1, Path("out"), {}, None)
    assert names(runs) == ["teacher seed 0", "student seed 0", "features seed 0"]


def test_a_student_that_is_made_of_its_teacher():
    grafted = replace(STUDENT, arguments={"student": "resnet8^{teacher}@stage3"})
    run = Run(grafted, 1, Path("out"), {})
    assert run.arguments()["student"] == "resnet8^out/teacher/seed-0@stage3"
    table = Table("", "", "", "", 1, lambda budget: [grafted, TEACHER])
    assert "resnet8^out/teacher/seed-0@stage3" in run.rehearsal(table, Path("elsewhere"), 1, "off").command


def test_seeds_that_begin_elsewhere():
    assert names(expand(ROWS, range(4, 6), Path("out"), {}, "other-b")) == ["other seed 4", "other seed 5"]


def test_a_command():
    run = Run(STUDENT, 4, Path("out"), {"compile": True, "data_dir": Path("data"), "device": None})
    assert list(run.command()[3:]) == [
        "distill", "--student", "resnet8", "--terms", "0.5 * CE", "KD(temperature=2)",
        "--teacher", "out/teacher/seed-0", "--data", "digits", "--epochs", "1", "--batch-size", "500",
        "--milestones", "1", "--optimizer", "sgd",
        "--compile", "--data-dir", "data", "--seed", "4", "--out", "out/student/seed-4",
        "--teacher-cache", "auto:out/answers",
    ]  # fmt: skip
    assert "--no-alternate" in Run(OTHER, 0, Path("out"), {}).command()


def test_finished_means_this_very_configuration(tmp_path):
    run = Run(TEACHER, 0, tmp_path, {})
    assert not run.is_finished()
    assert main(list(run.command()[3:])) == 0
    assert run.is_finished()
    assert replace(run, machine={"device": "cuda", "data_dir": Path("elsewhere")}).is_finished()
    assert not replace(run, machine={"holdout": 10}).is_finished()
    assert not replace(run, row=replace(TEACHER, training={**SETTINGS, "lr": 0.2})).is_finished()
    assert not replace(run, row=replace(TEACHER, arguments={"network": "resnet14"})).is_finished()
    assert not replace(run, row=replace(STUDENT, name="teacher")).is_finished()
    moved = tmp_path / "moved"
    run.folder.parent.rename(moved)
    assert not run.is_finished()
    assert Run(replace(TEACHER, name="moved"), 0, tmp_path, {}).is_finished()

    manifest.write(moved / "seed-0", {"summary.json": None})
    assert not Run(replace(TEACHER, name="moved"), 0, tmp_path, {}).is_finished()


def test_finished_where_an_argument_is_newer_than_the_run_or_the_folder_has_moved(tmp_path):
    run = Run(STUDENT, 0, tmp_path, {})
    run.folder.mkdir(parents=True)
    arguments = {"student": "resnet8", "terms": ["0.5 * CE", "KD(temperature=2)"], "seed": 0}
    arguments |= {**SETTINGS, "teacher": "/another/machine/teacher/seed-0", "milestones": [1]}
    (run.folder / "summary.json").write_text("{}")
    known = {"networks": {}, "versions": {}, "device": "cpu"}

    def is_finished(changes):
        config = {**known, "recipe": "distill", "arguments": {**arguments, **changes}}
        (run.folder / "config.json").write_text(json.dumps(config))
        return run.is_finished()

    assert is_finished({})  # learning rate and the like are not there at all
    assert not is_finished({"lr": 0.05})
    assert not is_finished({"teacher": "/another/machine/teacher/seed-1"})
    assert not is_finished({"teacher": "/another/machine/other/seed-0"})
    assert is_finished({"teacher_weights": None, "find": "of an earlier version"})
    assert not is_finished({"teacher": ["/another/machine/teacher/seed-0", "/another/machine/second/seed-0"]})
    del arguments["terms"]  # but this one the row gives
    assert not is_finished({})
    (run.folder / "config.json").write_text("{")
    with pytest.raises(BadInput, match=r"config\.json is damaged"):
        run.is_finished()


@pytest.mark.parametrize(("epochs", "milestones", "stage"), [
    (240, (150, 180, 210), 30), (24, (15, 18, 21), 3), (4, (2, 3, 4), 1), (1, (1, 1, 1), 1),
])  # fmt: skip
def test_scaling(epochs, milestones, stage):
    budget = Budget(240, epochs)
    assert (budget.at(150, 180, 210), budget.lasting(30)) == (milestones, stage)
    assert min(budget.at(1, 100)) == 1  # a run starts with its full learning rate


STAGE = {"first_epochs": 1, "first_lr": 0.01, "first_milestones": (1,)}
EVERY_RECIPE = {
    "distill": {"student": "resnet8", "terms": ("1 * CE", "warmup(1, 2) * KD")},
    "two-stage": {"student": "resnet8", "first": ("AB on stages",), "terms": ("CE",), **STAGE},
    "factor-transfer": {"student": "resnet8", "paraphraser_epochs": 1, "batch_norm": False, "channel_power": 2.0},
    "masked": {"student": "resnet8", "mask_epochs": 1, "tokens": 2, "student_masks": True},
    "class-means": {"student": "resnet8", "on": "pooled=pooled", "kd": 0.0, "ramp": 1},
    "mixed-paths": {"student": "resnet8", "ramp": 1},
    "boundary": {"student": "resnet8", "attack_size": 4, "attack_from": 1},
    "moonshine": {"conv": "DConv", "alpha": 0.9, "beta": 0.0},
    "channel": {"student": "resnet8", "early_decay": True, "decay_at": (1,)},
    "rocket": {"light": "wrn-10-1", "booster": "wrn-10-1", "gradient_block": False},
    "mutual": {"networks": ("resnet8", "resnet8"), "alternate": False},
    "chain": {"networks": ("resnet8", "resnet8"), "terms": ("CE", "KD")},
    "native-ensemble": {"network": "resnet8", "branches": 2},
}


@pytest.fixture(scope="module")
def table_folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("table")
    assert main(list(Run(TEACHER, 0, out, {}).command()[3:])) == 0
    return out


@pytest.mark.parametrize("recipe", EVERY_RECIPE)
def test_what_a_recipe_records_is_what_its_row_says(recipe, table_folder):
    """Otherwise a finished run would be started again for ever."""
    teacher = None if recipe in ("rocket", "mutual", "native-ensemble") else "teacher"
    run = Run(Row(recipe, recipe, EVERY_RECIPE[recipe], SETTINGS, teacher), 0, table_folder, {})
    assert main(list(run.command()[3:])) == 0
    assert run.is_finished()
