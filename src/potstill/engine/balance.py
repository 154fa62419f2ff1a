"""Training on classes of unequal size."""

import torch

from potstill.data.class_weights import class_weights
from potstill.data.data import Data
from potstill.data.own_loaders import OwnLoader
from potstill.distiller import Distiller
from potstill.errors import BadInput
from potstill.losses.ce import CE
from potstill.training import Training


def balance_classes(training: Training, distiller: Distiller, data: Data) -> None:
    """Weigh cross-entropy by the rarity of classes, if that is asked for. Images are drawn by `potstill.data.load`.

    Raises:
        BadInput: nothing to weigh; or loaders whose images nobody here draws.
    """
    if training.balance == "sampling" and isinstance(data.train, OwnLoader):
        raise BadInput("--balance sampling is for data sets that are loaded here; give your own loader a sampler")
    if training.balance != "weights":
        return
    weights = class_weights(data).to(distiller.weights.device)
    found = 0
    for term in distiller.terms:
        # In a later stage of the run they may be the same terms.
        if isinstance(term.loss, CE) and (term.loss.weight is None or torch.equal(term.loss.weight, weights)):
            term.loss.weight = weights
            term.whole_batch = True  # its mean is over the weights of the batch
            found += 1
    if not found:
        raise BadInput("--balance weights is for terms of CE that have no weights of their own, and there is none")
