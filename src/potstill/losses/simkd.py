"""The teacher's classifier reused: the student learns the map in front of it."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import Count


def make_transfer(channels: int, out_channels: int, factor: int) -> nn.Sequential:
    """Convolutions 1x1, 3x3 and 1x1 from ``channels`` to ``out_channels``, each with batch norm and ReLU.

    Between them there are ``out_channels // factor`` channels.
    """
    middle = max(1, out_channels // factor)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i, (width, out_width, kernel) in enumerate(
        ((channels, middle, 1), (middle, middle, 3), (middle, out_channels, 1)), start=1
    ):
        layers[f"conv{i}"] = nn.Conv2d(width, out_width, kernel, padding=kernel // 2, bias=False)
        layers[f"bn{i}"] = BatchNorm(out_width)
        layers[f"relu{i}"] = nn.ReLU()
    return nn.Sequential(layers)


class SimKD(Loss):
    """The student's last map becomes the teacher's, so that the teacher's own classifier can read it.

        L = mean of (transfer(s) - t)^2

    Chen, Mei, Zhang, Wang, Feng and Chen, "Knowledge distillation with the reused teacher classifier", CVPR 2022:
    https://arxiv.org/abs/2203.14001. The loss stands alone, without labels and without KD. The student of the paper is
    its backbone, the transfer and the teacher's classifier: in its own classifier nothing is learned. The transfer ends
    in a ReLU, so the teacher's map must be one after its ReLU.

    Such a student is a graft, ``--student "STUDENT^2^RUN@stage3" --freeze scion``, whose bridge is the transfer:
    ``SimKD(transfer=False) on bridge=stage3``. It is exported whole.

    Knowledge: features. Trained parts: the transfer, which stays in the student.

    Usual weight: 1, alone.

    Args:
        factor: how many times fewer channels than the teacher's map the transfer has inside; 2, 4 or 8 in the paper.
        transfer: whether it is made here; otherwise the student's map has come through one in the student, whose map is
            pooled after it then, and not before.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'), the maps that are pooled before the classifier; `build` needs
    a pair of them. Of two sizes, the larger map is average-pooled to the smaller along each axis, where the authors'
    code compares heights, and fails on maps that are not square.

    >>> import torch
    >>> from potstill.losses import SimKD
    >>> student, teacher = torch.randn(8, 32, 8, 8), torch.rand(8, 64, 8, 8)
    >>> loss = SimKD(factor=4)
    >>> loss.build(student, teacher)
    >>> loss.transfer.conv2
    Conv2d(16, 16, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(self, factor: Count = 2, transfer: bool = True) -> None:
        super().__init__()
        self.factor, self.made_here = factor, transfer
        self.transfer: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the transfer for maps of these shapes."""
        if self.made_here:
            self.transfer = make_transfer(student.shape[1], teacher.shape[1], self.factor).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = pool_to_smaller(student, teacher)
        return F.mse_loss(self.transfer(student), teacher)
