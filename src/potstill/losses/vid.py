"""Variational information distillation."""

import math
from collections import OrderedDict
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Epsilon, Range


class VID(Loss):
    """The student's map should tell much about the teacher's: a regressor guesses it, and learns how sure it is.

        v = softplus(raw) + eps, one a channel;    L = mean of (log v + (t - mu(s))^2 / v) / 2

    Ahn, Hu, Damianou, Lawrence and Dai, "Variational information distillation for knowledge transfer", CVPR 2019,
    section 2.1: https://arxiv.org/abs/1904.05835. mu is three 1x1 convolutions with ReLUs between, without bias or
    batch norm, as in RepDistiller. The softplus is computed so that it cannot overflow, as log(1 + e^x) does there.

    Knowledge: features. Trained parts: a regressor and a variance for each channel.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        variance: v at the start.
        eps: the least variance; 1e-5 in RepDistiller and mdistiller, 1e-6 in the Knowledge-Distillation-Zoo.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger map is
    average-pooled to the smaller first, as in RepDistiller.

    Raises:
        BadInput: the variance at the start is not above eps.

    >>> import torch
    >>> from potstill.losses import VID
    >>> student, teacher = torch.randn(8, 32, 16, 16), torch.randn(8, 64, 8, 8)
    >>> loss = VID()
    >>> loss.build(student, teacher)
    >>> loss.raw_variance.shape, loss.regressor(student).shape
    (torch.Size([64]), torch.Size([8, 64, 16, 16]))
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = ("student.stages", "teacher.stages")

    @checked
    def __init__(self, variance: Annotated[float, Range(0, 100)] = 5.0, eps: Epsilon = 1e-5) -> None:
        super().__init__()
        if variance <= eps:
            raise BadInput(f"VID: variance must be above eps ({eps}), not {variance}")
        self.variance = variance
        self.eps = eps

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the regressor and the variances for maps of these shapes."""
        width = teacher.shape[1]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i, channels in enumerate((student.shape[1], width, width), start=1):
            layers[f"conv{i}"] = nn.Conv2d(channels, width, 1, bias=False)
            if i < 3:
                layers[f"relu{i}"] = nn.ReLU()
        self.regressor = nn.Sequential(layers)
        raw = math.log(math.expm1(self.variance - self.eps))
        self.raw_variance = nn.Parameter(torch.full((width,), raw))
        self.to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(student, teacher)
        variance = (F.softplus(self.raw_variance) + self.eps)[:, None, None]
        errors = teacher - self.regressor(student)
        loss: Tensor = (variance.log() + errors.square() / variance).mean() / 2
        return loss
