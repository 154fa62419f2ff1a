"""Training without help: the baseline, and how teachers are made."""

from pathlib import Path

import potstill as ps
from potstill.recipes.further_images import with_further_images
from potstill.recipes.learner import create_learner
from potstill.runs.recording import recipe
from potstill.runs.schema import Summary
from potstill.say import say
from potstill.term_strings.alone import terms_alone
from potstill.training import Training

TERMS, OF_SEVERAL = ("CE",), ("BCE",)


@recipe
def supervised(
    *,
    network: str,
    weights: Path | None = None,
    terms: tuple[str, ...] = TERMS,
    training: Training = Training(),
) -> Summary:
    """Train one network without a teacher: a baseline, or a teacher for later.

    Args:
        network: what to train, for example resnet20, wrn-16-2, timm:NAME, file.py:callable, or a run folder.
        weights: weights to start from: a safetensors or torch file, a run folder, or pretrained for what timm or
            torchvision offer; fresh ones by default. A classifier of other classes than the data's starts afresh.
        terms: what to minimise, strings as in distill, of losses that need no teacher: "CE(label_smoothing=0.1)",
            "0.1 * file.py:MyLoss on student.stage3"; or in which the network teaches itself: "PSKD", "BYOT", "DLB". A
            loss of yours gets that place, and the labels if it takes two. By default, BCE where an image may have
            several labels.
    """
    data = training.load_data()
    if data.several and terms == TERMS:
        terms = OF_SEVERAL
        say("these images may have several labels: --terms BCE")
    networks = {"student": create_learner(network, data, training, weights=weights, name=network)}
    example, classifiers = data.example(), [*networks]
    parsed = terms_alone(terms, networks["student"], example)
    networks, data = with_further_images(parsed, networks, data, training)
    distiller = ps.Distiller(networks, parsed, data.example(), seed=training.seed, classifiers=classifiers)
    return ps.fit(distiller, data, training, {"terms": terms})
