"""Distillation by the Pearson correlation of maps."""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import make_align
from potstill.losses.loss import Loss
from potstill.ranges import Epsilon


class PKD(Loss):
    """Each channel of the student rises and falls with the teacher's, whatever the scale and the level of either.

        u(a) = (a - mean) / (std + eps), of a channel over batch and positions;    L = mean of (u(s) - u(t))^2 / 2

    Cao, Zhang, Gao, Cheng, Cheng and Zhang, "PKD: general distillation framework for object detectors via Pearson
    correlation coefficient", NeurIPS 2022: https://arxiv.org/abs/2207.02039. That is 1 - r, r the Pearson correlation,
    but for the unbiased deviation. In mmrazor's code a channel that is constant in the student gets a gradient of
    1/eps, here none: a channel whose deviation is below eps counts as 0.

    Knowledge: features. Trained parts: a 1x1 convolution, if the channels differ.

    Args:
        resize: which map is resized, bilinearly, to the other's size.
        eps: guards the division.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. The original needs equal
    channels.

    >>> import torch
    >>> from potstill.losses import PKD
    >>> student = torch.randn(8, 32, 4, 4)
    >>> PKD()(student, 3 * student + 7) < 1e-9
    tensor(True)
    """

    whole_batch = True
    taps = ("student.stages", "teacher.stages")

    @checked
    def __init__(self, resize: Literal["student", "teacher"] = "student", eps: Epsilon = 1e-6) -> None:
        super().__init__()
        self.resize = resize
        self.eps = eps
        self.align: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the convolution, if need be, for maps of these shapes."""
        self.align = make_align(student.shape[1], teacher.shape[1]).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student = self.align(student)
        if student.shape[2:] != teacher.shape[2:]:
            if self.resize == "student":
                student = F.interpolate(student, teacher.shape[2:], mode="bilinear")
            else:
                teacher = F.interpolate(teacher, student.shape[2:], mode="bilinear")
        return F.mse_loss(self._standardised(student), self._standardised(teacher)) / 2

    def _standardised(self, maps: Tensor) -> Tensor:
        away = maps - maps.mean(dim=(0, 2, 3), keepdim=True)
        count = maps.numel() // maps.shape[1]
        variance = away.square().sum(dim=(0, 2, 3), keepdim=True) / max(1, count - 1)
        constant = variance <= self.eps**2
        # The square root of 0 has no slope, and nan times 0 is nan: so it is taken of 1 there.
        deviation = variance.masked_fill(constant, 1).sqrt()
        return (away / (deviation + self.eps)).masked_fill(constant, 0)
