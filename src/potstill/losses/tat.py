"""The target-aware transformer."""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Count


class TaT(Loss):
    """Every position of the student helps to make each of the teacher's: attention says which, and how much.

        q = query(s),  v = value(s),  k = t;    o[i] = sum over j of softmax over j of (q[i] . k[j]) v[j]
        L = mean of (o - t)^2

    Lin et al., "Knowledge distillation via the target-aware transformer", CVPR 2022: https://arxiv.org/abs/2205.10793.
    query and value are 3x3 convolutions with batch norm. As in the authors' code, the teacher's map is the key itself,
    and products are not divided by the root of the width, so that the softmax is nearly one choice where there are many
    channels. Weight 0.2 for ImageNet.

    Knowledge: features. Trained parts: query and value.

    Usual weight: 0.2, beside 1 of cross-entropy.

    Args:
        heads: groups of consecutive channels, each with an attention of its own.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger map is
    average-pooled to the smaller first, where the original needs equal ones.

    Raises:
        BadInput: heads do not divide the teacher's channels.

    >>> import torch
    >>> from potstill.losses import TaT
    >>> student, teacher = torch.randn(8, 32, 4, 4), torch.randn(8, 64, 4, 4)
    >>> loss = TaT()
    >>> loss.build(student, teacher)
    >>> loss.query.conv, loss(student, teacher).shape
    (Conv2d(32, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False), torch.Size([]))
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(self, heads: Count = 1) -> None:
        super().__init__()
        self.heads = heads

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make query and value for maps of these shapes."""
        channels, width = student.shape[1], teacher.shape[1]
        if width % self.heads:
            raise BadInput(f"TaT: heads={self.heads} do not divide the teacher's {width} channels")
        self.query, self.value = (
            nn.Sequential(OrderedDict(conv=nn.Conv2d(channels, width, 3, padding=1, bias=False), bn=BatchNorm(width)))
            for _ in range(2)
        )
        self.to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(student, teacher)
        query, key, value = (self._split(maps) for maps in (self.query(student), teacher, self.value(student)))
        attention = torch.softmax(query.transpose(2, 3) @ key, dim=3)
        made = value @ attention.transpose(2, 3)
        return F.mse_loss(made, self._split(teacher))

    def _split(self, maps: Tensor) -> Tensor:
        """The maps by head, (N, heads, C / heads, positions)."""
        rows, channels, *size = maps.shape
        return maps.reshape(rows, self.heads, channels // self.heads, size[0] * size[1])
