"""Knowledge distillation class by class."""

import torch.nn.functional as F
from torch import Tensor

from potstill.losses.loss import Loss


class BKD(Loss):
    """Each class is a question of its own, whether it is there, which the student answers as surely as the teacher.

        L = mean over batch and classes of -(p log sigmoid(z_s) + (1 - p) log(1 - sigmoid(z_s))),    p = softmax(z_t)

    Hao et al., "One-for-all: bridge the gap between heterogeneous architectures in knowledge distillation", NeurIPS
    2023: https://arxiv.org/abs/2310.19444, in whose code it is a baseline. The mean over classes makes it weaker than
    `KD` by their number. There is no temperature.

    Knowledge: responses.

    Usual weight: 1, beside 1 of cross-entropy.

    Shapes: student and teacher logits (N, K).

    >>> import torch
    >>> from potstill.losses import BKD
    >>> teacher = 100 * torch.eye(10)[:8]
    >>> BKD()(teacher - 50, teacher) < 1e-6, BKD()(teacher, teacher)  # at 0 the student cannot tell: nine times log 2
    (tensor(True), tensor(0.6238))
    """

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(student, teacher.softmax(dim=1))
