"""Regression of logits."""

from typing import Literal

from torch import Tensor

from potstill.checked import checked
from potstill.losses.loss import Loss


class Logits(Loss):
    """The student's logits imitate the teacher's directly, before any softmax.

        L = mean over batch and classes of (z_s - z_t)^2                       reduction="mean"
        L = mean over the batch of sum over classes of (z_s - z_t)^2           reduction="batchmean"

    Ba and Caruana, "Do deep nets really need to be deep?", NeurIPS 2014, eq. 1 (https://arxiv.org/abs/1312.6184), which
    has half of "batchmean". The mean over all elements is the Knowledge-Distillation-Zoo's; "batchmean" is the hint of
    Rocket Launching (https://arxiv.org/abs/1708.04106, eq. 2), divided by the actual size of the batch, so that the
    last, smaller one counts in full.

    Knowledge: responses.

    Usual weight: 0.1, beside 1 of cross-entropy.

    Args:
        reduction: which of the two.

    Shapes: student and teacher logits (N, K).

    >>> import torch
    >>> from potstill.losses import Logits
    >>> student, teacher = torch.zeros(8, 10), torch.ones(8, 10)
    >>> Logits()(student, teacher), Logits(reduction="batchmean")(student, teacher)
    (tensor(1.), tensor(10.))
    """

    @checked
    def __init__(self, reduction: Literal["mean", "batchmean"] = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        squares = (student - teacher).square()
        return squares.mean() if self.reduction == "mean" else squares.sum(dim=1).mean()
