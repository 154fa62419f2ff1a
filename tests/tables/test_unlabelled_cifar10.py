"""The table of what a teacher is worth without labels: its KD sees none."""

import torch

import potstill as ps
from potstill.recipes import distill
from potstill.tables import unlabelled_cifar10


def test_kd_alone_is_what_images_without_labels_train(tmp_path):
    (kd,) = (row for row in unlabelled_cifar10.rows() if row.name == "kd")
    teacher = ps.networks.create("resnet8", seed=1)
    torch.save(teacher.state_dict(), tmp_path / "teacher.pt")
    pair = {"student": "resnet8", "teacher": "resnet8", "teacher_weights": tmp_path / "teacher.pt"}
    training = {**kd.training, "data": "digits", "epochs": 1, "images": 40, "test_images": 10, "device": "cpu"}
    distill(**pair, terms=kd.arguments["terms"], **training, out=tmp_path / "aside")
    distill(**pair, **training, unlabelled=True, out=tmp_path / "without")
    aside, without = ((tmp_path / name / "student.safetensors").read_bytes() for name in ("aside", "without"))
    assert aside == without


def test_rows_differ_in_their_terms_alone():
    labels, kd, both = unlabelled_cifar10.rows()
    assert labels.training == kd.training == both.training
    assert {**kd.arguments, "terms": both.arguments["terms"]} == both.arguments
    assert set(kd.arguments["terms"]) < set(both.arguments["terms"])
