"""Masked generative distillation."""

from collections import OrderedDict
from typing import Literal

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import make_align
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Fraction


def make_generator(channels: int) -> nn.Sequential:
    """Two 3x3 convolutions with a ReLU between: a map from a masked one."""
    first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
    return nn.Sequential(OrderedDict(conv1=first, relu=nn.ReLU(), conv2=second))


class MGD(Loss):
    """From a part of the student's map, the rest being masked, a generator makes the teacher's whole map.

        m = 0 where u < ratio, 1 elsewhere, u uniform
        L = sum of (generator(m * align(s)) - t)^2, mean over the batch

    Yang, Li, Shao, Shi, Yuan and Yuan, "Masked generative distillation", ECCV 2022: https://arxiv.org/abs/2205.01529.
    The mask falls on whole channels in the authors' code for classification (ratio 0.15, weight 7e-5 for 512 x 7 x 7),
    on positions for detection and segmentation (0.65 and 0.75, weight 2e-5 in mmrazor). It is a sum over the map, so a
    good weight depends on its size. What is left is not scaled up. The masks are drawn from torch's generator, by
    several processes each for its own images.

    Knowledge: features. Trained parts: a generator, and a 1x1 convolution if the channels differ.

    Usual weight: 7e-5, beside 1 of cross-entropy.

    Args:
        ratio: the part that is masked, in the mean.
        over: whether a draw is for a sample's "channels" or for its "positions".

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger map is
    average-pooled to the smaller first, where the originals need equal ones.

    >>> import torch
    >>> from potstill.losses import MGD
    >>> student, teacher = torch.randn(8, 32, 4, 4), torch.randn(8, 64, 4, 4)
    >>> loss = MGD()
    >>> loss.build(student, teacher)
    >>> loss.draw(teacher).shape, loss(student, teacher).shape
    (torch.Size([8, 64, 1, 1]), torch.Size([]))
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(self, ratio: Fraction = 0.15, over: Literal["channels", "positions"] = "channels") -> None:
        super().__init__()
        self.ratio = ratio
        self.over = over

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the generator, and the convolution if need be, for maps of these shapes."""
        self.align = make_align(student.shape[1], teacher.shape[1])
        self.generator = make_generator(teacher.shape[1])
        self.to(student)

    def draw(self, maps: Tensor) -> Tensor:
        """u for maps (N, C, H, W): (N, C, 1, 1) or (N, 1, H, W)."""
        rows, channels, *size = maps.shape
        shape = (rows, channels, 1, 1) if self.over == "channels" else (rows, 1, *size)
        return torch.rand(shape, dtype=maps.dtype, device=maps.device)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(self.align(student), teacher)
        made = self.generator(student * (self.draw(student) >= self.ratio))
        loss: Tensor = (made - teacher).square().sum() / len(teacher)
        return loss
