"""Training without help: the baseline, and how teachers are made."""

from pathlib import Path
from typing import Any

import potstill as ps
from potstill.training import Training


def supervised(*, network: str, weights: Path | None = None, training: Training = Training()) -> dict[str, Any]:
    """Train one network from the labels alone: a baseline, or a teacher for later.

    Args:
        network: what to train, for example resnet20, wrn-16-2, timm:NAME, file.py:callable, or a run folder.
        weights: weights to start from; fresh ones by default.
    """
    record = {"recipe": "supervised", **locals()}
    data = training.load_data()
    student = ps.networks.create(network, len(data.classes), weights=weights, seed=training.seed)
    terms = [ps.Term(ps.losses.CE(), "student", "labels")]
    distiller = ps.Distiller({"student": student}, terms, example=data.example(), seed=training.seed)
    return ps.fit(distiller, data, training, record)
