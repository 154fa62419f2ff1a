"""Features as the teacher's, in direction and in value."""

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.projector import channels, projector, side_by_side
from potstill.losses.unit_length import unit_length
from potstill.ranges import NotNegative, ProjectorLayers, Width

SHORTEST = 1e-8  # what a shorter vector's length counts as


class CosineSmoothL1(Loss):
    """Features or patch tokens point where the teacher's do, and have their values.

        L = cosine * (1 - cos(s, t)) + smooth_l1 * mean over the width of h(s - t), mean over tokens and images
        h(d) = d^2 / 2 where |d| < 1, and |d| - 1/2 elsewhere

    Sariyildiz et al., "UNIC: universal classification models via multi-teacher distillation", ECCV 2024,
    https://arxiv.org/abs/2408.05088, with half and half; AM-RADIO weighs 0.9 and 0.1. A token of zeros has no
    direction: the original's cosine gives it a gradient of about 1e8 times the others', ours none.

    Knowledge: features. Trained parts: a projector of the student's features, by default if the widths differ.

    Args:
        cosine: weight of the direction.
        smooth_l1: weight of the values.
        layers: of the projector: one is linear, more are an MLP; by default one if the widths differ, and none else.
        hidden: width between the layers; by default the teacher's.

    Shapes: student (N, D) and teacher (N, D'), (N, L, D) and (N, L, D'), or maps (N, D, h, w) and (N, D', h', w'), of
    which the student's is resized bilinearly; `build` needs a pair of them.

    Raises:
        BadInput: both weights are 0, or student and teacher do not go together.

    >>> import torch
    >>> from potstill.losses import CosineSmoothL1
    >>> student, teacher = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
    >>> CosineSmoothL1()(student, teacher)  # 0.5 * (1 - 0) + 0.5 * (0.5 + 0.5) / 2
    tensor(0.7500)
    """

    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(
        self,
        cosine: NotNegative = 0.5,
        smooth_l1: NotNegative = 0.5,
        layers: ProjectorLayers | None = None,
        hidden: Width | None = None,
    ) -> None:
        super().__init__()
        if not (cosine or smooth_l1):
            raise BadInput("CosineSmoothL1: both weights are 0")
        self.cosine, self.smooth_l1 = cosine, smooth_l1
        self.layers, self.hidden = layers, hidden
        self.head: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the projector for features of these widths."""
        if self.layers is not None or channels(student) != channels(teacher):
            self.head = projector(student, teacher, self.layers or 1, self.hidden)

    def aligned(self, student: Tensor, teacher: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What is compared: vectors (..., D') of the student, after the projector, and of the teacher."""
        return [side_by_side(student, teacher, self.head, "CosineSmoothL1")]

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        ((s, t),) = self.aligned(student, teacher)
        loss = s.new_zeros(())
        if self.cosine:
            similar = (unit_length(s, SHORTEST) * unit_length(t, SHORTEST)).sum(dim=-1)
            loss = loss + self.cosine * (1 - similar).mean()
        if self.smooth_l1:
            loss = loss + self.smooth_l1 * F.smooth_l1_loss(s, t)
        return loss
