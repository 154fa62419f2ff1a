"""Wasserstein distance of features taken as normal."""

from collections import OrderedDict
from collections.abc import Iterator
from itertools import product
from typing import Annotated

from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Epsilon, NotNegative, Range, Width


class WKDF(Loss):
    """Seen as normal distributions over the positions of a cell, the student's features move to the teacher's.

        W = ratio * sum over channels of (mean_s - mean_t)^2 + sum over channels of (std_s - std_t)^2
        L = mean of W over the batch and the cells of a grid

    Lv, Yang and Li, "Wasserstein distance rivals Kullback-Leibler divergence for knowledge distillation", NeurIPS 2024,
    called WKD-F there: https://arxiv.org/abs/2412.08139. s is the student's map after a projector, std the square root
    of the unbiased variance + eps. The authors' weights are 0.08 (ratio 4, one cell), which a cosine lowers from epoch
    150 of 240 on. Of a cell of one position their variance is nan; here it is 0.

    Knowledge: features. Trained parts: a projector.

    Usual weight: 0.08, beside 1 of cross-entropy.

    Args:
        ratio: what means weigh beside deviations.
        grid: cells along each side; they overlap where it does not divide the side, as in adaptive pooling.
        bottleneck: channels between the three convolutions (1x1, 3x3, 1x1, with nothing between) of the authors'
            projector for ImageNet, 256 there; by default it is one 1x1 convolution. Batch norm and ReLU follow.
        eps: keeps the slope of the square root finite.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'); `build` needs a pair of them. Of two sizes, the larger map is
    average-pooled to the smaller first.

    >>> import torch
    >>> from potstill.losses import WKDF
    >>> student, teacher = torch.randn(8, 32, 8, 8), torch.randn(8, 64, 8, 8)
    >>> loss = WKDF(grid=2)
    >>> loss.build(student, teacher)
    >>> loss.projector.conv, loss(student, teacher).shape
    (Conv2d(32, 64, kernel_size=(1, 1), stride=(1, 1)), torch.Size([]))
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(
        self,
        ratio: NotNegative = 4.0,
        grid: Annotated[int, Range(1, 16)] = 1,
        bottleneck: Width | None = None,
        eps: Epsilon = 1e-5,
    ) -> None:
        super().__init__()
        self.ratio, self.grid, self.bottleneck, self.eps = ratio, grid, bottleneck, eps
        self.projector: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the projector for maps of these shapes."""
        channels, width, middle = student.shape[1], teacher.shape[1], self.bottleneck
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if middle is None:
            layers["conv"] = nn.Conv2d(channels, width, 1)
        else:
            layers["conv1"] = nn.Conv2d(channels, middle, 1)
            layers["conv2"] = nn.Conv2d(middle, middle, 3, padding=1)
            layers["conv3"] = nn.Conv2d(middle, width, 1)
        self.projector = nn.Sequential(layers | OrderedDict(bn=BatchNorm(width), relu=nn.ReLU())).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(student, teacher)
        loss = student.new_zeros(())
        for own, target in zip(cells(self.projector(student), self.grid), cells(teacher, self.grid), strict=True):
            means = (own.mean(dim=2) - target.mean(dim=2)).square()
            deviations = (self._deviation(own) - self._deviation(target)).square()
            loss = loss + (self.ratio * means + deviations).sum()
        return loss / (len(student) * self.grid**2)

    def _deviation(self, cell: Tensor) -> Tensor:
        return (cell.var(dim=2, correction=min(1, cell.shape[2] - 1)) + self.eps).sqrt()


def cells(maps: Tensor, grid: int) -> Iterator[Tensor]:
    """The cells (N, C, positions) of maps (N, C, H, W), of which ``grid`` are along each side."""
    rows, columns = ([(i * side // grid, -(-(i + 1) * side // grid)) for i in range(grid)] for side in maps.shape[2:])
    for (top, bottom), (left, right) in product(rows, columns):
        yield maps[:, :, top:bottom, left:right].flatten(2)
