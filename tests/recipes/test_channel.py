import json
from dataclasses import replace

import pytest

import potstill as ps
from potstill.engine.checkpoint import save_weights
from potstill.recipes import channel
from potstill.training import Training

SHORT = Training(data="digits", epochs=10, batch_size=600, lr=1e-3)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    file = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_weights(ps.networks.create("resnet8", seed=3), file)
    return {"teacher": "resnet8", "teacher_weights": file}


def weights(folder):
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [record["weights"] for record in records]


STAGES = [f"CD student.stage{i}" for i in (1, 2, 3)]


@pytest.mark.parametrize("guided", [False, True])
def test_without_early_decay_every_weight_stays(guided, teacher, tmp_path):
    training = replace(SHORT, epochs=2, out=tmp_path / "run")
    channel(student="resnet8", **teacher, guided=guided, early_decay=False, training=training)
    kd = {"KD student": 0.1} if guided else {}
    assert weights(tmp_path / "run") == [{"CE student": 1, **dict.fromkeys(STAGES, 6), **kd}] * 2


def test_early_decay_starts_the_labels_when_the_channels_first_decay(teacher, tmp_path):
    channel(student="resnet8", **teacher, kd_weight=1, training=replace(SHORT, out=tmp_path / "run"))
    measured = weights(tmp_path / "run")
    for epoch, record in enumerate(measured):  # 30 and 80 % of ten epochs
        decays = (epoch >= 3) + (epoch >= 8)
        labels = {"CE student": 1, "KD student": 1} if epoch >= 3 else {}
        assert record == pytest.approx({**labels, **dict.fromkeys(STAGES, 6 * 0.9**decays)})


def test_decays_where_told(teacher, tmp_path):
    training = replace(SHORT, epochs=4, out=tmp_path / "run")
    channel(student="resnet8", **teacher, decay_at=(1, 2, 3), channel_weight=10, training=training)
    assert [record[STAGES[0]] for record in weights(tmp_path / "run")] == pytest.approx([10, 9, 8.1, 7.29])


def test_connectors_are_there_for_equal_widths_too(teacher, monkeypatch):
    caught = []
    monkeypatch.setattr(ps, "fit", lambda distiller, *rest: caught.append(distiller) or {}, raising=False)
    channel(student="resnet8", **teacher, training=SHORT)
    assert sum("connector.conv.weight" in name for name in caught[0].losses.state_dict()) == 3
    kd = next(term.loss for term in caught[0].terms if term.name == "KD student")
    assert (kd.guided, kd.temperature) == (True, 1)
