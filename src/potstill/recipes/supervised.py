"""Training without help: the baseline, and how teachers are made."""

from pathlib import Path

import potstill as ps
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.training import Training


@recipe
def supervised(*, network: str, weights: Path | None = None, training: Training = Training()) -> Summary:
    """Train one network from the labels alone: a baseline, or a teacher for later.

    Args:
        network: what to train, for example resnet20, wrn-16-2, timm:NAME, file.py:callable, or a run folder.
        weights: weights to start from: a safetensors or torch file, a run folder, or pretrained for what timm or
            torchvision offer; fresh ones by default. A classifier of other classes than the data's starts afresh.
    """
    data = training.load_data()
    networks = {"student": create_learner(network, data, training, weights=weights, name=network)}
    loss = ps.losses.BCE() if data.several else ps.losses.CE()
    terms = [ps.Term(loss, "student", "labels")]
    distiller = ps.Distiller(networks, terms, example=data.example(), seed=training.seed, classifiers=[*networks])
    return ps.fit(distiller, data, training)
