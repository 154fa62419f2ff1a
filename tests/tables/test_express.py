"""The express tables: one protocol, a baseline in each, and a teacher that is a file."""

from dataclasses import replace
from pathlib import Path

import pytest

import potstill as ps
from potstill import tables
from potstill.cli import main
from potstill.errors import BadInput
from potstill.runs.same_run import Asked, difference
from potstill.tables.express_cifar100 import TEACHER, TEACHER_FILE
from potstill.tables.plan import Run, data_folder

EXPRESS = [name for name in tables.__all__ if name.startswith("express_")]


def rows(name, epochs=None):
    return {row.name: row for row in getattr(tables, name).rows(epochs)}


def test_one_protocol():
    shared = ("border", "epochs", "batch_size", "optimizer", "lr", "weight_decay", "schedule")
    assert len(EXPRESS) == 3
    (settings,) = {tuple(row.training[key] for key in shared) for name in EXPRESS for row in rows(name).values()}
    assert settings == ("zero", 20, 128, "nesterov", 0.1, 5e-4, "cosine")
    for name in EXPRESS:
        assert len({(row.training["data"], row.training["normalize"]) for row in rows(name).values()}) == 1


@pytest.mark.parametrize(("name", "helped"), [
    ("express_cifar100", {"student": "alone"}),
    ("express_rocket", {"light": "light", "booster": "booster", "student": "light"}),
])  # fmt: skip
def test_what_is_helped_is_also_trained_alone(name, helped):
    alone = {row.name: row.arguments["network"] for row in rows(name).values() if row.recipe == "supervised"}
    assert set(alone) == set(helped.values())
    for row in rows(name).values():
        for argument, baseline in helped.items():
            assert row.arguments.get(argument, alone[baseline]) == alone[baseline], row.name


def test_moonshine_trains_each_student_alone_and_with_at():
    found = rows("express_moonshine")
    convs = {row.arguments["conv"] for row in found.values() if row.recipe == "moonshine"}
    assert len(convs) == 4
    for conv in convs:
        assert found[conv].arguments == {"network": f"wrn-16-2+{conv}"}
        assert found[f"{conv}-at"].arguments == {"conv": conv, "alpha": 0.0, "beta": 1000.0}
        assert found[f"{conv}-at"].teacher == "wrn-16-2"


def test_epochs_inside_methods_are_scaled():
    full, short = rows("express_cifar100"), rows("express_cifar100", 240)
    assert "warmup(1, 2) * DKD" in full["dkd"].arguments["terms"][1]  # 20 of 240 epochs
    assert "warmup(1, 20) * DKD" in short["dkd"].arguments["terms"][1]
    assert full["cd-gkd-edt"].arguments["decay_at"] == (6, 16)
    assert rows("express_cifar100", 10)["cd-gkd-edt"].arguments["decay_at"] == (3, 8)


def test_switches_of_the_rocket_differ_in_one_thing_each():
    found = {name: row.arguments for name, row in rows("express_rocket").items()}
    rocket, block, sharing = (found[name] for name in ("rocket", "no-gradient-block", "no-sharing"))
    assert {key for key in rocket if rocket[key] != block[key]} == {"gradient_block"}
    assert {key for key in rocket if rocket[key] != sharing[key]} == {"share"}


def test_a_teacher_that_is_a_file_lies_in_the_data_folder(monkeypatch, user_cache):
    row = rows("express_cifar100")["kd"]
    given = Run(row, 0, Path("out"), {"data_dir": Path("/data")})
    assert given.arguments()["teacher_weights"] == f"/data/{TEACHER_FILE}"
    words = given.command()
    assert words[words.index("--teacher-weights") + 1] == f"/data/{TEACHER_FILE}"
    assert words[words.index("--teacher") + 1] == TEACHER
    assert given.job().needs is None
    assert "teacher_weights" not in Run(rows("express_cifar100")["alone"], 0, Path("out"), {}).arguments()
    monkeypatch.setenv("POTSTILL_DATA", "/elsewhere")
    assert data_folder(None) == Path("/elsewhere")
    assert data_folder(Path("/data")) == Path("/data")
    monkeypatch.delenv("POTSTILL_DATA")
    assert data_folder(None) == user_cache / "potstill"


def test_a_run_is_the_same_wherever_the_data_lies():
    row = rows("express_cifar100")["kd"]
    here, there = (Run(row, 0, Path("out"), {"data_dir": Path(folder)}) for folder in ("/here", "/there"))
    other = Run(replace(row, teacher_file="teachers/other.pt"), 0, Path("out"), {"data_dir": Path("/here")})
    first, second, third = (Asked(row.recipe, run.arguments()) for run in (here, there, other))
    assert difference(first, second) is None
    assert "--teacher-weights" in difference(first, third)


def test_a_missing_file_is_named(tmp_path, capsys):
    row = rows("express_cifar100", 1)["at"]
    run = Run(row, 0, tmp_path / "out", {"data_dir": tmp_path})
    words = [word if word != "cifar100" else "digits" for word in run.command()[3:]]
    assert main(words) == 2
    assert f"no weights file '{tmp_path / TEACHER_FILE}'" in capsys.readouterr().err


def test_the_file_fits_the_network(shared_data):
    try:
        network = ps.networks.create(TEACHER, 100, weights=shared_data / TEACHER_FILE)
    except BadInput as error:
        pytest.fail(str(error))
    assert network.fc.out_features == 100
