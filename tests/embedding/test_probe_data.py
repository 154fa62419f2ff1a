"""``embed --probe DATA``: classes are told of another data set's images, which the student sees as its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import potstill as ps
from potstill.data.normalize import STATISTICS
from potstill.embedding.neighbours import nearest_classes
from potstill.embedding.probe import fit_probe
from potstill.feature_teachers import FeatureTeachers
from potstill.recipes.embed import bank_of, embed

TRAINING = ps.Training("digits", images=30, test_images=10, batch_size=15, epochs=1, device="cpu", workers=0)
KNOWN, ASKED = range(0, 24), range(24, 36)
TEACHER = """
from torch import nn


def cnn():
    return nn.Sequential(nn.Conv2d(3, 9, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


COLOURS = np.random.default_rng(0).integers(256, size=(36, 3), dtype=np.uint8)
LIGHT = torch.from_numpy((COLOURS.astype(int).sum(1) > 382).astype(int))


@pytest.fixture
def other(tmp_path):
    """Images of one colour each, which stays what it is when they are scaled, in two classes: dark and light."""
    root = tmp_path / "other"
    for split, rows in (("train", KNOWN), ("test", ASKED)):
        for row in rows:
            file = root / split / ("dark", "light")[LIGHT[row]] / f"{row:02}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.broadcast_to(COLOURS[row], (12, 12, 3)).copy()).save(file)
    return str(root)


def seen(rows):
    """Those images as a run on the digits sees its own, and whether they are light."""
    mean, std = map(torch.tensor, STATISTICS["digits"])
    colours = (torch.from_numpy(COLOURS[rows.start : rows.stop]) / 255 - mean) / std
    return colours[:, :, None, None].expand(-1, -1, 8, 8).contiguous(), LIGHT[rows.start : rows.stop]


def test_its_images_are_normalised_as_the_students_own_and_the_bank_has_as_many_as_asked_for(other):
    known, test = bank_of(TRAINING.load_data(), replace(TRAINING, image_size=8), other, 20)
    assert (known.classes, sum(len(batch["labels"]) for batch in known.bank)) == (2, 20)
    images, labels = (torch.cat([batch[name] for batch in test]) for name in ("images", "labels"))
    expected, light = seen(ASKED)
    assert len(images) == len(ASKED)
    for image, label in zip(images, labels, strict=True):
        (row,) = ((expected - image).abs().amax((1, 2, 3)) < 1e-4).nonzero().flatten().tolist()
        assert light[row] == label


def test_its_classes_are_told_and_not_those_of_the_data(other, tmp_path):
    (tmp_path / "own.py").write_text(TEACHER)
    training = replace(TRAINING, image_size=8, out=tmp_path / "run")
    teachers = FeatureTeachers((f"{tmp_path}/own.py:cnn",))
    summary = embed(student="resnet8", teachers=teachers, probe=other, training=training)
    network = ps.networks.create(str(tmp_path / "run"), 0).eval()
    (known, labels), (asked, truth) = seen(KNOWN), seen(ASKED)
    with torch.no_grad():
        known, asked = network(known), network(asked)
    told = {"knn": nearest_classes(asked, known, labels, 2), "probe": fit_probe(known, labels, 2).classes(asked)}
    measured = summary["learners"]["student"]["last"]["test"]
    for name, found in told.items():
        assert measured[name] == pytest.approx(100 * (found == truth).double().mean().item())
    assert measured["n"] == 10  # how far it agrees with its teachers is of its own images
