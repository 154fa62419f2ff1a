"""How far the networks of a run agree on the test images."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.batch import as_batch, on_device
from potstill.data.data import Batches
from potstill.device import widest
from potstill.network_call import call
from potstill.outputs import logits_of
from potstill.runs.schema import Agreement


def agreement(
    learners: dict[str, nn.Module], networks: dict[str, nn.Module], batches: Batches, device: torch.device
) -> dict[str, dict[str, Agreement]]:
    """Every learner beside every other network of the same number of classes.

    Returns:
        {learner: {other network: {"top1", "kl", "n"}}}: in percent, how often both choose the same class; and the mean
        of KL(other || learner) in nats, at temperature 1, over n images.
    """
    found: dict[str, dict[str, Agreement]] = {learner: {} for learner in learners}
    pairs = [(a, b) for a in learners for b in networks if a != b]
    sums: dict[tuple[str, str], Tensor] = {}
    images = 0
    for batch in batches if pairs else ():
        given = on_device(as_batch(batch), device)["images"]
        outputs = {name: call(network, name, given.clone()) for name, network in networks.items()}
        logs = {name: logits_of(output, name).float().log_softmax(1) for name, output in outputs.items()}
        chosen = {name: values.argmax(1) for name, values in logs.items()}
        for a, b in pairs:
            if logs[a].shape == logs[b].shape:
                row = torch.stack(
                    [(chosen[a] == chosen[b]).sum(), F.kl_div(logs[a], logs[b], reduction="sum", log_target=True)]
                )
                row = row.to(widest(row.device))
                sums[a, b] = sums[a, b] + row if (a, b) in sums else row
        images += len(given)
    for (a, b), row in sums.items():
        same, divergence = row.tolist()
        found[a][b] = {"top1": 100 * same / images, "kl": divergence / images, "n": images}
    return found
