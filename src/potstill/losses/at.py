"""Attention transfer."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Epsilon, Power


@checked
def attention(features: Tensor, p: Power = 2.0, channels: Literal["mean", "sum"] = "mean") -> Tensor:
    """Where a network looks: |features|^p over the channels of a map (N, C, H, W), flattened to (N, H*W)."""
    powers = features.square() if p == 2 else features.abs().pow(p)  # the same, without a pass over the map
    return (powers.mean(dim=1) if channels == "mean" else powers.sum(dim=1)).flatten(1)


class AT(Loss):
    """The student looks where the teacher looks: their spatial attention maps, each of unit length, agree.

        q = sum over channels of |a|^p, flattened;    L = mean of (q_s / ||q_s|| - q_t / ||q_t||)^2

    Zagoruyko and Komodakis, "Paying more attention to attention", ICLR 2017, section 3.1:
    https://arxiv.org/abs/1612.03928. As in its code (and Rocket Launching's and Moonshine's), channels are averaged and
    the squared difference is averaged over batch and positions, where eq. 2 has sums: weigh it with about 1000.

    Knowledge: features.

    Usual weight: 1000, beside 1 of cross-entropy.

    Args:
        p: the power.
        channels: "mean" or "sum" over the channels; the same but for maps that are nearly 0.
        eps: guards the division for maps that are 0 everywhere.
        eps_placement: "clamp": the norm is at least eps; "add": eps is added to it. The Knowledge-Distillation-Zoo
            has channels="sum", eps=1e-6, eps_placement="add".

    Shapes: student (N, C, H, W), teacher (N, C', H', W'). Channels may differ; of two sizes, the larger map is
    average-pooled to the smaller first.

    >>> import torch
    >>> from potstill.losses import AT
    >>> student, teacher = torch.zeros(8, 16, 8, 8), torch.zeros(8, 64, 8, 8)
    >>> student[:, :, 0, 0], teacher[:, :, 7, 7] = 1, 1  # they look at opposite corners
    >>> AT()(student, teacher)  # 2 of 64 positions differ by 1
    tensor(0.0312)
    >>> AT()(3 * teacher[:, :16], teacher)
    tensor(0.)
    """

    taps = ("student.stages", "teacher.stages")

    @checked
    def __init__(
        self,
        p: Power = 2.0,
        channels: Literal["mean", "sum"] = "mean",
        eps: Epsilon = 1e-12,
        eps_placement: Literal["clamp", "add"] = "clamp",
    ) -> None:
        super().__init__()
        self.p = p
        self.channels: Literal["mean", "sum"] = channels
        self.eps = eps
        self.eps_placement = eps_placement

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(student, teacher)
        return F.mse_loss(self._unit(student), self._unit(teacher))

    def _unit(self, features: Tensor) -> Tensor:
        flat = attention(features, self.p, self.channels)
        if self.eps_placement == "clamp":
            return F.normalize(flat, dim=1, eps=self.eps)
        lengths: Tensor = torch.linalg.vector_norm(flat, dim=1, keepdim=True)
        return flat / (lengths + self.eps)
