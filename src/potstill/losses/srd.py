"""A simple recipe: projector, batch norm and the logarithm of a sum."""

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import BatchNorm
from potstill.losses.loss import Loss
from potstill.losses.sizes import position_mean, with_positions
from potstill.ranges import SMALLEST, Epsilon, Power, Temperature


class SRD(Loss):
    """The student's features, projected, become the teacher's, both normalised over the batch; large errors count most.

        D = log of the sum over batch and features of |bn(P s + b) - bn(t)|^p
        L = 2 D + KL(softmax(z_t / T) || softmax(z_s / T)), mean over the batch

    Miles and Mikolajczyk, "Understanding the role of the projector in knowledge distillation", AAAI 2024:
    https://arxiv.org/abs/2303.11098. The batch norms have no weights; the teacher's is one of its own, whose running
    statistics move, too. As in torchdistill's port of the authors' code, s and t are means over positions, the sum is
    no mean, so that the value (not its gradient) grows with the batch, and the divergence is not multiplied by T^2.
    Published beside cross-entropy, weight 1 each. Of equal features the original's loss is minus infinity; here the sum
    is never below 1e-30.

    Knowledge: features, responses. Trained parts: a projector.

    Args:
        exponent: p.
        temperature: T.
        eps: of the batch norms.

    Shapes: student and teacher tuples of features (N, C) or a map (N, C, H, W), and logits (N, K); `build` needs a pair
    of them.

    >>> import torch
    >>> from potstill.losses import SRD
    >>> student, teacher = (torch.randn(8, 32), torch.randn(8, 10)), (torch.randn(8, 64), torch.randn(8, 10))
    >>> loss = SRD()
    >>> loss.build(student, teacher)
    >>> loss.projector, loss(student, teacher).shape
    (Linear(in_features=32, out_features=64, bias=True), torch.Size([]))
    """

    whole_batch = True
    taps = (("student.pooled", "student"), ("teacher.pooled", "teacher"))

    @checked
    def __init__(self, exponent: Power = 4.0, temperature: Temperature = 1.0, eps: Epsilon = 1e-4) -> None:
        super().__init__()
        self.exponent, self.temperature, self.eps = exponent, temperature, eps

    def build(self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> None:
        """Make the projector and the batch norms for features of these shapes."""
        width = teacher[0].shape[1]
        self.projector = nn.Linear(student[0].shape[1], width)
        self.norm_s, self.norm_t = (BatchNorm(width, eps=self.eps, affine=False) for _ in range(2))
        self.to(student[0])

    def forward(self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> Tensor:
        own = self.norm_s(with_positions(self.projector(position_mean(student[0]))))
        target = self.norm_t(with_positions(position_mean(teacher[0])))
        distance: Tensor = (own - target).abs().pow(self.exponent).sum().clamp(min=SMALLEST).log()
        log_student, log_teacher = (F.log_softmax(x[1] / self.temperature, dim=1) for x in (student, teacher))
        return 2 * distance + F.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
