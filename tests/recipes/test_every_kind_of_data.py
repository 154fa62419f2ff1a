"""Every recipe's defaults suit every kind of data."""

from itertools import product

import pytest
import torch
from data.odd_folders import parquet, put
from drawn import drawn

import potstill as ps
from potstill import recipes

STUDENT = {"student": "resnet8", "teacher": "resnet8"}
NEEDED = {
    "boundary": STUDENT,
    "chain": {"networks": ("resnet8",), "teacher": "resnet8"},
    "channel": STUDENT,
    "class_means": STUDENT,
    "distill": STUDENT,
    "embed": {"student": "resnet8", "teachers": ("resnet8",)},
    "factor_transfer": {**STUDENT, "paraphraser_epochs": 1},
    "masked": {**STUDENT, "mask_epochs": 1},
    "mixed_paths": STUDENT,
    "moonshine": {"teacher": "resnet8", "conv": "DConv"},
    "mutual": {"networks": ("resnet8", "resnet8")},
    "native_ensemble": {"network": "resnet8"},
    "rocket": {"light": "wrn-10-1", "booster": "wrn-16-1"},
    "supervised": {"network": "resnet8"},
    "two_stage": {**STUDENT, "first_epochs": 1},
}
"""What has to be given; all else is a recipe's default."""


def data_of(kind, root):
    if kind == "folder":
        put(root, "5*train/cat", "5*train/dog", "2*val/cat", "2*val/dog")
    elif kind == "classes":
        put(root, "6*cat", "6*dog")
    elif kind == "parquet":
        parquet(root / "train-00000-of-00001.parquet", [0, 1] * 5)
        parquet(root / "validation-00000-of-00001.parquet", [0, 1] * 2)
    else:
        return {"data": "digits", "images": 20, "test_images": 10}
    return {"data": str(root), "image_size": 16, "workers": 0}


def test_all_recipes_are_here():
    assert {*NEEDED} == {*recipes.__all__}


@pytest.mark.parametrize(("name", "kind"), drawn(product(NEEDED, ("digits", "folder", "classes", "parquet")), 20))
def test_a_recipe_trains_by_its_defaults(name, kind, tmp_path, user_cache, capsys):  # C13
    chosen = data_of(kind, tmp_path / "data")
    needed = dict(NEEDED[name])
    if "teacher" in needed or "teachers" in needed:
        network = ps.networks.create("resnet8", classes=10 if kind == "digits" else 2, seed=1)
        torch.save(network.state_dict(), tmp_path / "teacher.pth")
        needed["teacher_weights"] = tmp_path / "teacher.pth" if "teacher" in needed else (tmp_path / "teacher.pth",)
    settings = {"epochs": 1, "batch_size": 5, "lr": 0.001, "out": tmp_path / "run", "device": "cpu"}
    summary = getattr(recipes, name)(**needed, **chosen, **settings)
    measured = [learner["last"]["test"] for learner in summary["learners"].values()]
    alone = measured[:1] if name in ("mixed_paths", "native_ensemble") else measured  # their branches cannot be
    assert all(found["n"] > 0 for found in alone)
    ignored = "crops of images in files see no border: --border reflect changes nothing" in capsys.readouterr().err
    assert ignored == (name == "rocket" and kind != "digits")
