"""Normalised knowledge distillation."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.dkd import decouple
from potstill.losses.labels import likeliest
from potstill.losses.loss import Loss
from potstill.ranges import NotNegative, Temperature


class NKD(Loss):
    """The student believes in the right class as far as the teacher does, and compares the wrong ones as it does.

        L = mean over the batch of (-t_y log s_y - gamma * T^2 * sum over c != y of q_t,c log q_s,c)
        s, t = softmax(z),    q = softmax of z / T over the classes other than the label y

    Yang et al., "From knowledge distillation to self-knowledge distillation: a unified approach with normalized loss
    and customized soft labels", ICCV 2023: https://arxiv.org/abs/2303.13005. Both parts are cross-entropies, as
    there: the teacher's own entropy stays in the value, which therefore never nears 0, and the gradient is that of a
    divergence. With two classes the second part is 0. Of soft labels the likeliest class is y, and the second class of
    a mixture counts as a wrong one, as in the authors' code.

    Knowledge: responses.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        gamma: weight of the wrong classes; for ImageNet the authors have 1.5, for CIFAR-100 3.5.
        temperature: T, of the wrong classes only; for ImageNet 1, for CIFAR-100 3.

    Shapes: student and teacher logits (N, K); labels: class indices (N,), or probabilities (N, K).

    >>> import torch
    >>> from potstill.losses import NKD
    >>> teacher = torch.tensor([[6.0, 3.0, 1.0, 0.0]])
    >>> student = torch.tensor([[6.0, 0.0, 1.0, 3.0]])  # as sure of class 0, but sees other likenesses
    >>> labels = torch.tensor([0])
    >>> bool(NKD()(teacher, teacher, labels) < NKD()(student, teacher, labels))
    True
    >>> bool(NKD(gamma=0)(teacher, teacher, labels) == NKD(gamma=0)(student, teacher, labels))
    True
    """

    taps = ("student", "teacher", "labels")

    @checked
    def __init__(self, gamma: NotNegative = 1.5, temperature: Temperature = 1.0) -> None:
        super().__init__()
        self.gamma = gamma
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        label = likeliest(labels, student)
        target = target_entropy(student, teacher, label)
        (_, log_s), (_, log_t) = (decouple(logits / self.temperature, label) for logits in (student, teacher))
        is_label = torch.zeros_like(log_t, dtype=torch.bool).scatter(1, label[:, None], True)
        others = -(log_t.exp().masked_fill(is_label, 0) * log_s).sum(dim=1)
        return (target + self.gamma * self.temperature**2 * others).mean()


def target_entropy(student: Tensor, teacher: Tensor, label: Tensor) -> Tensor:
    """-t_y log s_y of each sample (N,): the label's part of the cross-entropy with the teacher, without temperature."""
    log_s, log_t = (F.log_softmax(logits, dim=1).gather(1, label[:, None]) for logits in (student, teacher))
    return -(log_t.exp() * log_s).squeeze(1)
