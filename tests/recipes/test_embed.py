"""A backbone taught by the features of others: what it learns, what is measured, and what becomes of it."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch

import potstill as ps
from potstill.cli import main
from potstill.embedding.labelled import features_of, labelled_set
from potstill.engine.checkpoint import fingerprint
from potstill.feature_teachers import FeatureTeachers
from potstill.report.content import content
from potstill.report.rows import found_rows
from potstill.showing import show

OWN = """
import timm
import torch
from torch import nn


def vit(num_classes=1000):
    torch.manual_seed(0)
    sizes = {"img_size": 16, "patch_size": 4, "embed_dim": 12, "depth": 2, "num_heads": 2}
    return timm.create_model("vit_tiny_patch16_224", **sizes, num_classes=num_classes)


def cnn():
    torch.manual_seed(1)
    layers = nn.Conv2d(3, 9, 3, 2, 1), nn.ReLU(), nn.Conv2d(9, 20, 3, 1, 1), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""
SMALL = "--data digits --images 300 --test-images 100 --batch-size 50 --lr 0.01 --device cpu"


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    pytest.importorskip("timm")
    file = tmp_path_factory.mktemp("own") / "own.py"
    file.write_text(OWN)
    return file


@pytest.fixture(scope="module")
def run(own, tmp_path_factory):
    """Two teachers, features and patches."""
    out = tmp_path_factory.mktemp("runs") / "both"
    assert main(words_of(own, out, epochs=3)) == 0
    return out


def words_of(own, out, epochs):
    words = f"embed --student resnet8 --teachers {own}:vit {own}:cnn --match both {SMALL} --epochs {epochs} --out {out}"
    return [*words.split(), "--teacher-normalize", "imagenet"]


def read(run):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return records, *(json.loads((run / name).read_text()) for name in ("config.json", "summary.json"))


def test_it_learns_and_the_teachers_stay(run, own):
    records, config, summary = read(run)
    first, last = (sum(records[i]["terms"].values()) for i in (0, -1))
    assert last < first
    measured = summary["learners"]["student"]["last"]["test"]
    assert list(measured)[:3] == ["knn", "probe", "cosine"]
    each = [measured[f"cosine teacher{i} {kind}"] for i in (1, 2) for kind in ("pooled", "patches")]
    assert measured["cosine"] == pytest.approx(sum(each) / 4)
    assert measured["cosine"] > records[0]["learners"]["student"]["test"]["cosine"]
    data = ps.data.load("digits")
    teachers = FeatureTeachers((f"{own}:vit", f"{own}:cnn"), teacher_normalize=("imagenet",)).create(data)
    assert config["teachers"] == {f"weights of {name}": fingerprint(network) for name, network in teachers.items()}
    assert config["networks"]["teacher1"]["input"]["size"] == [16, 16]
    assert config["networks"]["student"]["classes"] == 0


def test_what_is_measured_is_what_the_weights_give(run):
    measured = read(run)[2]["learners"]["student"]["last"]["test"]
    network, data = ps.networks.create(str(run), 0).eval(), ps.data.load("digits", images=300, test_images=100)
    with torch.no_grad():
        known, asked = (torch.cat([network(b["images"]) for b in p]) for p in (data.train.plain(), data.test))
    labels, truth = (torch.cat([b["labels"] for b in part]) for part in (data.train.plain(), data.test))
    similar = torch.nn.functional.normalize(asked) @ torch.nn.functional.normalize(known).T
    best = similar.topk(20)
    votes = torch.zeros(100, 10).scatter_add_(1, labels[best.indices], (best.values / 0.07).exp())
    assert measured["knn"] == pytest.approx(100 * (votes.argmax(1) == truth).float().mean().item(), abs=1e-3)


def test_the_teachers_own_features_and_the_beginning_stand_beside_it(run, own, tmp_path, capsys):
    """What a student can hope for, and what it began with; said, in the summary, shown and reported."""
    summary = read(run)[2]
    data = ps.data.load("digits", images=300, test_images=100)
    known = labelled_set(data, 10_000)
    began = ps.networks.create("resnet8", 0, seed=0)
    teachers = FeatureTeachers((f"{own}:vit", f"{own}:cnn"), teacher_normalize=("imagenet",)).create(data)
    found = {name: summary["teachers"][name] for name in teachers}
    found["student"] = summary["learners"]["student"]["start"]["test"]
    for name, network in {**teachers, "student": began}.items():
        features, labels = features_of(network, data.test)
        for what, value in known.measure(network, features, labels).items():
            assert found[name][what] == pytest.approx(value, abs=1.01)  # an image: features are rounded otherwise
        assert found[name]["n"] == 100
    assert len({one["probe"] for one in found.values()}) == 3
    show(summary)
    shown = capsys.readouterr().out
    for name in ("student (before training)", "teacher1 (frozen)", "teacher2 (frozen)"):
        (line,) = (line for line in shown.splitlines() if name in line)
        assert f"{found[name.split()[0]]['knn']:.2f} % k-NN" in line
    marks = content(found_rows([run])[0])["teachers"]
    assert [mark["label"].split()[0] for mark in marks] == ["teacher1", "teacher2", "student"]


