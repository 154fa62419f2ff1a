"""Attention-based feature matching."""

import math
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import Width


class AFM(Loss):
    """Every map of the student may learn from every one of the teacher's; which does, a small attention network finds.

        q_t = query_t(mean of map t over positions),    k_s = relu(key_s(mean of map s over positions))
        a_ts = softmax over s of (q_t . (B_t k_s) + p_t . p_s) / sqrt(d)
        v = mean over channels of the map squared, flattened, of unit length, the student's pooled to the teacher's size
        L = sum over t, s of a_ts * mean over positions of (v_s - v_t)^2, mean over the batch

    Ji, Heo and Park, "Show, attend and distill: knowledge distillation via attention-based feature matching", AAAI
    2021, section 3: https://arxiv.org/abs/2102.02973. The authors call it AFD, as Wang et al. call theirs,
    which is `AFD` here. query, key and B are linear layers with batch norm. Gradients reach the student's maps through
    the attention, too. A map that is 0 everywhere stays 0.

    Knowledge: features. Trained parts: the attention.

    Usual weight: 200, beside cross-entropy and 0.9 of KD.

    Args:
        width: d, of queries and keys.

    Shapes: student a tuple of maps (N, C_s, H_s, W_s), teacher one of maps (N, C_t, H_t, W_t), as many as one likes of
    any channels and sizes; `build` needs a pair of them.

    >>> import torch
    >>> from potstill.losses import AFM
    >>> student = torch.randn(8, 16, 16, 16), torch.randn(8, 32, 8, 8), torch.randn(8, 64, 4, 4)
    >>> teacher = torch.randn(8, 64, 16, 16), torch.randn(8, 128, 8, 8)
    >>> loss = AFM(width=32)
    >>> loss.build(student, teacher)
    >>> loss.attention(student, teacher).shape, loss(student, teacher).shape
    (torch.Size([8, 2, 3]), torch.Size([]))
    """

    taps = (
        ("student.stage1", "student.stage2", "student.stage3"),
        ("teacher.stage1", "teacher.stage2", "teacher.stage3"),
    )

    @checked
    def __init__(self, width: Width = 128) -> None:
        super().__init__()
        self.width = width
        self.query, self.key = nn.ModuleList(), nn.ModuleList()

    def build(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> None:
        """Make the attention for maps of these channels."""
        self.query = nn.ModuleList(_layer(maps.shape[1], self.width) for maps in teacher)
        self.key = nn.ModuleList(_layer(maps.shape[1], self.width) for maps in student)
        self.bilinear = _layer(self.width, self.width * len(teacher))
        self.p_t, self.p_s = (nn.Parameter(torch.empty(len(maps), self.width)) for maps in (teacher, student))
        for position in (self.p_t, self.p_s):
            nn.init.xavier_normal_(position)
        self.to(student[0])

    def forward(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
        distances = torch.stack([torch.stack([_distance(s, t) for s in student], 1) for t in teacher], 1)
        loss: Tensor = (self.attention(student, teacher) * distances).sum(dim=(1, 2)).mean()
        return loss

    def attention(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
        """How much each of the teacher's maps looks at each of the student's, (N, teacher's maps, student's maps)."""
        queries, keys = (
            torch.stack([layer(part.mean(dim=(2, 3))) for layer, part in zip(layers, maps, strict=True)], dim=1)
            for layers, maps in ((self.query, teacher), (self.key, student))
        )
        # The keys of all maps are rows of one batch for the batch norm in B.
        seen = self.bilinear(keys.relu().flatten(0, 1)).view(*keys.shape[:2], len(teacher), self.width)
        logits = torch.einsum("nstd,ntd->nts", seen, queries) + self.p_t @ self.p_s.T
        return (logits / math.sqrt(self.width)).softmax(dim=2)


def _layer(width: int, out_width: int) -> nn.Sequential:
    return nn.Sequential(OrderedDict(linear=nn.Linear(width, out_width), bn=BatchNorm(out_width)))


def _distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Of one pair of maps, for each sample."""
    own, other = (maps.square().mean(dim=1, keepdim=True) for maps in (student, teacher))
    own = F.adaptive_avg_pool2d(own, (other.shape[2], other.shape[3]))
    return (unit_length(own.flatten(1)) - unit_length(other.flatten(1))).square().mean(dim=1)
