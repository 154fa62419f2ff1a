"""How well a network classifies."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from potstill.batch import as_batch
from potstill.errors import BadInput


def evaluate(network: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
    """Accuracy and cross-entropy over all batches, in eval mode and float32; the network's mode comes back after.

    Args:
        network: images (N, C, H, W) -> logits (N, K).
        batches: dictionaries with ``images`` and ``labels``, or pairs, on the network's device.

    Returns:
        ``top1`` and ``top5`` in percent (``top5`` of the K best where K < 5), ``loss`` in nats, ``n`` images.

    Raises:
        BadInput: no batch.
    """
    training = network.training
    network.eval()
    sums: torch.Tensor | None = None  # on the device until the last batch is in
    try:
        with torch.no_grad():
            for batch in batches:
                images, labels = (as_batch(batch)[key] for key in ("images", "labels"))
                logits = network(images).float()
                hits = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
                loss = F.cross_entropy(logits, labels, reduction="sum")
                row = torch.stack([hits[:, 0].sum(), hits.sum(), loss, loss.new_tensor(len(labels))]).double()
                sums = row if sums is None else sums + row
    finally:
        network.train(training)
    if sums is None:
        raise BadInput("nothing to evaluate: no batch")
    top1, top5, loss_sum, n = sums.tolist()
    return {"top1": 100 * top1 / n, "top5": 100 * top5 / n, "loss": loss_sum / n, "n": int(n)}
