"""Training without help: the baseline, and how teachers are made."""

from pathlib import Path

import potstill as ps
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.term_strings.alone import terms_alone
from potstill.training import Training


@recipe
def supervised(
    *,
    network: str,
    weights: Path | None = None,
    terms: tuple[str, ...] = (),
    training: Training = Training(),
) -> Summary:
    """Train one network without a teacher: a baseline, or a teacher for later.

    Args:
        network: what to train, for example resnet20, wrn-16-2, timm:NAME, file.py:callable, or a run folder.
        weights: weights to start from: a safetensors or torch file, a run folder, or pretrained for what timm or
            torchvision offer; fresh ones by default. A classifier of other classes than the data's starts afresh.
        terms: what to minimise, by default CE; strings as in distill, of losses that need no teacher:
            "CE(label_smoothing=0.1)", "0.1 * file.py:MyLoss on student.stage3". A loss of yours gets that place, and
            the labels if it takes two inputs.
    """
    data = training.load_data()
    networks = {"student": create_learner(network, data, training, weights=weights, name=network)}
    example = data.example()
    parsed = terms_alone(terms or ("CE",), networks["student"], example)
    distiller = ps.Distiller(networks, parsed, example=example, seed=training.seed, classifiers=[*networks])
    return ps.fit(distiller, data, training)
