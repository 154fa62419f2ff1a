"""Fine-grained manifold distillation."""

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.losses.unit_length import unit_length
from potstill.maps import MAX_EXTRA_TOKENS
from potstill.ranges import Count, NotNegative


class Manifold(Loss):
    """How alike patches are is the same in student and teacher: within an image, at one place of all images, anywhere.

        G = Z Z',  Z the tokens of unit length;    d(Z) = mean of (G_s - G_t)^2
        L = w_p * mean over images of d + w_s * mean over places of d + w_r * d of K tokens drawn from the batch

    Hao, Guo, Jia, Han, Tang, Zhang, Hu and Wang, "Learning efficient vision transformers via fine-grained manifold
    distillation", NeurIPS 2022, section 3: https://arxiv.org/abs/2107.01378. One pair of blocks a loss; the authors
    average over several. Each call draws anew, the same tokens of student and teacher. A token that is 0 is like none.

    Knowledge: relations of samples and of patches.

    Usual weight: 1, beside 1 of KD; of several pairs of blocks, their mean.

    Args:
        sample: weight w_s of the images at one place.
        patch: weight w_p of the places in one image.
        random: weight w_r. A part of weight 0 is left out.
        tokens: K; all of the batch, if there are fewer.

    Shapes: student (N, L, D), teacher (N, L', D') tokens; of other numbers of them, the first ones of the network that
    has more are left out, which stand for no patch (class, distillation). Or maps (N, C, H, W) and (N, C', H', W'); of
    two sizes, the larger map is average-pooled to the smaller. In the place of a draw, an order of all N * L tokens can
    be given, whose first K count.

    Raises:
        BadInput: tokens beside maps, or more than 8 to leave out.

    >>> import torch
    >>> from potstill.losses import Manifold
    >>> student = torch.randn(8, 17, 32)
    >>> teacher = 3 * torch.cat([student, student], dim=2)[:, 1:]  # without a class token, and wider
    >>> bool(Manifold()(student, teacher) < 1e-9)
    True
    """

    whole_batch = True
    taps = ("student.stage3", "teacher.stage3")

    @checked
    def __init__(
        self, sample: NotNegative = 0.1, patch: NotNegative = 4.0, random: NotNegative = 0.2, tokens: Count = 192
    ) -> None:
        super().__init__()
        if not (sample or patch or random):
            raise BadInput("Manifold: all three weights are 0")
        self.sample, self.patch, self.random, self.tokens = sample, patch, random, tokens

    def forward(self, student: Tensor, teacher: Tensor, order: Tensor | None = None) -> Tensor:
        student, teacher = _as_tokens(student, teacher)
        if order is None:
            order = torch.rand(student.shape[0] * student.shape[1], device=student.device).argsort()
        s, t = unit_length(student), unit_length(teacher)
        parts = []
        if self.sample:
            parts.append(self.sample * _distance(s.transpose(0, 1), t.transpose(0, 1)))
        if self.patch:
            parts.append(self.patch * _distance(s, t))
        if self.random:
            drawn = order[: self.tokens]
            parts.append(self.random * _distance(s.flatten(0, 1)[drawn], t.flatten(0, 1)[drawn]))
        return torch.stack(parts).sum()


def _distance(student: Tensor, teacher: Tensor) -> Tensor:
    return F.mse_loss(student @ student.mT, teacher @ teacher.mT)


def _as_tokens(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    if student.dim() == teacher.dim() == 4:
        student, teacher = pool_to_smaller(student, teacher)
        return student.flatten(2).mT, teacher.flatten(2).mT
    shapes = f"{tuple(student.shape)} and {tuple(teacher.shape)}"
    if not student.dim() == teacher.dim() == 3:
        raise BadInput(f"Manifold needs tokens, or maps, of both networks, not {shapes}; maps: student.blocks.8:map")
    count, most = sorted((student.shape[1], teacher.shape[1]))
    if most - count > MAX_EXTRA_TOKENS:
        raise BadInput(f"Manifold: tokens {shapes} are not of the same patches; take maps: student.blocks.8:map")
    return student[:, -count:], teacher[:, -count:]
