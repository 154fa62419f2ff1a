"""Smoothed labels."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.labels import shares
from potstill.losses.loss import Loss
from potstill.ranges import Fraction


class LabelSmoothing(Loss):
    """Cross-entropy with a label that leaves a little to the other classes, so that no logit need grow for ever.

        L = -mean over the batch of sum over classes of p log softmax(z)
        p = 1 - eps for the label and eps / (K - 1) for each other class         spread="others"
        p = (1 - eps) * label + eps / K, for every class                         spread="all"

    Szegedy, Vanhoucke, Ioffe, Shlens and Wojna, "Rethinking the inception architecture for computer vision", CVPR 2016,
    section 7: https://arxiv.org/abs/1512.00567. The paper, torch (`CE` with its ``label_smoothing``) and timm spread
    over all classes; the code of teacher-free distillation and big_vision over the others, more by K / (K - 1).

    Knowledge: labels.

    Usual weight: 1, in the place of cross-entropy.

    Args:
        eps: what the label gives up.
        spread: to whom.

    Shapes: student logits (N, K); labels: class indices (N,), or probabilities (N, K).

    >>> import torch
    >>> from potstill.losses import CE, LabelSmoothing
    >>> student, labels = torch.randn(8, 10), torch.arange(8)
    >>> torch.allclose(LabelSmoothing(0.09)(student, labels), CE(label_smoothing=0.1)(student, labels))
    True
    """

    taps = ("student", "labels")

    @checked
    def __init__(self, eps: Fraction = 0.1, spread: Literal["others", "all"] = "others") -> None:
        super().__init__()
        self.eps = eps
        self.spread = spread

    def forward(self, student: Tensor, labels: Tensor) -> Tensor:
        classes = student.shape[1]
        share = self.eps / (max(classes - 1, 1) if self.spread == "others" else classes)
        kept = 1 - self.eps - (share if self.spread == "others" else 0)
        return -((kept * shares(labels, student) + share) * F.log_softmax(student, dim=1)).sum(dim=1).mean()
