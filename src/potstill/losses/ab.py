"""Distillation of activation boundaries."""

from typing import Literal

from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import make_connector
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Positive


class AB(Loss):
    """The student's neurons fire where the teacher's do, with a margin to spare; how strongly does not matter.

        (s + m)^2   where t <= 0 and s > -m:   it should be silent
        (s - m)^2   where t > 0 and s <= m:    it should fire
        0           elsewhere;                 L = the mean over all elements

    Heo, Lee, Yun and Choi, "Knowledge transfer via distillation of activation boundaries formed by hidden neurons",
    AAAI 2019, section 3: https://arxiv.org/abs/1811.03233. s and t are maps before the activation function. The paper
    has a sum; the mean is the Knowledge-Distillation-Zoo's, which averages the stages and weighs them with 10.
    RepDistiller has margin=1, reduction="batchmean", and weighs stage i of n, counted from 0, with
    0.003 * 2^(i - n + 1). Its authors train with this loss alone before they train the classifier.

    Knowledge: features. Trained parts: a connector, if the channels differ.

    Usual weight: 3.3 on each of three stages, alone, before training with cross-entropy.

    Args:
        margin: m, how far from 0 the student's neuron is pushed.
        reduction: "mean" over all elements, or "batchmean": their sum divided by the size of the batch.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'). If the channels differ, `build` makes a connector for the
    student's map: a 1x1 convolution and batch norm. Of two sizes, the larger map is average-pooled to the smaller
    first, which the paper leaves open.

    >>> import torch
    >>> from potstill.losses import AB
    >>> teacher = torch.randn(8, 64, 16, 16)
    >>> AB(margin=2)(2 * teacher.sign(), teacher)  # fires where the teacher does, by the margin
    tensor(0.)
    >>> AB(margin=2)(-2 * teacher.sign(), teacher)  # nowhere
    tensor(16.)
    """

    taps = ("student.stages:pre", "teacher.stages:pre")

    @checked
    def __init__(self, margin: Positive = 2.0, reduction: Literal["mean", "batchmean"] = "mean") -> None:
        super().__init__()
        self.margin = margin
        self.reduction = reduction
        self.connector: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the connector for maps of these shapes."""
        if student.shape[1] != teacher.shape[1]:
            self.connector = make_connector(student.shape[1], teacher.shape[1]).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(student, teacher)
        student = self.connector(student)
        too_high = (student + self.margin).square() * ((student > -self.margin) & (teacher <= 0))
        too_low = (student - self.margin).square() * ((student <= self.margin) & (teacher > 0))
        losses = too_high + too_low
        return losses.mean() if self.reduction == "mean" else losses.sum() / len(losses)
