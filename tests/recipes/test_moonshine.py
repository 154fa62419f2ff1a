import json
from dataclasses import asdict, replace

import pytest
import torch

import potstill as ps
from potstill.cli import main
from potstill.engine.checkpoint import save_weights
from potstill.errors import BadInput
from potstill.recipes import moonshine, supervised
from potstill.training import Training

SHORT = Training(data="digits", epochs=1, batch_size=600, lr=1e-3)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    supervised(network="wrn-10-1", training=replace(SHORT, out=out))
    return str(out)


def saved(spec: str, folder):
    save_weights(ps.networks.create(spec, seed=0), folder / "teacher.safetensors")
    return folder / "teacher.safetensors"


def weights(folder):
    (record,) = (json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines())
    return record["weights"]


def test_the_student_is_the_teacher_with_cheap_convolutions_and_builds_again(teacher, tmp_path):
    out = tmp_path / "run"
    summary = moonshine(teacher=teacher, conv="DConv", training=replace(SHORT, out=out))
    network = ps.networks.create(str(out))
    assert network.spec == "wrn-10-1+DConv"
    data = SHORT.load_data()
    assert ps.evaluate(network, data.test) == summary["learners"]["student"]["last"]["test"]
    stages = {f"AT student.stage{i}": 1000 for i in (1, 2, 3)}
    assert weights(out) == {"CE student": 1, **stages}


def test_another_architecture_and_its_own_convolutions(teacher, tmp_path):
    out = tmp_path / "run"
    arguments = {"teacher": teacher, "student": "wrn-16-1", "conv": "Conv", "alpha": 0.9, "beta": 0}
    moonshine(**arguments, training=replace(SHORT, out=out))
    assert ps.networks.create(str(out)).spec == "wrn-16-1"
    assert weights(out) == pytest.approx({"CE student": 0.1, "KD student": 1.8})


def test_beta_belongs_to_three_stages(tmp_path):
    out = tmp_path / "run"
    teacher = {"teacher": "resnet18", "teacher_weights": saved("resnet18", tmp_path)}
    moonshine(**teacher, student="resnet18", conv="DConv", beta=4, training=replace(SHORT, out=out))
    # Of images of 8 x 8 this network has one stage whose maps are more than a pixel: it has the weight of three.
    assert weights(out) == {"CE student": 1, "AT student.stage1": 12}


def test_keep_starts_from_the_teachers_weights(teacher, tmp_path):
    starts = {}
    for keep in (None, "1x1"):
        out = tmp_path / str(keep)
        # So small a learning rate leaves the first weights as they were.
        moonshine(teacher=teacher, conv="DConv", keep_weights=keep, training=replace(SHORT, lr=1e-30, out=out))
        starts[keep] = ps.networks.create(str(out)).state_dict()
    trained = ps.networks.create(teacher).state_dict()
    kept = [name for name in trained if name in starts["1x1"] and "running" not in name and "tracked" not in name]
    assert {"conv1.weight", "block2.0.shortcut.weight", "block1.0.bn2.weight", "fc.bias"} <= set(kept)
    assert all(torch.equal(starts["1x1"][name], trained[name]) for name in kept)
    differing = [name for name in kept if not torch.equal(starts[None][name], trained[name])]
    assert {"conv1.weight", "block2.0.shortcut.weight", "fc.bias"} <= set(differing)
    fresh = "block1.0.conv1.pointwise.weight"
    assert torch.equal(starts["1x1"][fresh], starts[None][fresh])


def test_stages_in_parts_have_a_map_each(tmp_path):
    out = tmp_path / "run"
    teacher = {"teacher": "wrn-16-1", "teacher_weights": saved("wrn-16-1", tmp_path)}
    moonshine(**teacher, student="wrn-28-1", conv="DConv", split=2, training=replace(SHORT, out=out))
    assert weights(out) == {"CE student": 1} | {f"AT student.stage{i}": 500 for i in range(1, 7)}
    assert ps.networks.create(str(out)).spec == "wrn-28-1+DConv"


def test_stages_that_cannot_be_split(tmp_path):
    with pytest.raises(BadInput, match=r"^stage1 has 1 blocks, which 2 does not divide; the nearest number is 1$"):
        moonshine(
            teacher="wrn-10-1", teacher_weights=saved("wrn-10-1", tmp_path), conv="DConv", split=2, training=SHORT
        )


def test_alpha_is_a_fraction(teacher):
    with pytest.raises(BadInput, match=r"--alpha must be 1 or less, not 1\.5"):
        moonshine(teacher=teacher, conv="DConv", alpha=1.5, training=SHORT)


def test_a_budget_lists_what_fits_without_weights_data_or_a_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = (
        "moonshine --teacher wrn-10-1 --budget-params 0.2 --budget-macs 0.3 --data cifar100 --data-dir nowhere --json"
    )
    assert main(words.split()) == 0
    listed = json.loads(capsys.readouterr().out)
    teacher = ps.networks.create("wrn-10-1", 100)
    assert (listed["teacher"], listed["parameters"]) == ("wrn-10-1", ps.networks.parameters(teacher))
    rows = listed["table"]
    assert rows == [asdict(fit) for fit in ps.networks.within_budget(teacher, budget_params=0.2, budget_macs=0.3)]
    assert set(rows[0]) == {"spec", "parameters", "parameters_ratio", "macs", "macs_ratio"}
    assert not list(tmp_path.iterdir())


def test_a_budget_for_a_trained_teacher_and_other_images(teacher):
    listed = moonshine(teacher=teacher, student="wrn-16-1", budget_macs=0.5, training=SHORT)
    assert listed["macs"] == ps.networks.macs(ps.networks.create("wrn-10-1"), (3, 8, 8))
    for row in listed["table"][:2]:
        student = ps.networks.create(f"wrn-16-1+{row['spec']}")
        assert row["macs"] == ps.networks.macs(student, (3, 8, 8)) <= 0.5 * listed["macs"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "give --conv SPEC, for example G8B2, or list what fits"),
        ({"conv": "DConv", "budget_macs": 0.5}, "--conv DConv trains a student, a budget lists"),
        ({"budget_params": 25}, "--budget-params must be 1 or less, not 25"),
        ({"budget_params": 0.5, "training": Training(data="digit")}, "did you mean digits"),
    ],
)
def test_either_convolutions_or_a_budget(arguments, message):
    with pytest.raises(BadInput, match=message):
        moonshine(**{"teacher": "wrn-10-1", "training": SHORT} | arguments)


def test_the_budgets_are_no_part_of_a_run(teacher, tmp_path):
    moonshine(teacher=teacher, conv="DConv", training=replace(SHORT, out=tmp_path / "run"))
    arguments = json.loads((tmp_path / "run" / "config.json").read_text())["arguments"]
    assert arguments["conv"] == "DConv"
    assert [value for name, value in arguments.items() if "budget" in name] == [None, None]
