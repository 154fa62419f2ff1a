"""The overhaul of feature distillation: margin ReLU and partial distance."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import make_connector
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Epsilon, Number


def bn_margin(weight: Tensor, bias: Tensor) -> Tensor:
    """The mean of the negative values that a batch norm of this weight and bias (C,) gives, (C,): eq. 3 of OFD.

    Its outputs are taken as normal. Where fewer than 1 in 1000 are negative it is -3 |weight|, as in its authors' code.
    """
    # On the CPU in float64, since the two parts of the mean nearly cancel where few values are negative.
    spread, center = weight.detach().cpu().double().abs(), bias.detach().cpu().double()
    ratio = center / spread.clamp(min=torch.finfo(torch.float64).tiny)
    negative = torch.special.ndtr(-ratio)
    density = torch.exp(-ratio.square() / 2) / math.sqrt(2 * math.pi)
    mean = center - spread * density / negative.clamp(min=0.001)
    return torch.where(negative > 0.001, mean, -3 * spread).to(weight)


@checked
def batch_margin(maps: Tensor, eps: Epsilon = 1e-6) -> Tensor:
    """The mean of each channel's negative values in maps (N, C, H, W), as (1, C, 1, 1); 0 without any."""
    negative = maps < 0
    counts = negative.sum(dim=(0, 2, 3), keepdim=True)
    return (maps * negative).sum(dim=(0, 2, 3), keepdim=True) / (counts + eps)


class OFD(Loss):
    """The student copies the teacher's map, but may be as silent as it likes where the teacher is silent anyway.

        t' = max(t, m),    s' = connector(s),    L = mean of (s' - t')^2, left out where s' <= t' <= 0

    Heo, Kim, Yun, Park, Kwak and Choi, "A comprehensive overhaul of feature distillation", ICCV 2019, section 3:
    https://arxiv.org/abs/1904.01866. s and t are maps before the ReLU, m is a negative margin per channel. The paper
    has a sum; the mean, and a margin taken from the batch, are the Knowledge-Distillation-Zoo's (weight 0.5). In the
    authors' code the margin is `bn_margin` of the teacher's batch norm before the ReLU, the reduction "batchmean",
    and the last stage has weight 0.001 (1e-4 for ImageNet), each earlier one half of the next.

    Knowledge: features. Trained parts: a connector.

    Usual weight: 0.17 on each of three stages, beside 1 of cross-entropy.

    Args:
        margin: m of every channel, (C',), for example from `bn_margin`; by default, the mean of the channel's negative
            values in this batch of the teacher.
        reduction: "mean" over all elements, or "batchmean": their sum divided by the size of the batch.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger map is
    average-pooled to the smaller first, which the paper leaves open.

    >>> import torch
    >>> from potstill.losses.ofd import OFD, bn_margin
    >>> student, teacher = torch.randn(8, 32, 16, 16), torch.randn(8, 64, 8, 8)
    >>> loss = OFD(margin=bn_margin(torch.ones(64), torch.zeros(64)))  # weight and bias of a fresh batch norm
    >>> loss.build(student, teacher)
    >>> loss.margin[0, 0, 0, 0], loss(student, teacher).shape
    (tensor(-0.7979), torch.Size([]))
    """

    taps = ("student.stages:pre", "teacher.stages:pre")
    margin: Tensor | None

    @checked
    def __init__(
        self, margin: Tensor | Sequence[Number] | None = None, reduction: Literal["mean", "batchmean"] = "mean"
    ) -> None:
        super().__init__()
        given = None if margin is None else torch.as_tensor(margin).detach().reshape(1, -1, 1, 1)
        self.register_buffer("margin", given)
        self.reduction = reduction
        self.whole_batch = margin is None  # which is then the batch's
        self.connector: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the connector for maps of these shapes."""
        self.connector = make_connector(student.shape[1], teacher.shape[1])
        self.to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(student, teacher)
        student = self.connector(student)
        teacher = torch.maximum(teacher, batch_margin(teacher) if self.margin is None else self.margin)
        counts = (student > teacher) | (teacher > 0)
        losses = (student - teacher).square() * counts
        return losses.mean() if self.reduction == "mean" else losses.sum() / len(losses)
