"""Channel distillation."""

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.connector import make_connector
from potstill.losses.loss import Loss


class CD(Loss):
    """Each channel of the student is on average as active as the teacher's: it learns which channels matter.

        w = mean over positions of a;    L = mean of (w_s - w_t)^2 over batch and channels

    Zhou, Zhuge, Guan and Liu, "Channel distillation: channel-wise attention for knowledge distillation", 2020, section
    3.2: https://arxiv.org/abs/2006.01683. Stages are summed, not averaged: one term of weight 6 each.

    Knowledge: features. Trained parts: a connector, by default if the channels differ.

    Usual weight: 6, beside 1 of cross-entropy.

    Args:
        connector: whether the student's map goes through a learned 1x1 convolution, batch norm and ReLU first. By
            default only if the channels differ. The authors' code always has it (True), though for equal channels the
            equation needs none.

    Shapes: student (N, C, H, W), teacher (N, C', H', W') of any sizes; `build` needs a pair of them.

    >>> import torch
    >>> from potstill.losses import CD
    >>> student, teacher = torch.zeros(8, 64, 8, 8), torch.ones(8, 64, 4, 4)
    >>> student[:, :, 0, 0] = 64  # the mean of every channel is 1, as the teacher's
    >>> CD()(student, teacher)
    tensor(0.)
    >>> CD()(3 * student, teacher)
    tensor(4.)
    """

    taps = ("student.stages", "teacher.stages")

    @checked
    def __init__(self, connector: bool | None = None) -> None:
        super().__init__()
        self.wanted = connector
        self.connector: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the connector for maps of these shapes."""
        channels, out_channels = student.shape[1], teacher.shape[1]
        if self.wanted or (self.wanted is None and channels != out_channels):
            self.connector = make_connector(channels, out_channels, relu=True).to(student)

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(self.connector(student).mean(dim=(2, 3)), teacher.mean(dim=(2, 3)))
