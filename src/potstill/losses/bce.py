"""Cross-entropy of each class by itself, for images that are of several classes, or of none."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.labels import shares
from potstill.losses.loss import Loss


class BCE(Loss):
    """Every class is a question by itself, and the logit the answer: `torch.nn.BCEWithLogitsLoss` of logits and labels.

        L = - y log sigmoid(z) - (1 - y) log(1 - sigmoid(z)), mean over batch and classes

    Of labels that are classes, each image is of that one and of no other.

    Knowledge: labels.

    Args:
        reduction: "mean", as above; or "batchmean", summed over classes, mean over the batch.

    Shapes: student logits (N, K); labels: 0, 1 or between them for every class (N, K), or class indices (N,).

    >>> import torch
    >>> from potstill.losses import BCE
    >>> logits, labels = torch.zeros(2, 4), torch.tensor([[1.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    >>> BCE()(logits, labels), BCE(reduction="batchmean")(logits, labels)  # log 2, and four times that
    (tensor(0.6931), tensor(2.7726))
    """

    taps = ("student", "labels")

    several_labels = True

    @checked
    def __init__(self, reduction: Literal["mean", "batchmean"] = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, student: Tensor, labels: Tensor) -> Tensor:
        losses = F.binary_cross_entropy_with_logits(student, shares(labels, student), reduction="none")
        return losses.mean() if self.reduction == "mean" else losses.sum(dim=1).mean()
