"""Every patch as the teacher's."""

import torch.nn.functional as F
from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.losses.projector import projector, side_by_side
from potstill.ranges import ProjectorLayers, Width


class PatchMSE(Loss):
    """The student's patches, after a learned projector, become the teacher's.

        L = mean of (resize(p(a_s)) - a_t)^2

    Of LightlyTrain, distillation v2 (no paper): https://github.com/lightly-ai/lightly-train. p is linear, or an MLP
    with layer norm and GELU, at every position; the student's map is resized bilinearly to the teacher's. There, the
    teacher's maps of its last two blocks are concatenated along the channels; here, it is whatever is tapped.

    Knowledge: features. Trained parts: a projector of the student's patches.

    Args:
        layers: of the projector: one is linear, more are an MLP.
        hidden: width between the layers; by default the teacher's.

    Shapes: student (N, D, h, w) and teacher (N, D', h', w'), tokens (N, L, D) and (N, L, D'), or features (N, D) and
    (N, D'); `build` needs a pair of them.

    Raises:
        BadInput: student and teacher do not go together.

    >>> import torch
    >>> from potstill.losses import PatchMSE
    >>> student, teacher = torch.randn(8, 32, 4, 4), torch.randn(8, 64, 7, 7)
    >>> loss = PatchMSE()
    >>> loss.build(student, teacher)
    >>> loss.head
    Linear(in_features=32, out_features=64, bias=True)
    >>> loss(student, teacher).shape
    torch.Size([])
    """

    taps = ("student.stages", "teacher.stages")

    @checked
    def __init__(self, layers: ProjectorLayers = 1, hidden: Width | None = None) -> None:
        super().__init__()
        self.layers, self.hidden = layers, hidden
        self.head: nn.Module = nn.Identity()

    def build(self, student: Tensor, teacher: Tensor) -> None:
        """Make the projector for maps of these widths."""
        self.head = projector(student, teacher, self.layers, self.hidden)

    def aligned(self, student: Tensor, teacher: Tensor) -> list[tuple[Tensor, Tensor]]:
        """What is compared: vectors (..., D') of the student, after the projector, and of the teacher."""
        return [side_by_side(student, teacher, self.head, "PatchMSE")]

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return F.mse_loss(*self.aligned(student, teacher)[0])
