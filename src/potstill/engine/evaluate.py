"""How well a network classifies."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.batch import Batch, as_batch, on_device
from potstill.device import widest
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.example_pass import FEW
from potstill.memory_layout import settle
from potstill.network_call import call
from potstill.outputs import logits_of
from potstill.soundness import check_logits, look_at


def evaluate(
    network: nn.Module, batches: Iterable[Any], also: Callable[[Tensor, Tensor], object] | None = None
) -> dict[str, float]:
    """Accuracy and cross-entropy over all batches, in eval mode and float32; the network's mode comes back after.

    Args:
        network: images (N, C, H, W) -> logits (N, K), or what `potstill.outputs.logits_of` finds them in.
        batches: dictionaries with ``images`` and ``labels`` (N,), or pairs.
        also: is shown each batch's logits (N, K) in float32, and its labels.

    Returns:
        ``top1`` and, of more than five classes, ``top5`` in percent, ``loss`` in nats, ``n`` images.

    Raises:
        BadInput: no batch, or one without labels.

    >>> import potstill as ps
    >>> network, data = ps.networks.create("resnet8"), ps.data.load("digits")
    >>> measured = ps.evaluate(network, data.test)
    >>> list(measured), measured["n"]
    (['top1', 'top5', 'loss', 'n'], 797)
    """
    name = type(network).__name__
    sums: Tensor | None = None  # on the device until the last batch is in
    with eval_mode(network), torch.no_grad():
        for batch in batches:
            entries = labelled(as_batch(batch), network)
            if sums is None:
                settle(network, name, entries["images"])
                look_at(network, name, entries["images"][:FEW])
            output = call(network, name, entries["images"].clone())  # which it may overwrite
            logits, labels = logits_of(output, name), entries["labels"]
            check_logits(logits, name, len(labels))
            logits = logits.float()
            if also is not None:
                also(logits, labels)
            hits = best_classes(logits) == labels[:, None]
            loss = F.cross_entropy(logits, labels, reduction="sum")
            row = torch.stack([hits[:, 0].sum(), hits.sum(), loss, loss.new_tensor(len(labels))])
            row = row.to(widest(row.device))
            sums = row if sums is None else sums + row
    if sums is None:
        raise BadInput("nothing to evaluate: no batch")
    top1, top5, loss_sum, n = sums.tolist()
    best = {"top1": 100 * top1 / n} | ({"top5": 100 * top5 / n} if logits.shape[1] > 5 else {})
    return {**best, "loss": loss_sum / n, "n": int(n)}


def best_classes(logits: Tensor) -> Tensor:
    """The numbers (N, 5) of the most likely classes, best first; fewer, where there are no five."""
    return logits.topk(min(5, logits.shape[1]), dim=1).indices


def labelled(batch: Batch, network: nn.Module) -> Batch:
    """A batch with labels, on the network's device.

    Raises:
        BadInput: it has none, or not one class an image.
    """
    if "labels" not in batch:
        raise BadInput(f"images to measure accuracy on need labels, but a batch has only {', '.join(batch)}")
    if batch["labels"].dim() != 1 or batch["labels"].is_floating_point():
        shape = tuple(batch["labels"].shape)
        raise BadInput(f"labels to measure accuracy on are classes (N,), not {batch['labels'].dtype} of shape {shape}")
    like = next(network.parameters(), batch["images"])
    return on_device(batch, like.device)
