"""DIST: relations instead of exact values."""

from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.ranges import NotNegative, Temperature


class DIST(Loss):
    """The student prefers classes for an image, and images for a class, as the teacher does: they need only correlate.

        L = T^2 * (beta * mean over samples of (1 - r(y_s[i, :], y_t[i, :]))
                 + gamma * mean over classes of (1 - r(y_s[:, j], y_t[:, j]))),    y = softmax(z / T),  r = Pearson's

    Huang, You, Wang, Qian and Xu, "Knowledge distillation from a stronger teacher", NeurIPS 2022, sections 3.2 and 3.3:
    https://arxiv.org/abs/2205.10536. T and T^2 are of its classification code; its segmentation code has T = 1. r is
    the product of the centred vectors divided by (the product of their lengths + 1e-8), so that it is 0 where one of
    them is constant: a batch of one sample, or equal rows.

    Knowledge: responses.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        beta: weight of the correlation over classes, in each sample; for CIFAR the authors have 2.
        gamma: weight of the correlation over the batch, for each class; for CIFAR the authors have 2.
        temperature: T; for CIFAR the authors have 4.

    Shapes: student and teacher logits (N, K), or (N, K, H, W), whose pixels count as samples.

    Raises:
        BadInput: student and teacher have different classes, or sizes.

    >>> import torch
    >>> from potstill.losses import DIST, KD
    >>> teacher = torch.randn(64, 10)
    >>> student = (0.5 * teacher.softmax(dim=1) + 0.05).log()  # half as sure of every class: it correlates
    >>> bool(DIST()(student, teacher) < 1e-5), bool(KD(temperature=1)(student, teacher) > 0.01)
    (True, True)
    """

    whole_batch = True

    @checked
    def __init__(self, beta: NotNegative = 1.0, gamma: NotNegative = 1.0, temperature: Temperature = 1.0) -> None:
        super().__init__()
        if not (beta or gamma):
            raise BadInput("DIST: both weights are 0")
        self.beta = beta
        self.gamma = gamma
        self.temperature = temperature

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        if student.shape != teacher.shape:
            raise BadInput(f"DIST: logits {tuple(student.shape)} and {tuple(teacher.shape)} differ in shape")
        y_s, y_t = (
            (logits / self.temperature).softmax(dim=1).movedim(1, -1).flatten(0, -2) for logits in (student, teacher)
        )
        inter, intra = 1 - _correlation(y_s, y_t).mean(), 1 - _correlation(y_s.T, y_t.T).mean()
        return (self.beta * inter + self.gamma * intra) * self.temperature**2


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Pearson's correlation of each row of ``a`` with the same row of ``b``."""
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    lengths: Tensor = a.norm(dim=1) * b.norm(dim=1)
    return (a * b).sum(dim=1) / (lengths + 1e-8)
