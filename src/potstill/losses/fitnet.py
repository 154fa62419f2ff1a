"""FitNets: hints from inside the teacher."""

from collections import OrderedDict
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller

LARGEST_KERNEL = 7


class FitNet(Loss):
    """A map inside the student, after a learned regressor, becomes the teacher's map: a hint on the way.

        L = mean of (r(a_s) - a_t)^2

    Romero et al., "FitNets: hints for thin deep nets", ICLR 2015, eq. 3 (a sum there): https://arxiv.org/abs/1412.6550.
    The regressor r is a convolution, batch norm and ReLU, made for the two maps' sizes: 1x1 for equal sizes, 3x3 of
    stride 2 where the student's map is twice the teacher's, a transposed 4x4 of stride 2 where it is half, and
    otherwise a convolution without padding that leaves the teacher's size, as RepDistiller has it. Where its kernel
    would be larger than 7x7 and where the student's map is the smaller one, adaptive average pooling to the teacher's
    size and a 1x1 convolution take its place. Without a regressor (equal shapes) this is the plain difference, as in
    the Knowledge-Distillation-Zoo.

    Knowledge: features. Trained parts: a regressor, by default if the shapes differ.

    Usual weight: 100, beside 1 of cross-entropy.

    Args:
        regressor: whether to learn one; by default, only if the shapes of the maps differ.
        relu: whether the regressor ends in one; mdistiller and SimKD have it, RepDistiller's option has not.
        pool: which map is pooled where the student's is the smaller one, and not half: the "student"'s as above, or the
            "teacher"'s to the student's size, after which a 3x3 convolution follows, as in SimKD's and SemCKD's code.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them.

    >>> import torch
    >>> from potstill.losses import FitNet
    >>> student, teacher = torch.randn(8, 32, 16, 16), torch.randn(8, 64, 8, 8)
    >>> loss = FitNet()
    >>> loss.build(student, teacher)
    >>> loss.regressor.conv
    Conv2d(32, 64, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    >>> FitNet()(torch.zeros(8, 64, 8, 8), torch.ones(8, 64, 8, 8))  # of equal shapes, without a regressor
    tensor(1.)
    """

    taps = ("student.stages", "teacher.stages")

    @checked
    def __init__(
        self, regressor: bool | None = None, relu: bool = True, pool: Literal["student", "teacher"] = "student"
    ) -> None:
        super().__init__()
        self.wanted, self.relu, self.pool = regressor, relu, pool
        self.pools_teacher = False  # known once it has seen maps
        self.regressor: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the regressor for maps of these shapes."""
        if self.wanted or (self.wanted is None and student.shape != teacher.shape):
            self.pools_teacher = self.pool == "teacher" and _smaller_and_not_half(student, teacher)
            convolution = (
                nn.Conv2d(student.shape[1], teacher.shape[1], 3, padding=1)
                if self.pools_teacher
                else _convolution(student, teacher)
            )
            layers: OrderedDict[str, nn.Module] = OrderedDict(conv=convolution, bn=BatchNorm(teacher.shape[1]))
            if self.relu:
                layers["relu"] = nn.ReLU()
            self.regressor = nn.Sequential(layers).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        if self.pools_teacher:
            student, teacher = pool_to_smaller(student, teacher)
        return F.mse_loss(self.regressor(student), teacher)


def _smaller_and_not_half(student: Tensor, teacher: Tensor) -> bool:
    sides = list(zip(student.shape[2:], teacher.shape[2:], strict=True))
    return any(own < other for own, other in sides) and any(2 * own != other for own, other in sides)


def _convolution(student: Tensor, teacher: Tensor) -> nn.Module:
    (_, channels, height, width), (_, out_channels, *size) = student.shape, teacher.shape
    if [height, width] == [2 * side for side in size]:
        return nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)
    if [2 * height, 2 * width] == size:
        return nn.ConvTranspose2d(channels, out_channels, 4, stride=2, padding=1)
    kernel = (height - size[0] + 1, width - size[1] + 1)
    if all(1 <= side <= LARGEST_KERNEL for side in kernel):
        return nn.Conv2d(channels, out_channels, kernel)
    return nn.Sequential(nn.AdaptiveAvgPool2d((size[0], size[1])), nn.Conv2d(channels, out_channels, 1))
