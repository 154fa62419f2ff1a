"""Softmax regression representation learning."""

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import make_connector
from potstill.losses.loss import Loss
from potstill.losses.sizes import position_mean, with_positions
from potstill.ranges import NotNegative


class SRRL(Loss):
    """The student's features become the teacher's, and what the teacher's classifier says of them its logits.

        z = mean over positions of relu(bn(conv(s)));    L = mean of (z - t)^2 + weight * mean of (W z + b - z_t)^2

    Yang, Martinez, Bulat and Tzimiropoulos, "Knowledge distillation via softmax regression representation learning",
    ICLR 2021: https://openreview.net/forum?id=ZzwDy_wiWv. W and b are the teacher's classifier, which stays as it is; t
    is the mean of the teacher's map over positions, z_t its logits. The authors' code gives the last maps, before
    pooling; the toolbox of SimKD gives pooled features, so that the batch norm sees one value an image: other numbers,
    by the same equation. Beside it there are the labels with weight 1, in the toolbox KD as well.

    Knowledge: features, responses. Trained parts: a connector.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        weight: of the logits.

    Shapes: student (N, C, H, W) or (N, C), teacher (N, C', H', W') or (N, C'), its logits (N, K), weight (K, C') and
    perhaps bias (K,) of its classifier; `build` needs all of them.

    >>> import torch
    >>> from potstill.losses import SRRL
    >>> SRRL().taps[2:]  # for another teacher, name its classifier
    ('teacher', 'teacher.fc.weight', 'teacher.fc.bias')
    >>> classifier = torch.nn.Linear(64, 10)
    >>> student, teacher = torch.randn(8, 32, 8, 8), torch.randn(8, 64)
    >>> inputs = student, teacher, classifier(teacher), classifier.weight, classifier.bias
    >>> loss = SRRL()
    >>> loss.build(*inputs)
    >>> loss(*inputs).shape
    torch.Size([])
    """

    taps = ("student.pooled", "teacher.pooled", "teacher", "teacher.fc.weight", "teacher.fc.bias")

    @checked
    def __init__(self, weight: NotNegative = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.connector: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor, *rest: Tensor) -> None:
        """Make the connector for features of these shapes."""
        connector = make_connector(student.shape[1], teacher.shape[1], relu=True)
        nn.init.kaiming_normal_(connector.get_parameter("conv.weight"), mode="fan_out")
        self.connector = connector.to(student)

    def forward(
        self, student: Tensor, teacher: Tensor, logits: Tensor, classifier: Tensor, bias: Tensor | None = None
    ) -> Tensor:
        own = position_mean(self.connector(with_positions(student)))
        loss = F.mse_loss(own, position_mean(teacher))
        return loss + self.weight * F.mse_loss(F.linear(own, classifier, bias), logits)
