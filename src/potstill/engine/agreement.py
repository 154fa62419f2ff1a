"""How far the networks of a run agree on the test images."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.batch import Batch, as_batch, on_device
from potstill.device import widest
from potstill.losses.sigmoid_kd import SigmoidKD
from potstill.network_call import call
from potstill.outputs import logits_of
from potstill.runs.schema import Agreement


def agreement(
    learners: dict[str, nn.Module],
    networks: dict[str, nn.Module],
    batches: Iterable[Batch],
    device: torch.device,
    several: bool = False,
) -> dict[str, dict[str, Agreement]]:
    """Every learner beside every other network of the same number of classes.

    Returns:
        {learner: {other network: {"top1", "kl", "n"}}}: in percent, how often both choose the same class; and the mean
        of KL(other || learner) in nats, at temperature 1, over n images. Where an image may be of ``several`` classes:
        how often both say the same of a class, and the mean divergence of what they say of one.
    """
    found: dict[str, dict[str, Agreement]] = {learner: {} for learner in learners}
    pairs = [(a, b) for a in learners for b in networks if a != b]
    sums: dict[tuple[str, str], Tensor] = {}
    images = 0
    for batch in batches if pairs else ():
        given = on_device(as_batch(batch), device)["images"]
        outputs = {name: call(network, name, given.clone()) for name, network in networks.items()}
        logits = {name: logits_of(output, name).float() for name, output in outputs.items()}
        for a, b in pairs:
            if logits[a].shape == logits[b].shape:
                row = _of_several(logits[a], logits[b]) if several else _of_one(logits[a], logits[b])
                row = row.to(widest(row.device))
                sums[a, b] = sums[a, b] + row if (a, b) in sums else row
        images += len(given)
    for (a, b), row in sums.items():
        same, divergence = row.tolist()
        found[a][b] = {"top1": 100 * same / images, "kl": divergence / images, "n": images}
    return found


def _of_one(learner: Tensor, other: Tensor) -> Tensor:
    """On how many images both choose the same class, and the sum of their divergences."""
    one, two = learner.log_softmax(1), other.log_softmax(1)
    return torch.stack([(one.argmax(1) == two.argmax(1)).sum(), F.kl_div(one, two, reduction="sum", log_target=True)])


def _of_several(learner: Tensor, other: Tensor) -> Tensor:
    """The same of each class by itself; the means over the classes."""
    same = ((learner > 0) == (other > 0)).float().mean(1).sum()
    return torch.stack([same, len(learner) * SigmoidKD()(learner, other)])
