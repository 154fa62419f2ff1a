"""A run's weights are the same bits, whatever of its teacher's answers was kept before, by whomever."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import potstill as ps
from potstill.answers.cached_pass import CachedPass
from potstill.engine.checkpoint import fingerprint
from potstill.losses import CE, KD, Sobolev
from potstill.training import Training

SHORT = Training(data="digits", epochs=6, batch_size=64, lr=0.05, images=400, test_images=100)
FEATURES = ps.Term(ps.losses.FitNet(), "student.pooled", "teacher.pooled", name="pooled")


def teacher():
    network = ps.networks.create("resnet14", seed=5)
    return ps.freeze(network)


def train(out, training=SHORT, terms=None, **seams):
    training = replace(training, out=out)
    data = training.load_data()
    networks = {"student": ps.networks.create("resnet8", len(data.classes), seed=training.seed), "teacher": teacher()}
    terms = terms or [ps.Term(CE(), "student", "labels"), ps.Term(KD(), "student", "teacher"), ps.Term(
        ps.losses.FitNet(), "student.pooled", "teacher.pooled")]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed)
    ps.fit(distiller, data, training, **seams)
    return fingerprint(distiller.networks["student"])


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    return train(tmp_path_factory.mktemp("without") / "run", replace(SHORT, teacher_cache="off"))


@pytest.fixture
def known(monkeypatch):
    """The passes that answered out of a cache."""
    made = []
    monkeypatch.setattr(CachedPass, "__post_init__", made.append, raising=False)
    return made


def test_cold_then_warm(tmp_path, without, known, capsys):
    cached = replace(SHORT, teacher_cache=str(tmp_path / "answers"))
    for number, share in enumerate((0.1, 1.0)):
        assert train(tmp_path / f"run{number}", cached) == without
        assert known[number].known >= share * known[number].asked > 0, capsys.readouterr().err
        assert known[number].asked == 6 * 400
    assert train(tmp_path / "other-seed", replace(cached, seed=1)) == train(
        tmp_path / "other-seed-off", replace(SHORT, seed=1, teacher_cache="off")
    )
