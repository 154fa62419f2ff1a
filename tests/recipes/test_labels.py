"""Runs whose images have no labels, labels in part, labels of other classes than the teacher's, or several each."""

import json
import re

import pytest
import torch
from digit_files import SETTINGS, write_digits

import potstill as ps
from potstill.cli import main
from potstill.engine.checkpoint import fingerprint
from potstill.errors import BadInput
from potstill.networks import create
from potstill.recipes import distill, supervised
from potstill.runs.headline import headline

SHORT = {"batch_size": 32, "lr": 0.05, "schedule": "cosine", "device": "cpu", "test_images": 300}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    out = tmp_path_factory.mktemp("teacher") / "run"
    supervised(network="resnet8", data="digits", epochs=5, out=out, augment="none", **SHORT)
    return str(out)


def read(folder, name):
    return json.loads((folder / name).read_text())


def table(capsys, words):
    capsys.readouterr()
    assert main([*words, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_a_student_learns_without_labels(teacher, tmp_path, user_cache, capsys):
    folder = write_digits(tmp_path / "digits", 350, lambda row, _: f"{'a' if row % 3 else 'b/c'}/{row}.png")
    run = tmp_path / "run"
    asked = {"data": str(folder), "unlabelled": True, "epochs": 5, "out": run, **SETTINGS, **SHORT, "test_images": None}
    summary = distill(student="resnet8", teacher=teacher, **asked)
    said = capsys.readouterr().err
    assert "these images have no labels: --terms '0.9 * KD(temperature=4)'" in said
    assert "% agreement with the teacher" in said
    last = summary["learners"]["student"]["last"]["test"]
    assert list(last) == ["agreement", "kl", "n"]
    assert last["n"] == 70
    assert last["agreement"] > 80
    assert "top1" not in summary["teachers"]["teacher"]

    config = read(run, "config.json")
    assert config["arguments"]["terms"] == ["0.9 * KD(temperature=4)"]
    assert config["data"]["classes"] == [str(digit) for digit in range(10)]
    insight = read(run, "insight.json")
    assert insight["agreement"]["student"]["teacher"]["top1"] == pytest.approx(last["agreement"])
    assert insight["images"][0]["label"] == -1

    # What it is worth is measured on digits that have labels.
    assert table(capsys, ["evaluate", "--network", str(run), "--data", "digits"])["top1"] > 80
    assert main(["verify", str(run)]) == 0
    assert main(["export", str(run), "--to", "safetensors", "--out", str(tmp_path / "x.safetensors")]) == 0
    assert main(["report", str(run), "--out", str(tmp_path / "report.html")]) == 0
    assert "last epoch, agreement with the teacher, %" in (tmp_path / "report.html").read_text()
    before = fingerprint(create(str(run)))
    assert distill(student="resnet8", teacher=teacher, **asked) == summary
    assert fingerprint(create(str(run))) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("distill --student resnet8 --teacher {t} --terms CE KD", "term 'CE student' needs labels"),
        ("supervised --network resnet8", "have no labels .* and nothing says how many classes resnet8 has"),
        ("distill --student resnet8 --teacher {t} --extra {t}", "--extra adds images without labels to labelled ones"),
        ("distill --student resnet8 --teacher resnet8", "teacher 'resnet8' has no trained weights"),
    ],
)
def test_what_cannot_be_without_labels_is_refused(words, message, teacher, tmp_path, capsys):
    words = words.format(t=teacher).split()
    assert main([*words, "--data", "digits", "--unlabelled", "--out", str(tmp_path / "run")]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def test_classes_are_those_of_a_file_of_weights(tmp_path):
    torch.save(ps.networks.create("resnet8", classes=7, seed=0).state_dict(), tmp_path / "seven.pth")
    teacher = ps.Teacher("resnet8", teacher_weights=tmp_path / "seven.pth")
    assert teacher.naming(ps.data.load("digits", unlabelled=True)).classes == tuple("0123456")
    labelled = ps.data.load("digits")
    assert teacher.naming(labelled) is labelled


def sees(rows):
    def loss(student, other):
        rows.append((len(student), len(other)))
        return student.square().mean()

    return loss


def test_terms_that_take_labels_see_the_labelled_rows_only(teacher, tmp_path, user_cache):
    folder = write_digits(tmp_path / "more", 50, lambda row, _: f"{row}.png", first=200)
    asked = {"images": 40, "batch_size": 16, "extra": str(folder), "extra_batch": 8, "workers": 0}
    data = ps.data.load("digits", **asked)
    networks = {"student": create("resnet8", seed=0), "teacher": ps.freeze(create(teacher))}
    labelled, both = [], []
    terms = [
        ps.Term(sees(labelled), "student", "labels", name="labelled"),
        ps.Term(sees(both), "student", "teacher", name="both"),
        ps.Term(ps.losses.CE(), "student", "labels"),
    ]
    distiller = ps.Distiller(networks, terms, data.example())
    del labelled[:], both[:]
    for batch in data.train:
        _, values = distiller.eval()(batch)
        logits = networks["student"](batch["images"])
        rows = len(batch["labels"])
        expected = torch.nn.functional.cross_entropy(logits[:rows], batch["labels"])
        torch.testing.assert_close(values["CE student"], expected.detach())
    assert labelled == [(16, 16), (16, 16), (8, 8)]
    assert both == [(24, 24), (24, 24), (16, 16)]
    assert data.described()["images"] == {"train": 40, "test": 797, "extra": 50}
    with pytest.raises(BadInput, match="every term needs labels, and none would see the images without"):
        ps.Distiller({"student": networks["student"]}, terms[:1], data.example())
    with pytest.raises(BadInput, match="term 'LwM .*' differentiates a network by all its images"):
        ps.Distiller(networks, ps.terms(["LwM on stage3", "KD"], networks), data.example())


def test_answers_of_the_teacher_are_kept_for_both_kinds_of_images(teacher, tmp_path, user_cache, capsys):
    folder = write_digits(tmp_path / "more", 40, lambda row, _: f"{row}.png", first=200)
    asked = {"data": "digits", "images": 40, "epochs": 2, "views": 1, "extra": str(folder), **SETTINGS, **SHORT}
    asked |= {"image_size": None, "augment": "usual", "mixup": 0.0}
    found = {}
    for name, kept in {"off": "off", "first": str(tmp_path / "kept"), "second": str(tmp_path / "kept")}.items():
        distill(student="resnet8", teacher=teacher, out=tmp_path / name, teacher_cache=kept, **asked)
        found[name] = fingerprint(create(str(tmp_path / name)))
    assert len({*found.values()}) == 1
    assert "teacher: 100 % of its answers were kept ones" in capsys.readouterr().err


def test_mixtures_go_without_labels_too(teacher, tmp_path, user_cache):
    folder = write_digits(tmp_path / "more", 20, lambda row, _: f"{row}.png", first=200)
    asked = {"data": "digits", "images": 40, "epochs": 1, "mixup": 0.5, **{**SETTINGS, "image_size": None}, **SHORT}
    for name, more in {"beside": {"extra": str(folder)}, "alone": {"unlabelled": True}}.items():
        summary = distill(student="resnet8", teacher=teacher, out=tmp_path / name, **asked, **more)
        assert summary["epochs"] == 1


def test_a_teacher_of_other_classes_teaches_by_a_map(teacher, tmp_path, user_cache, capsys):
    folder = write_digits(tmp_path / "parity", 120, lambda row, label: f"{'odd' if label % 2 else 'even'}/{row}.png")
    file = tmp_path / "map.json"
    file.write_text(json.dumps({"odd": ["1", "3", "5", 7, 9], "even": [0, 2, 4, "6", "8"]}))
    asked = {"data": str(folder), "epochs": 1, "out": tmp_path / "run", **SETTINGS, **SHORT, "test_images": None}
    with pytest.raises(BadInput, match="has 10 classes, not 2"):
        distill(student="resnet8", teacher=teacher, **asked)
    summary = distill(student="resnet8", teacher=teacher, label_map=file, **asked)
    assert summary["teachers"]["teacher"]["top1"] > 90
    config = read(tmp_path / "run", "config.json")
    assert config["networks"]["teacher"]["classes"] == 10
    assert config["networks"]["teacher"]["label_map"] == [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]
    file.write_text(json.dumps({"odd": [1, 3, 5, 7], "even": [0, 2, 4, 6, 8]}))
    with pytest.raises(BadInput, match="network teacher was"):
        distill(student="resnet8", teacher=teacher, label_map=file, **{**asked, "epochs": 2})
    data = ps.data.load("digits", unlabelled=True)
    assert ps.Teacher(teacher, label_map=file).naming(data).classes == ("odd", "even")


UNLABELLED = {"unlabelled": True, "labels": None, "label_separator": None}
KINDS = {"even": lambda d: d % 2 == 0, "small": lambda d: d < 5, "three": lambda d: d % 3 == 0}


def test_images_of_several_labels_by_the_defaults(tmp_path, user_cache, capsys):
    rows = ["path,labels"]

    def place(row, label):
        rows.append(f"{row}.png," + "|".join(name for name, holds in KINDS.items() if holds(label)))
        return f"{row}.png"

    folder = write_digits(tmp_path / "digits", 200, place)
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    capsys.readouterr()
    listed = {"labels": str(tmp_path / "labels.csv"), "label_separator": "|"}
    asked = {"data": str(folder), **listed, **SETTINGS, **SHORT, "test_images": None, "epochs": 3, "lr": 0.2}
    alone, run = tmp_path / "alone", tmp_path / "run"
    summary = supervised(network="resnet8", out=alone, **asked)
    last = summary["learners"]["student"]["last"]["test"]
    assert headline(last)[0] == "map"
    assert last["map"] > 80
    summary = distill(student="resnet8", teacher=str(alone), out=run, **asked)
    said = capsys.readouterr().err
    assert "these images may have several labels: --terms '0.1 * BCE' '0.9 * SigmoidKD'" in said
    assert "% mAP" in said
    assert summary["teachers"]["teacher"]["map"] == pytest.approx(last["map"])
    assert summary["learners"]["student"]["last"]["test"]["map"] > 70
    config = read(run, "config.json")
    assert config["data"]["classes"] == ["even", "small", "three"]
    assert config["data"]["several"] is True

    flags = ["--data", str(folder), "--labels", listed["labels"], "--label-separator", "|", "--workers", "0"]
    measured = table(capsys, ["evaluate", "--network", str(alone), *flags])
    assert measured["map"] == pytest.approx(last["map"])
    assert main(["evaluate", "--network", str(alone), *flags, "--details"]) == 2
    found = table(capsys, ["predict", str(alone), str(folder / "0.png"), "--workers", "0"])["predictions"][0]["top"]
    assert {one["class"] for one in found} == {*KINDS}
    assert sum(one["probability"] for one in found) > 1.2  # each by itself: the first digit is of all three
    checked = table(capsys, ["check", str(folder), *flags[2:]])
    assert {row["class"] for row in checked["table"]} == {*KINDS}
    # Without labels, the teacher says of which kind its answers are.
    bare = distill(student="resnet8", teacher=str(run), out=tmp_path / "bare", **{**asked, **UNLABELLED, "epochs": 1})
    assert read(tmp_path / "bare", "config.json")["arguments"]["terms"] == ["0.9 * SigmoidKD"]
    assert list(bare["learners"]["student"]["last"]["test"]) == ["agreement", "kl", "n"]
    assert read(tmp_path / "bare", "config.json")["data"]["several"] is True
    for command in (["verify", str(run)], ["report", str(run), "--out", str(tmp_path / "report.html")]):
        assert main(command) == 0
    with pytest.raises(BadInput, match="term 'CE student' takes one class an image, and these may have several"):
        distill(student="resnet8", teacher=str(alone), out=tmp_path / "no", terms=("CE",), **asked)
