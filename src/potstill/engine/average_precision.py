"""How well a network finds the classes of images that have several."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from potstill.batch import as_batch, on_device
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.example_pass import FEW
from potstill.memory_layout import settle
from potstill.network_call import call
from potstill.outputs import logits_of
from potstill.soundness import check_logits, look_at


def mean_average_precision(network: nn.Module, batches: Iterable[Any]) -> dict[str, float]:
    """Mean average precision over all batches, in eval mode and float32; the network's mode comes back after.

    Args:
        network: images (N, C, H, W) -> logits (N, K), or what `potstill.outputs.logits_of` finds them in.
        batches: dictionaries with ``images`` and ``labels`` (N, K) of zeros and ones, or pairs.

    Returns:
        ``map``, the mean of `average_precision` over the classes that any image is of, in percent; ``loss``, the mean
        binary cross-entropy over images and classes, in nats; ``n`` images.

    Raises:
        BadInput: no batch; labels of another shape; no image is of any class.
    """
    name = type(network).__name__
    scores, truth = [], []
    with eval_mode(network), torch.no_grad():
        for number, batch in enumerate(batches):
            like = next(network.parameters(), torch.empty(0))
            entries = on_device(as_batch(batch), like.device)
            images, labels = entries["images"], entries.get("labels")
            if number == 0:
                settle(network, name, images)
                look_at(network, name, images[:FEW])
            logits = logits_of(call(network, name, images.clone()), name).float()
            check_logits(logits, name, len(images))
            if labels is None or labels.shape != logits.shape:
                shape = "none" if labels is None else f"those of shape {tuple(labels.shape)}"
                raise BadInput(f"average precision needs labels {tuple(logits.shape)} of zeros and ones, not {shape}")
            scores.append(logits)
            truth.append(labels.float())
    if not scores:
        raise BadInput("nothing to evaluate: no batch")
    logits, labels = torch.cat(scores), torch.cat(truth)
    loss = F.binary_cross_entropy_with_logits(logits.double(), labels.double()).item()
    of_classes = average_precision(logits.cpu().numpy(), labels.cpu().numpy() > 0)
    found = of_classes[~np.isnan(of_classes)]
    if not len(found):
        raise BadInput("average precision needs images that are of any class, and these are of none")
    return {"map": 100 * float(found.mean()), "loss": loss, "n": len(logits)}


def average_precision(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The average precision of each class (K,); nan of a class that no image is of.

        AP = sum over thresholds of (R_i - R_(i-1)) P_i

    P_i and R_i are precision and recall if all images of at least the i-th highest score are taken; equal scores are
    one threshold, and nothing is interpolated, as scikit-learn has it:
    https://scikit-learn.org/stable/modules/generated/sklearn.metrics.average_precision_score.html.

    Args:
        scores: higher is more probable (N, K).
        truth: which image is of which class (N, K).

    >>> import numpy as np
    >>> average_precision(np.array([[3.0], [2.0], [1.0]], np.float32), np.array([[True], [False], [True]]))
    array([0.83333333])
    """
    columns = zip(scores.T, truth.T, strict=True)
    return np.array([_of_class(of_class, is_of) if is_of.any() else np.nan for of_class, is_of in columns])


def _of_class(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> float:
    order = np.argsort(-scores, kind="stable")
    falls = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)  # where a threshold may lie
    hits = np.cumsum(truth[order])[falls]
    precision, recall = hits / (falls + 1), hits / truth.sum()
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))
