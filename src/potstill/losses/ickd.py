"""Inter-channel correlation for knowledge distillation."""

from collections import OrderedDict
from typing import Literal

from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length


class ICKD(Loss):
    """Channels that answer alike in the teacher do so in the student: their inner products agree.

        G(a)[c, d] = sum over positions of a[c] * a[d], each row divided by its length
        L = sum of (G(connector(s)) - G(t))^2 / C', mean over the batch

    Liu et al., "Exploring inter-channel correlation for diversity-preserved knowledge distillation", ICCV 2021:
    https://arxiv.org/abs/2202.03680. The authors have a 1x1 connector and this division for CIFAR (weight 2.5); for
    ImageNet a 3x3 connector, and the sum divided by the batch's size twice, as torchdistill has it. A second connector
    of theirs, which nothing trains, is left out.

    Knowledge: features. Trained parts: a connector.

    Usual weight: 2.5, beside 1 of cross-entropy.

    Args:
        kernel: of the connector's convolution, which batch norm follows.
        reduction: "batchmean", as above, or "batchmean / batch", which divides by the batch's size once more.

    Shapes: student (N, C, H, W), teacher (N, C', H', W') of any sizes; `build` needs a pair of them.

    >>> import torch
    >>> from potstill.losses import ICKD
    >>> student, teacher = torch.randn(8, 32, 8, 8), torch.randn(8, 64, 4, 4)
    >>> loss = ICKD()
    >>> loss.build(student, teacher)
    >>> loss.connector.conv, loss(student, teacher).shape
    (Conv2d(32, 64, kernel_size=(1, 1), stride=(1, 1), bias=False), torch.Size([]))
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(
        self, kernel: Literal[1, 3] = 1, reduction: Literal["batchmean", "batchmean / batch"] = "batchmean"
    ) -> None:
        super().__init__()
        self.kernel = kernel
        self.reduction = reduction
        self.whole_batch = reduction != "batchmean"  # the divisor is the batch's
        self.connector: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the connector for maps of these shapes."""
        width = teacher.shape[1]
        convolution = nn.Conv2d(student.shape[1], width, self.kernel, padding=self.kernel // 2, bias=False)
        self.connector = nn.Sequential(OrderedDict(conv=convolution, bn=BatchNorm(width))).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        squares = (_correlations(self.connector(student)) - _correlations(teacher)).square()
        loss = squares.mean(dim=1).sum() / len(squares)
        return loss if self.reduction == "batchmean" else loss / len(squares)


def _correlations(maps: Tensor) -> Tensor:
    flat = maps.flatten(2)
    return unit_length(flat @ flat.transpose(1, 2))
