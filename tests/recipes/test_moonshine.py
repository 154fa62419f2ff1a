import json
from dataclasses import replace

import pytest

import potstill as ps
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
    file = tmp_path / "teacher.safetensors"
    save_weights(ps.networks.create("resnet18", seed=0), file)
    out = tmp_path / "run"
    teacher = {"teacher": "resnet18", "teacher_weights": file}
    moonshine(**teacher, student="resnet18", conv="DConv", beta=4, training=replace(SHORT, out=out))
    assert weights(out) == {"CE student": 1} | {f"AT student.stage{i}": 3 for i in (1, 2, 3, 4)}


def test_alpha_is_a_fraction(teacher):
    with pytest.raises(BadInput, match=r"--alpha is a fraction of 1, not 1\.5"):
        moonshine(teacher=teacher, conv="DConv", alpha=1.5, training=SHORT)