def test_a_run_that_goes_on_began_where_it_began(run, own, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    assert main([*words_of(own, tmp_path / "run", epochs=4), "--extend"]) == 0
    before, after = (read(one)[2]["learners"]["student"]["start"] for one in (run, tmp_path / "run"))
    assert before == after


def test_a_teacher_without_pooled_features_is_named_and_left_out(own, tmp_path, capsys):
    file = tmp_path / "maps.py"
    file.write_text(
        "from torch import nn\n\n\ndef maps():\n    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU())\n"
    )
    words = f"embed --student resnet8 --teachers {file}:maps {own}:cnn --match patches {SMALL} --images 60 --epochs 1"
    assert main([*words.split(), "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err.replace("\n", " ")
    assert "teacher1 is not measured: teacher1 returns (2, 4, 3, 3), not pooled features" in said
    assert "student before training:" in said
    assert "knn" not in read(tmp_path / "run")[2]["teachers"]["teacher1"]


def test_evaluate_measures_a_backbone(run, capsys):
    words = f"evaluate --network {run} --data digits".split()
    assert main([*words, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert list(measured) == ["knn", "probe", "n"]
    assert measured["n"] == 797
    assert measured["knn"] > 30
    assert main([*words, "--details"]) == 2
    assert "a backbone without a classifier" in capsys.readouterr().err


def test_the_student_is_a_backbone_that_supervised_trains_on(run, tmp_path, capsys):
    words = f"supervised --network resnet8 --weights {run} {SMALL} --epochs 1 --out {tmp_path}/fine"
    assert main(words.split()) == 0
    assert "but for fc: there it has other classes, or none" in capsys.readouterr().err
    embedded, fresh = ps.networks.create(str(run), 0), ps.networks.create("resnet8", 10)
    assert ps.networks.start_from(fresh, run) == ("fc",)
    assert torch.equal(embedded.conv1.weight, fresh.conv1.weight)
    # And a classifier's weights are those of a backbone, without what makes its classes.
    again = ps.networks.create(f"{tmp_path}/fine", 0)
    trained = ps.networks.create(f"{tmp_path}/fine", 10)
    assert torch.equal(again.conv1.weight, trained.conv1.weight)
    assert again(torch.randn(2, 3, 8, 8)).shape == (2, 64)


def test_commands_that_want_classes_say_what_to_do(run, tmp_path, capsys):
    said = f"potstill supervised --network resnet8 --weights {run}"
    (tmp_path / "one.ppm").write_bytes(b"P6 1 1 255 \0\0\0")
    for words in (f"predict {run} {tmp_path}", f"distill --student resnet8 --teacher {run} {SMALL}"):
        assert main(words.split()) == 2
        assert said in capsys.readouterr().err.replace("\n", " ")


def test_it_is_exported(run, tmp_path, capsys):
    out = tmp_path / "student.safetensors"
    assert main(["export", str(run), "--to", "safetensors", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["checked"][-1]["same_top1"] == 100


def test_masked_with_a_queue_and_no_labels(own, monkeypatch, tmp_path):
    """Labels are taken away from every batch: nothing asks for them."""
    from potstill.data.loader import Loader

    batches = Loader.batches
    drop = lambda self, *args: ({k: v for k, v in b.items() if k != "labels"} for b in batches(self, *args))  # noqa: E731
    monkeypatch.setattr(Loader, "batches", drop)
    summary = ps.recipes.embed(
        student="resnet8",
        teachers=FeatureTeachers((f"{own}:cnn",)),
        loss="queue",
        mask=0.4,
        mask_grid=4,
        training=ps.Training("digits", images=100, test_images=50, epochs=1, out=tmp_path / "run", device="cpu"),
    )
    measured = summary["learners"]["student"]["last"]["test"]
    assert list(measured) == ["cosine", "n"]
    assert math.isfinite(measured["cosine"])


def test_teachers_without_weights_are_refused(tmp_path, capsys):
    assert main(f"embed --student resnet8 --teachers resnet14 {SMALL} --out {tmp_path}/a".split()) == 2
    assert "teacher 'resnet14' has no trained weights; give --teacher-weights FILE" in capsys.readouterr().err
    assert not Path(tmp_path / "a").exists()
