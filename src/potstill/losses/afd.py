"""Attentive feature distillation."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import make_connector
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Epsilon, Multiple


class AFD(Loss):
    """The student copies the teacher's channels, and those most that a small network on the teacher's map chooses.

        p = sigmoid(expand(relu(reduce(mean of t over positions)))),    w = p / sum of p over channels
        u(a) = a / (||a|| + eps), channel by channel
        L = sum over channels of w * (mean over positions of (u(s) - u(t))^2), mean over the batch

    Wang, Gao, Zhao, Li, Dou and Xu, "Pay attention to features, transfer learn faster CNNs", ICLR 2020, section 3.2:
    https://openreview.net/forum?id=ryxyCeHtPB. The form above, each channel scaled to unit length over its positions,
    is the Knowledge-Distillation-Zoo's (weight 500).

    Knowledge: features. Trained parts: the attention, and a connector if the channels differ.

    Usual weight: 167 on each of three stages, beside 1 of cross-entropy.

    Args:
        squeeze: channels between reduce and expand, as a fraction of the teacher's.
        eps: guards the division for channels that are 0 everywhere.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Where the original needs equal
    shapes, other channels get a connector here, a 1x1 convolution and batch norm on the student's map, and of two sizes
    the larger map is average-pooled to the smaller.

    >>> import torch
    >>> from potstill.losses import AFD
    >>> student, teacher = torch.randn(8, 32, 16, 16), torch.randn(8, 64, 8, 8)
    >>> loss = AFD()
    >>> loss.build(student, teacher)
    >>> loss.connector.conv
    Conv2d(32, 64, kernel_size=(1, 1), stride=(1, 1), bias=False)
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = ("student.stages", "teacher.stages")

    @checked
    def __init__(self, squeeze: Multiple = 1.0, eps: Epsilon = 1e-6) -> None:
        super().__init__()
        self.squeeze = squeeze
        self.eps = eps
        self.connector: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the attention, and a connector if need be, for maps of these shapes."""
        width = teacher.shape[1]
        middle = max(1, int(width * self.squeeze))
        reduce, expand = nn.Conv2d(width, middle, 1), nn.Conv2d(middle, width, 1)
        self.attention = nn.Sequential(OrderedDict(reduce=reduce, relu=nn.ReLU(), expand=expand, sigmoid=nn.Sigmoid()))
        if student.shape[1] != width:
            self.connector = make_connector(student.shape[1], width)
        self.to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        chances = self.attention(F.adaptive_avg_pool2d(teacher, 1)).flatten(1)
        # The sum can only be 0 if every sigmoid underflows.
        weights = chances / chances.sum(dim=1, keepdim=True).clamp(min=self.eps)
        student, teacher = pool_to_smaller(student, teacher)
        student = self._unit(self.connector(student))
        distances = (student - self._unit(teacher)).square().mean(dim=2)
        loss: Tensor = (weights * distances).sum(dim=1).mean()
        return loss

    def _unit(self, maps: Tensor) -> Tensor:
        channels = maps.flatten(2)
        lengths: Tensor = channels.norm(dim=2, keepdim=True)
        return channels / (lengths + self.eps)
