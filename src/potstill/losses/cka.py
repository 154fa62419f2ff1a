"""Centred kernel alignment."""

from typing import Literal

import torch
from torch import Tensor

from potstill.checked import checked
from potstill.losses.centred import centred
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import Positive


class CKA(Loss):
    """Which samples of a batch are alike, and by how much, is the same in student and teacher, whatever their features.

        K_ij = f_i . f_j  or  exp(-||f_i - f_j||^2 / (2 sigma^2)),  rows and columns centred
        L = 1 - sum of K_s * K_t / (||K_s|| ||K_t||)

    Kornblith, Norouzi, Lee and Hinton, "Similarity of neural network representations revisited", ICML 2019, eq. 1 to 3:
    https://arxiv.org/abs/1905.00414. There it measures how alike two networks are; its negative is a loss. The estimate
    is biased, as there: random features of a small batch look alike, the more so the more features there are. Features
    that are the same for all samples are like no others: 1, without a gradient (0 / 0 in the original).

    Knowledge: relations of samples.

    Usual weight: no published one was at hand.

    Args:
        kernel: "linear", which does not see scale or rotation, or "rbf".
        sigma: distance at which the kernel "rbf" has fallen to 0.61.

    Shapes: student (N, D), teacher (N, D'); further dimensions are flattened.

    >>> import torch
    >>> from potstill.losses import CKA
    >>> student = torch.randn(64, 32)
    >>> teacher = 3 * torch.cat([student, student], dim=1) + 1  # the same samples are alike
    >>> bool(CKA()(student, teacher) < 1e-5)
    True
    >>> CKA(kernel="rbf", sigma=8)(student, torch.zeros(64, 5))
    tensor(1.)
    """

    whole_batch = True
    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(self, kernel: Literal["linear", "rbf"] = "linear", sigma: Positive = 1.0) -> None:
        super().__init__()
        self.kernel, self.sigma = kernel, sigma

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return 1 - torch.dot(self._alike(student.flatten(1)), self._alike(teacher.flatten(1)))

    def _alike(self, features: Tensor) -> Tensor:
        """The centred kernel of all pairs, in a row of unit length."""
        if self.kernel == "linear":
            rows = centred(features, dim=0)
            # Of unit length before as well: products of large features leave the range of float32.
            rows = unit_length(rows.flatten()).view_as(rows)
            return unit_length((rows @ rows.T).flatten())
        distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
        kernel = torch.exp(-(distances / self.sigma).square() / 2)
        return unit_length(centred(centred(kernel, dim=0), dim=1).flatten())
