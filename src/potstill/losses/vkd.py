"""Distillation by an orthogonal projection."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from potstill.losses.loss import Loss
from potstill.losses.sizes import position_mean


class VkD(Loss):
    """The student's features, only turned, become the teacher's standardised ones: the projection can learn no more.

        L = mean of smooth L1 of (P s - layer_norm(t)),    the columns of P orthonormal

    Miles, Elezi and Deng, "VkD: improving knowledge distillation using orthogonal projections", CVPR 2024:
    https://arxiv.org/abs/2403.06213. s and t are means over positions; where the teacher has fewer features, it is the
    rows of P that are orthonormal. Weight decay acts on what parametrises P, not on P. The authors train transformers
    with it (weight 1), beside cross-entropy and KD of the token of distillation.

    Knowledge: features. Trained parts: the projection.

    Shapes: student (N, C) or a map (N, C, H, W), of tokens by the suffix ``:map``, which leaves out the class token;
    teacher (N, C') or (N, C', H', W'); `build` needs a pair of them.

    >>> import torch
    >>> from potstill.losses import VkD
    >>> student, teacher = torch.randn(8, 32), torch.randn(8, 64, 4, 4)
    >>> loss = VkD()
    >>> loss.build(student, teacher)
    >>> turned = loss.projector(student)
    >>> torch.allclose(turned @ turned.T, student @ student.T, atol=1e-4)  # no angle and no length is another
    True
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = ("student.pooled", "teacher.pooled")

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the projection for features of these shapes."""
        linear = nn.Linear(student.shape[1], teacher.shape[1], bias=False).to(student)
        # Of the maps that torch has, the one whose backward pass waits for no device.
        self.projector = orthogonal(linear, orthogonal_map="householder")

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        target = F.layer_norm(position_mean(teacher), teacher.shape[1:2])
        return F.smooth_l1_loss(self.projector(position_mean(student)), target)
