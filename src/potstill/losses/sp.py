"""Similarity-preserving distillation."""

import torch.nn.functional as F
from torch import Tensor

from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length


class SP(Loss):
    """Samples that excite the teacher alike excite the student alike: their matrices of similarities agree.

        G = Q Q',  Q the batch of flattened maps, rows of G of unit length;    L = mean of (G_s - G_t)^2

    Tung and Mori, "Similarity-preserving knowledge distillation", ICCV 2019, eq. 1 to 4: https://arxiv.org/abs/1907.09682.
    A sample whose map is 0 everywhere is similar to none, and gets no gradient from its own row.

    Knowledge: relations of samples.

    Usual weight: 3000, beside 1 of cross-entropy.

    Shapes: student (N, ...), teacher (N, ...): any widths and sizes.

    >>> import torch
    >>> from potstill.losses import SP
    >>> maps = torch.randn(8, 32, 8, 8)
    >>> SP()(maps, 2 * maps)  # all similarities are four times as large: the same beside each other
    tensor(0.)
    >>> SP()(maps, torch.randn(8, 64, 4, 4)) > 0
    tensor(True)
    """

    whole_batch = True
    taps = ("student.stages", "teacher.stages")

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(_similarities(student), _similarities(teacher))


def _similarities(features: Tensor) -> Tensor:
    rows = features.flatten(1)
    return unit_length(rows @ rows.T)
