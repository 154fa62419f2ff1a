"""Distillation of vision transformers' features."""

import torch
from torch import Tensor, nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.mgd import make_generator
from potstill.losses.sizes import pool_to_smaller
from potstill.ranges import NotNegative, Share

Maps = tuple[Tensor, ...]


class ViTKD(Loss):
    """In the first blocks the student copies the teacher's tokens; in the last one it makes them from half its own.

        L = alpha * sum over shallow maps of sum of (linear_i(s_i) - t_i)^2
            + beta / ratio * sum over masked tokens of (generator(masked(linear(s))) - t)^2,    mean over the batch

    Yang, Li, Zeng, Li, Yuan and Li, "ViTKD: practical guidelines for ViT feature knowledge distillation", 2022:
    https://arxiv.org/abs/2209.02432. Of a sample's P tokens, int(P * (1 - ratio)) are kept, those of the smallest
    draws; a learned token, 0 at the start, takes the place of the others. These are sums over tokens and features, to
    which the weights belong: for other sizes, others are right. The taps are blocks 1, 2 and the last one there, with
    ``:map``, which leaves out the class token; maps of any sides and of any network serve. Draws are from torch's
    generator, by several processes each for its own images.

    Knowledge: features. Trained parts: a generator, a token, and linear layers if the channels differ.

    Usual weight: 1, beside 1 of cross-entropy; its parts have weights of their own.

    Args:
        alpha: of the shallow maps.
        beta: of the deep one.
        ratio: the part of its tokens that is masked.

    Shapes: student tuple of maps (N, C_i, H_i, W_i), the last one deep, the others shallow, teacher as many (N, C'_i,
    H'_i, W'_i); `build` needs a pair of them. Of two sizes, the larger map is average-pooled to the smaller first.

    Raises:
        BadInput: student and teacher give different numbers of maps.

    >>> import torch
    >>> from potstill.losses import ViTKD
    >>> student, teacher = ((torch.randn(8, width, 14, 14),) * 3 for width in (192, 384))
    >>> loss = ViTKD()
    >>> loss.build(student, teacher)
    >>> loss.draw(student[-1]).shape, loss(student, teacher).shape
    (torch.Size([8, 196]), torch.Size([]))
    """

    taps = (
        ("student.stage1", "student.stage2", "student.stage3"),
        ("teacher.stage1", "teacher.stage2", "teacher.stage3"),
    )

    @checked
    def __init__(self, alpha: NotNegative = 3e-5, beta: NotNegative = 3e-6, ratio: Share = 0.5) -> None:
        super().__init__()
        self.alpha, self.beta, self.ratio = alpha, beta, ratio

    def build(self, student: Maps, teacher: Maps) -> None:
        """Make generator, token and linear layers for maps of these shapes."""
        if len(student) != len(teacher):
            raise BadInput(f"ViTKD: {len(student)} maps of the student and {len(teacher)} of the teacher; pair them")
        *low, self.align_high = (_align(s.shape[1], t.shape[1]) for s, t in zip(student, teacher, strict=True))
        self.align_low = nn.ModuleList(low)
        width = teacher[-1].shape[1]
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.generator = make_generator(width)
        self.to(student[-1])

    def draw(self, maps: Tensor) -> Tensor:
        """A number for each token of maps (N, C, H, W), (N, H * W): the smallest are kept."""
        return torch.rand(len(maps), maps[0, 0].numel(), dtype=maps.dtype, device=maps.device)

    def forward(self, student: Maps, teacher: Maps) -> Tensor:
        pairs = [pool_to_smaller(own, target) for own, target in zip(student, teacher, strict=True)]
        loss = student[0].new_zeros(())
        for align, (own, target) in zip(self.align_low, pairs, strict=False):
            loss = loss + self.alpha * (align(_tokens(own)) - _tokens(target)).square().sum()
        own, target = pairs[-1]
        masked = self._masked(own)
        tokens = torch.where(masked, self.mask_token, self.align_high(_tokens(own)))
        made = self.generator(tokens.transpose(1, 2).reshape(target.shape))
        squares = (_tokens(made) - _tokens(target)).square() * masked
        return (loss + self.beta / self.ratio * squares.sum()) / len(own)

    def _masked(self, maps: Tensor) -> Tensor:
        """Which tokens are, (N, H * W, 1)."""
        ranks = self.draw(maps).argsort(dim=1).argsort(dim=1)
        return (ranks >= int(ranks.shape[1] * (1 - self.ratio))).unsqueeze(2)


def _align(width: int, out_width: int) -> nn.Module:
    return nn.Identity() if width == out_width else nn.Linear(width, out_width)


def _tokens(maps: Tensor) -> Tensor:
    return maps.flatten(2).transpose(1, 2)
