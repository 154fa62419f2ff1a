"""KD++'s first stage: the teacher's mean feature of each class, kept in a folder of the run."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from recipes.going_on import same, state_of, stop_in_the_second_epoch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import potstill as ps
from potstill.engine import class_means as stage
from potstill.engine.checkpoint import load_checkpoint
from potstill.engine.only_checked import ready_to_train
from potstill.errors import BadInput
from potstill.recipes import class_means, distill

FEW = ps.Training(data="digits", images=96, test_images=16, epochs=2, batch_size=32, lr=0.001, holdout=8, device="cpu")
KEPT = "means/statistics.safetensors"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    files = []
    for seed in (1, 2):
        network = ps.networks.create("resnet8x4", seed=seed)
        with torch.no_grad():
            network.fc.weight.mul_(5)
        files.append(tmp_path_factory.mktemp("teacher") / "teacher.safetensors")
        save_file(network.state_dict(), files[-1])
    return files


def train(out, weights, **changed):
    teacher = ps.Teacher("resnet8x4", teacher_weights=weights)
    return class_means(student="resnet8", teacher=teacher, ramp=1, training=replace(FEW, out=out, **changed))


@pytest.fixture(scope="module")
def finished(weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("class-means") / "run"
    train(out, weights[0])
    return out


def test_the_means_are_those_of_numpy_over_plain_training_images(finished, weights):
    teacher = ps.networks.create("resnet8x4")
    teacher.load_state_dict(load_file(weights[0]))
    data = FEW.load_data()
    plain = next(iter(data.train.plain(batch_size=len(data.train.rows))))
    kept = load_file(finished / KEPT)
    with torch.no_grad():
        maps = []
        teacher.eval().layer3.register_forward_hook(lambda _, __, output: maps.append(output))
        teacher(plain["images"])
    pooled, labels = maps[0].mean(dim=(2, 3)).numpy().astype(np.float64), plain["labels"].numpy()
    assert plain["index"].tolist() == data.train.rows.tolist()  # in order, and none that is held out
    for label in range(10):
        np.testing.assert_allclose(kept["means"][label], pooled[labels == label].mean(0), rtol=1e-5, atol=1e-7)
    assert kept["means"].dtype == torch.float64
    assert kept["counts"].tolist() == np.bincount(labels, minlength=10).tolist()


def test_the_student_is_pulled_to_them_and_kd_begins_after_the_first_epoch(finished):
    losses = load_checkpoint(finished / "last.ckpt", torch.device("cpu"))["losses"]
    (centers,) = [value for name, value in losses.items() if name.endswith("centers")]
    assert torch.equal(centers, load_file(finished / KEPT)["means"].float())
    first, second = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert "KD student" not in first["terms"]
    assert second["weights"] == {"CE student": 1, "KD student": 1, "ND student.pooled": 2}


def test_a_stopped_run_takes_the_means_from_its_folder_and_ends_with_the_same_bits(
    finished, weights, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        stop_in_the_second_epoch(patch)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path / "run", weights[0])
    written = (tmp_path / "run" / KEPT).stat().st_mtime_ns
    passes, once = [], stage.class_means
    monkeypatch.setattr(stage, "class_means", lambda *given: passes.append(len(given[2])) or once(*given))
    train(tmp_path / "run", weights[0])
    assert passes == [1]  # of the example alone
    assert (tmp_path / "run" / KEPT).stat().st_mtime_ns == written
    assert (tmp_path / "run" / KEPT).read_bytes() == (finished / KEPT).read_bytes()
    assert same(state_of(tmp_path / "run"), state_of(finished))


@pytest.mark.parametrize(
    ("other", "changed", "named"),
    [(1, {}, "weights was"), (0, {"images": 90}, "images was"), (0, {"normalize": "imagenet"}, "mean was")],
)
def test_means_of_something_else_are_refused_by_one_line(other, changed, named, finished, weights, tmp_path):
    folder = tmp_path / "run" / "means"
    folder.mkdir(parents=True)
    (folder / "statistics.safetensors").write_bytes((finished / KEPT).read_bytes())
    with pytest.raises(BadInput, match=f"holds means of another teacher or of other images: {named}") as refused:
        train(tmp_path / "run", weights[other], **changed)
    assert "choose another --out" in str(refused.value)
    assert [*(tmp_path / "run").iterdir()] == [folder]


def test_damaged_means_are_made_again(finished, weights, tmp_path, capsys):
    file = shutil.copytree(finished, tmp_path / "run") / KEPT
    with safe_open(file, "pt") as opened:
        about = opened.metadata()
    save_file({name: value + 1 for name, value in load_file(file).items()}, file, about)
    train(tmp_path / "run", weights[0])
    assert "is damaged and made again: its checksum does not fit" in capsys.readouterr().err
    assert file.read_bytes() == (finished / KEPT).read_bytes()


def test_mistakes_are_found_before_anything_is_written(weights, tmp_path):
    teacher = ps.Teacher("resnet8x4", teacher_weights=weights[0])
    for on, message in (("pooledd", "nearest: teacher.pooled"), ("poled=pooled", "nearest: student.pooled")):
        with pytest.raises(BadInput, match=message):
            class_means(student="resnet8", teacher=teacher, on=on, training=replace(FEW, out=tmp_path / "run"))
    assert not (tmp_path / "run").exists()
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match="is a file, not a folder"):
        train(tmp_path / "file", weights[0])
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(BadInput, match="is not empty and holds no run"):
        train(tmp_path / "photos", weights[0])
    assert [file.name for file in (tmp_path / "photos").iterdir()] == ["cat.png"]


def test_whoever_only_asks_whether_it_would_train_writes_nothing(weights, tmp_path):
    teacher = ps.Teacher("resnet8x4", teacher_weights=weights[0])
    training = replace(FEW, out=tmp_path / "run")
    distiller, _ = ready_to_train(class_means, student="resnet8", teacher=teacher, training=training)
    assert [term.name for term in distiller.terms] == ["CE student", "KD student", "ND student.pooled"]
    assert not (tmp_path / "run").exists()


def test_without_the_stage_the_loss_takes_the_means_of_the_batch(weights, tmp_path):
    teacher = ps.Teacher("resnet8x4", teacher_weights=weights[0])
    training = replace(FEW, out=tmp_path / "run", epochs=1)
    summary = distill(student="resnet8", teacher=teacher, terms=("CE", "2 * ND"), training=training)
    assert list(summary["learners"]) == ["student"]
    assert not (tmp_path / "run" / "means").exists()


def test_features_that_are_not_finite_are_no_means():
    teacher = ps.networks.create("resnet8", seed=1)
    batch = {"images": torch.full((2, 3, 8, 8), float("nan")), "labels": torch.tensor([0, 1])}
    with pytest.raises(BadInput, match="pooled features of some of the training images are not finite"):
        stage.class_means(teacher, "pooled", [batch], 3)
    with pytest.raises(BadInput, match="is that of images of this one class"):
        stage.class_means(teacher, "pooled", [{**batch, "labels": torch.zeros(2, 3)}], 3)
    with pytest.raises(BadInput, match="no images"):
        stage.class_means(teacher, "pooled", [], 3)


def test_of_several_processes_the_first_one_has_the_means_and_the_others_get_them(weights, tmp_path, monkeypatch):
    found = torch.rand(10, 256, dtype=torch.float64)

    class Another:
        def on_first(self, function):
            return found  # as rank 0 has sent it: nothing is called here

    monkeypatch.setattr(stage, "join", Another)
    teacher, out = ps.networks.create("resnet8x4"), tmp_path / "run"
    assert stage.kept_class_means(out, "means", teacher, "pooled", FEW.load_data()) is found
    assert not out.exists()
