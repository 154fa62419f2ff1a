"""Distillation by knowledge review."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import with_positions
from potstill.ranges import Width


class ReviewKD(Loss):
    """The student's deeper maps, fused with each earlier one, learn the teacher's earlier maps: it reviews old lessons.

        f_n = fuse_n(s_n),    f_i = fuse_i(s_i, f_(i+1));    L = sum over i of HCL(f_i, t_i)

    Chen, Liu, Zhao and Jia, "Distilling knowledge via knowledge review", CVPR 2021, section 3:
    https://arxiv.org/abs/2104.09044. fuse is `Fusion`, HCL `hierarchical_loss`. In the authors' code, for CIFAR, the
    maps are those before the stages' last ReLUs and the pooled features; the weight grows from 0 over 20 epochs.

    Knowledge: features. Trained parts: a fusion for each map.

    Usual weight: warmup(5, 20), beside 1 of cross-entropy.

    Args:
        channels: between the two convolutions of a fusion; by default those of the student's last map, as there, where
            512 are the most.

    Shapes: student and teacher tuples of as many maps (N, C_i, H_i, W_i) or features (N, C_i), from early to late, of
    any channels and sizes; `build` needs a pair of them. Fused maps are resized to the teacher's by nearest neighbours.

    Raises:
        BadInput: student and teacher give different numbers of maps.

    >>> import torch
    >>> from potstill.losses import ReviewKD
    >>> shapes = (32, 16, 16), (64, 8, 8), (64,)
    >>> student = tuple(torch.randn(8, *shape) for shape in shapes)
    >>> teacher = tuple(torch.randn(8, 2 * channels, *size) for channels, *size in shapes)
    >>> loss = ReviewKD()
    >>> loss.build(student, teacher)
    >>> len(loss.fusions), loss(student, teacher).shape
    (3, torch.Size([]))
    """

    taps = (
        ("student.stage1:pre", "student.stage2:pre", "student.stage3:pre", "student.pooled"),
        ("teacher.stage1:pre", "teacher.stage2:pre", "teacher.stage3:pre", "teacher.pooled"),
    )

    @checked
    def __init__(self, channels: Width | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.fusions = nn.ModuleList()

    def build(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> None:
        """Make one fusion for each pair of maps."""
        if len(student) != len(teacher):
            raise BadInput(f"ReviewKD: {len(student)} maps of the student and {len(teacher)} of the teacher; pair them")
        middle = self.channels or student[-1].shape[1]
        last = len(student) - 1
        self.fusions = nn.ModuleList(
            Fusion(s.shape[1], middle, t.shape[1], two=i < last)
            for i, (s, t) in enumerate(zip(student, teacher, strict=True))
        ).to(student[0])

    def forward(self, student: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
        loss, deeper = student[0].new_zeros(()), None
        for fusion, own, target in zip(reversed(self.fusions), reversed(student), reversed(teacher), strict=True):
            own, target = with_positions(own), with_positions(target)
            fused, deeper = fusion(own, deeper, target.shape[2:])
            loss = loss + hierarchical_loss(fused, target)
        return loss


class Fusion(nn.Module):
    """Attention based fusion: a student's map and what comes from deeper in, each weighed at every position.

    Args:
        channels: of the student's map.
        middle: of what goes on to the next fusion.
        out_channels: of the teacher's map.
        two: whether something comes from deeper in.
    """

    def __init__(self, channels: int, middle: int, out_channels: int, two: bool) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(channels, middle, 1, bias=False), BatchNorm(middle))
        self.leave = nn.Sequential(nn.Conv2d(middle, out_channels, 3, padding=1, bias=False), BatchNorm(out_channels))
        self.weigh = nn.Sequential(nn.Conv2d(2 * middle, 2, 1), nn.Sigmoid()) if two else None
        for convolution in (self.enter[0], self.leave[0]):
            assert isinstance(convolution, nn.Conv2d)
            nn.init.kaiming_uniform_(convolution.weight, a=1)

    def forward(self, own: Tensor, deeper: Tensor | None, size: torch.Size) -> tuple[Tensor, Tensor]:
        """The map to compare with the teacher's, of that ``size``, and the one that goes on to the next fusion."""
        own = self.enter(own)
        if self.weigh is not None and deeper is not None:
            deeper = F.interpolate(deeper, own.shape[2:])
            weights = self.weigh(torch.cat([own, deeper], dim=1))
            own = own * weights[:, :1] + deeper * weights[:, 1:]
        if own.shape[2:] != size:
            own = F.interpolate(own, size)
        return self.leave(own), own


def hierarchical_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Hierarchical context loss: the squared difference of two maps (N, C, H, W), and of coarser versions of them.

        mean of (s - t)^2, and after average-pooling to 4x4, 2x2, 1x1 with weights 1/2, 1/4, 1/8; divided by the weights

    Levels that are not smaller than the map are left out: than its shorter side, where the authors' code looks at the
    height only. Shapes: of two maps, equal.
    """
    difference = student - teacher
    loss, weight, total = difference.square().mean(), 1.0, 1.0
    for level in (4, 2, 1):
        if level < min(student.shape[2:]):
            weight /= 2
            # Pooling is linear: it can be done to the difference.
            loss = loss + weight * F.adaptive_avg_pool2d(difference, level).square().mean()
            total += weight
    return loss / total
