"""N-to-one representation matching."""

import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.kd import KD
from potstill.losses.loss import Loss
from potstill.ranges import NotNegative, Positive, Temperature


class NORM(Loss):
    """Of the student's one map, expanded, N parts each become the teacher's map.

        L = N * mean of (e - (t, ..., t))^2,  N copies of t beside each other

    Liu, Li, Li and Yao, "NORM: knowledge distillation via N-to-one representation matching", ICLR 2023:
    https://openreview.net/forum?id=CRNwGauQpb6. e comes from an expansion inside the student, which it keeps: a network
    that is cut and put together again around it, ``--student "resnet8x4^8x256^resnet8x4@stage3"``, and the term ``NORM
    on bridge.expand=stage3``. N is e's channels through the teacher's. In the authors' code the weight moves from 0.1
    over 0.5 to 1 and back, see `potstill.schedules.steps`; beside it are cross-entropy and KD of normalised logits,
    `NORMLogits`. With N = 1 this is the mean squared difference.

    Knowledge: features.

    Shapes: student (B, N * C, H, W), teacher (B, C, H', W'). Of two sizes, the larger map is max-pooled to the smaller
    along each axis, by any factor; in the authors' code the teacher's alone, by whole factors.

    Raises:
        BadInput: the student's channels are no multiple of the teacher's.

    >>> import torch
    >>> from potstill.losses import NORM
    >>> from potstill.networks.bridges import Expansion
    >>> student, teacher = torch.randn(8, 32, 4, 4), torch.ones(8, 64, 4, 4)
    >>> expansion = Expansion(32, 64, copies=4)
    >>> expansion(student).shape
    torch.Size([8, 32, 4, 4])
    >>> NORM()(expansion.expand(student), teacher).shape
    torch.Size([])
    >>> NORM()(torch.cat([teacher, teacher + 1], dim=1), teacher)  # 2 * (0 + 1) / 2
    tensor(1.)
    """

    taps = ("student.stage3", "teacher.stage3")

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        copies, rest = divmod(student.shape[1], teacher.shape[1])
        if rest or not copies:
            raise BadInput(
                f"NORM: the student's {student.shape[1]} channels are no multiple of the teacher's {teacher.shape[1]}; "
                "tap what an Expansion's expand returns"
            )
        height, width = (min(pair) for pair in zip(student.shape[2:], teacher.shape[2:], strict=True))
        student, teacher = (
            maps if maps.shape[2:] == (height, width) else F.adaptive_max_pool2d(maps, (height, width))
            for maps in (student, teacher)
        )
        return copies * F.mse_loss(student, teacher.repeat(1, copies, 1, 1))


class NORMLogits(Loss):
    """Cross-entropy and KD of logits that were brought to one mean and one deviation first, as NORM has them.

        u(z) = scale * (z - mean) / std over the classes;    L = ce * CE(u(z_s), y) + kd * KD(u(z_s), u(z_t))

    Liu, Li, Li and Yao, "NORM: knowledge distillation via N-to-one representation matching", ICLR 2023, section 4:
    https://openreview.net/forum?id=CRNwGauQpb6. The variance is that of the population, 1e-7 is added to it. At test
    time the logits are as they come; the largest one stays the largest.

    Knowledge: responses.

    Args:
        ce: weight of the cross-entropy.
        kd: weight of `KD`.
        scale: the deviation of normalised logits.
        temperature: of KD.

    Shapes: student and teacher logits (N, K), labels (N,).

    >>> import torch
    >>> from potstill.losses import NORMLogits
    >>> student, labels = torch.randn(8, 10), torch.arange(8)
    >>> NORMLogits(ce=0)(student, 3 * student + 5, labels) < 1e-4  # one and the same, normalised
    tensor(True)
    """

    taps = ("student", "teacher", "labels")

    @checked
    def __init__(
        self, ce: NotNegative = 1.0, kd: NotNegative = 1.0, scale: Positive = 2.5, temperature: Temperature = 4.0
    ) -> None:
        super().__init__()
        self.ce, self.kd, self.scale = ce, kd, scale
        self.divergence = KD(temperature)

    def forward(self, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
        student, teacher = (self.scale * F.layer_norm(x, x.shape[1:], eps=1e-7) for x in (student, teacher))
        loss: Tensor = self.ce * F.cross_entropy(student, labels) + self.kd * self.divergence(student, teacher)
        return loss
