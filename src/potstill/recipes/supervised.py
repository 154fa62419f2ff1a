"""Training without help: the baseline, and how teachers are made."""

from pathlib import Path

import potstill as ps
from potstill.recipes.further_images import with_further_images
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
        terms: what to minimise, by default CE, or BCE where an image may have several labels; strings as in distill, of
            losses that need no teacher: "CE(label_smoothing=0.1)", "0.1 * file.py:MyLoss on student.stage3", or in
            which the network teaches itself: "PSKD", "BYOT", "DLB". A loss of yours gets that place, and the labels if
            it takes two inputs.
    """
    data = training.load_data()
    networks = {"student": create_learner(network, data, training, weights=weights, name=network)}
    example, classifiers = data.example(), [*networks]
    usual = ("BCE",) if data.several else ("CE",)
    parsed = terms_alone(terms or usual, networks["student"], example)
    networks, data = with_further_images(parsed, networks, data, training)
    distiller = ps.Distiller(networks, parsed, data.example(), seed=training.seed, classifiers=classifiers)
    return ps.fit(distiller, data, training)
