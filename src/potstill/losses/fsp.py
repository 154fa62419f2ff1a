"""Flow of solution procedure."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller


def flow(first: Tensor, second: Tensor) -> Tensor:
    """How a network gets from a map (N, C, H, W) to a later one (N, D, H', W'): their products, (N, C, D)."""
    first, second = pool_to_smaller(first, second)
    return first.flatten(2) @ second.flatten(2).transpose(1, 2) / first[0, 0].numel()


class FSP(Loss):
    """The student goes from one stage to the next as the teacher does: products of an earlier and a later map agree.

        G[c, d] = mean over positions of a[c] * b[d];    L = sum over consecutive stages of mean of (G_s - G_t)^2

    Yim et al., "A gift from knowledge distillation: fast optimization, network minimization and transfer learning",
    CVPR 2017, eq. 1 and 2: https://openaccess.thecvf.com/content_cvpr_2017/html/Yim_A_Gift_From_CVPR_2017_paper.html.
    As in RepDistiller, the pairs of a list of maps are summed; the Knowledge-Distillation-Zoo has one pair a loss. Both
    average over batch and channels, where eq. 2 sums over channels. Of two sizes, the larger map is average-pooled to
    the smaller (the paper max-pools).

    Knowledge: relations of stages.

    Usual weight: 0.33, alone, before training with cross-entropy.

    Shapes: student and teacher are sequences of two or more maps (N, C, H, W), earlier first; the student's may differ
    from the teacher's in size, not in channels.

    Raises:
        BadInput: other numbers of maps or of channels: there is nothing to compare.

    >>> import torch
    >>> from potstill.losses import FSP
    >>> first, second = torch.ones(8, 16, 16, 16), torch.ones(8, 32, 8, 8)
    >>> FSP()((first, second), (2 * first, second / 2))  # other maps, the same flow
    tensor(0.)
    >>> FSP()((first, second), (first, 3 * second))
    tensor(4.)
    """

    taps = (
        ("student.stage1", "student.stage2", "student.stage3"),
        ("teacher.stage1", "teacher.stage2", "teacher.stage3"),
    )

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        channels = [[maps.shape[1] for maps in network] for network in (student, teacher)]
        if channels[0] != channels[1] or len(student) < 2:
            shapes = " but ".join(str([tuple(maps.shape) for maps in network]) for network in (student, teacher))
            raise BadInput(f"FSP needs two or more maps, as wide in the student as in the teacher, not {shapes}")
        pairs = zip(pairwise(student), pairwise(teacher), strict=True)
        return torch.stack([F.mse_loss(flow(*ours), flow(*theirs)) for ours, theirs in pairs]).sum()
