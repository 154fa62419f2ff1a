"""Weighted soft labels."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.ranges import Epsilon, Temperature


class WSLD(Loss):
    """Soft labels count where the student still lags behind its teacher, and less where it is as good or better.

        L = T^2 * mean over the batch of w * (-sum over classes of softmax(z_t / T) log softmax(z_s / T))
        w = 1 - exp(-CE(z_s, y) / (CE(z_t, y) + eps)), without a gradient

    Zhou, Song, Chen, Zhou, Wang, Yuan and Zhang, "Rethinking soft labels for knowledge distillation: a bias-variance
    tradeoff perspective", ICLR 2021: https://arxiv.org/abs/2102.00650. A cross-entropy, as there: the teacher's
    own entropy stays in the value. Where both know the label for certain the weight is 0.

    Knowledge: responses.

    Usual weight: 2.5 for ImageNet and 2.25 for CIFAR-100, beside 1 of cross-entropy.

    Args:
        temperature: T; for ImageNet the authors have 2, for CIFAR-100 4.
        eps: added to the teacher's cross-entropy.

    Shapes: student and teacher logits (N, K); labels: class indices (N,), or probabilities (N, K).

    >>> import torch
    >>> from potstill.losses import WSLD
    >>> teacher, labels = torch.eye(10)[:8], torch.arange(8)
    >>> behind, ahead = torch.zeros(8, 10), 100 * torch.eye(10)[:8]
    >>> WSLD()(behind, teacher, labels) > 1, WSLD()(ahead, teacher, labels)
    (tensor(True), tensor(0.))
    """

    taps = ("student", "teacher", "labels")

    @checked
    def __init__(self, temperature: Temperature = 2.0, eps: Epsilon = 1e-7) -> None:
        super().__init__()
        self.temperature = temperature
        self.eps = eps

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        labels = labels if labels.is_floating_point() else labels.long()
        with torch.no_grad():
            own, other = (F.cross_entropy(logits, labels, reduction="none") for logits in (student, teacher))
            weights = -torch.expm1(-own / (other + self.eps))
        log_s = F.log_softmax(student / self.temperature, dim=1)
        entropies = -((teacher / self.temperature).softmax(dim=1) * log_s).sum(dim=1)
        return (weights * entropies).mean() * self.temperature**2
