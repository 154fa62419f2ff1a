"""Distillation by an orthogonal projection."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.losses.loss import Loss
from potstill.losses.sizes import position_mean


class OrthogonalLinear(nn.Module):
    """A linear map whose matrix (out_width, width) has orthonormal columns, or rows where it has fewer of these.

        start (I + A / 2)^-1 (I - A / 2),    A = X - X^T,  X strictly lower triangular

    Of this Cayley transform as many columns are taken as there are; ``start`` is orthogonal, at random. torch's own
    ``orthogonal`` either waits for the device, or (Householder) loses columns to weight decay.
    """

    start: Tensor

    def __init__(self, width: int, out_width: int) -> None:
        super().__init__()
        self.wide = width > out_width
        most, least = max(width, out_width), min(width, out_width)
        self.free = nn.Parameter(torch.zeros(most, least))
        self.register_buffer("start", torch.linalg.qr(torch.randn(most, most)).Q)

    @property
    def weight(self) -> Tensor:
        """The matrix (out_width, width)."""
        most, least = self.free.shape
        lower = F.pad(self.free.tril(-1), (0, most - least))
        half, one = (lower - lower.T) / 2, torch.eye(most, dtype=lower.dtype, device=lower.device)
        # I + A / 2 has an inverse whatever A is, so nobody needs to look.
        turned: Tensor = self.start @ torch.linalg.solve_ex(one + half, (one - half)[:, :least])[0]
        return turned.T if self.wide else turned

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, width) as (N, out_width)."""
        return F.linear(features, self.weight)


class VkD(Loss):
    """The student's features, only turned, become the teacher's standardised ones: the projection can learn no more.

        L = mean of smooth L1 of (P s - layer_norm(t)),    the columns of P orthonormal

    Miles, Elezi and Deng, "VkD: improving knowledge distillation using orthogonal projections", CVPR 2024:
    https://arxiv.org/abs/2403.06213. s and t are means over positions; where the teacher has fewer features, it is the
    rows of P that are orthonormal. Weight decay acts on what parametrises P, not on P. The authors train transformers
    with it (weight 1), beside cross-entropy and KD of the token of distillation.

    Knowledge: features. Trained parts: the projection.

    Usual weight: 1, beside 1 of cross-entropy.

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
        self.projector = OrthogonalLinear(student.shape[1], teacher.shape[1]).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        target = F.layer_norm(position_mean(teacher), teacher.shape[1:2])
        return F.smooth_l1_loss(self.projector(position_mean(student)), target)
