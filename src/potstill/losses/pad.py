"""Prime-aware adaptive distillation."""

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import with_positions
from potstill.ranges import Epsilon


class PAD(Loss):
    """The student's features become the teacher's, and it says how unsure it is: uncertain samples count less.

        v = bn(linear(s));    L = mean of (t - s)^2 / (eps + exp(v)) + v

    Zhang et al., "Prime-aware adaptive distillation", ECCV 2020: https://arxiv.org/abs/2008.01458. As in torchdistill:
    twice a normal log likelihood, v being the logarithm of the variance, which has no lower bound; and the gradient
    reaches the student through v as well. The authors first train with the plain mean of (t - s)^2, then with this.

    Knowledge: features. Trained parts: the variance, and a linear layer if the features' numbers differ.

    Args:
        eps: guards the division.

    Shapes: student (N, C), teacher (N, C'); `build` needs a pair of them. The original needs equal numbers of features;
    a linear layer leads from the student's to the teacher's here.

    >>> import torch
    >>> from potstill.losses import PAD
    >>> student, teacher = torch.randn(8, 64), torch.randn(8, 64)
    >>> loss = PAD()
    >>> loss.build(student, teacher)
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(self, eps: Epsilon = 1e-6) -> None:
        super().__init__()
        self.eps = eps

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the variance, and the linear layer if need be, for features of these shapes."""
        own, width = student.shape[1], teacher.shape[1]
        self.align = nn.Identity() if own == width else nn.Linear(own, width)
        self.variance = nn.ModuleDict(OrderedDict(linear=nn.Linear(width, width), bn=BatchNorm(width)))
        self.to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student = self.align(student)
        log_variance = self.variance["bn"](with_positions(self.variance["linear"](student))).flatten(1)
        # In logarithms nothing overflows.
        guarded = torch.logaddexp(log_variance, log_variance.new_full((), math.log(self.eps)))
        loss: Tensor = ((teacher - student).square() * torch.exp(-guarded) + log_variance).mean()
        return loss
