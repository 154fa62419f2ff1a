"""Function-consistent feature distillation: the part that compares features."""

from collections import OrderedDict

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss

Maps = tuple[Tensor, ...]


class FCFD(Loss):
    """The student's map of every stage, over a bridge, becomes the teacher's, and so do the features of the last one.

        b_i = bridge_i(s_i);    p(a) = mean over positions of relu(a)
        L = sum over stages of mean of (b_i - t_i)^2, + mean of (p(b_n) - p(t_n))^2

    Liu, Kan, Shan and Chen, "Function-consistent feature distillation", ICLR 2023:
    https://openreview.net/forum?id=pgHNOcxEdRI. This is the appearance term of the method, of maps before their ReLUs;
    the authors' code gives it the weight 5, growing over 20 epochs. Its function term is `KD` (temperature 4, weight 1)
    of the student's logits, and of the logits of mixed paths: the first stages of one network, a bridge, the last
    stages of the other. The recipe ``mixed-paths`` has both.

    Knowledge: features. Trained parts: a bridge for each map.

    Usual weight: warmup(5, 20), beside 1 of cross-entropy and 1 of KD.

    A bridge is a 3x3 convolution and batch norm, of stride 2 where the student's map is twice the teacher's; a
    transposed 4x4 convolution of stride 2 where it is half; and for other sizes, which the original refuses, the
    student's map is average-pooled to the teacher's size first.

    Args:
        bridges: whether they are made here; otherwise the student's maps have crossed one already, and have the shapes
            of the teacher's.

    Shapes: student and teacher tuples of as many maps (N, C_i, H_i, W_i); `build` needs a pair of them.

    Raises:
        BadInput: student and teacher give different numbers of maps.

    >>> import torch
    >>> from potstill.losses import FCFD
    >>> student = torch.randn(8, 16, 8, 8), torch.randn(8, 32, 4, 4)
    >>> teacher = torch.randn(8, 64, 8, 8), torch.randn(8, 128, 2, 2)
    >>> loss = FCFD()
    >>> loss.build(student, teacher)
    >>> loss.bridge["2"].conv
    Conv2d(32, 128, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = (
        ("student.stage1:pre", "student.stage2:pre", "student.stage3:pre"),
        ("teacher.stage1:pre", "teacher.stage2:pre", "teacher.stage3:pre"),
    )

    @checked
    def __init__(self, bridges: bool = True) -> None:
        super().__init__()
        self.bridges, self.bridge = bridges, nn.ModuleDict()

    def build(self, student: Maps, teacher: Maps) -> None:
        """Make a bridge for each pair of maps."""
        if len(student) != len(teacher):
            raise BadInput(f"FCFD: {len(student)} maps of the student and {len(teacher)} of the teacher; pair them")
        if self.bridges:
            pairs = enumerate(zip(student, teacher, strict=True), start=1)
            self.bridge = nn.ModuleDict({str(i): make_bridge(own, target) for i, (own, target) in pairs}).to(student[0])

    def forward(self, student: Maps, teacher: Maps) -> Tensor:
        crossed = [self.bridge[str(i)](own) if self.bridges else own for i, own in enumerate(student, start=1)]
        loss = student[0].new_zeros(())
        for own, target in zip(crossed, teacher, strict=True):
            loss = loss + F.mse_loss(own, target)
        return loss + F.mse_loss(_features(crossed[-1]), _features(teacher[-1]))


def make_bridge(student: Tensor, teacher: Tensor) -> nn.Module:
    """What brings one network's map (N, C, H, W) to the shape of another's, see `FCFD`."""
    (_, channels, height, width), (_, out_channels, *size) = student.shape, teacher.shape
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    convolution: nn.Conv2d | nn.ConvTranspose2d
    if [height, width] == [2 * side for side in size]:
        convolution = nn.Conv2d(channels, out_channels, 3, stride=2, padding=1)
    elif [2 * height, 2 * width] == size:
        convolution = nn.ConvTranspose2d(channels, out_channels, 4, stride=2, padding=1)
    else:
        convolution = nn.Conv2d(channels, out_channels, 3, padding=1, bias=False)
        if [height, width] != size:
            layers["pool"] = nn.AdaptiveAvgPool2d((size[0], size[1]))
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    return nn.Sequential(layers | OrderedDict(conv=convolution, bn=BatchNorm(out_channels)))


def _features(maps: Tensor) -> Tensor:
    return F.relu(maps).mean(dim=(2, 3))
