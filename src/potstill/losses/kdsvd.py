"""Distillation by singular value decomposition."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.losses.unit_length import unit_length
from potstill.ranges import Count


class KDSVD(Loss):
    """Each map is compressed to its few strongest patterns of channels; how these relate from stage to stage agrees.

        A = U S V',  A the map as (positions, channels);    v = V[:, :k] * S[:k] of the teacher at unit length
        R[c, d] = exp(-(v_c - w_d)^2 / 8),  w of the stage before;    L = sum of (R_s - R_t)^2 over stages, / N

    Lee, Kim and Song, "Self-supervised knowledge distillation using singular value decomposition", ECCV 2018, eq. 1 to
    6: https://arxiv.org/abs/1807.06819. As in RepDistiller, the student keeps k + 3 patterns, and each of the teacher's
    is compared with the one of largest |cosine|, its sign turned to match. The teacher's own patterns have the sign
    that makes their entries sum to 0 or more; the original, whatever sign the decomposition happens to return.

    V is taken from A'A, whose gradient is exact where singular values differ. Where two are equal to rounding, their
    patterns can turn into each other at no cost, and that rotation gets no gradient (the original's is nan); a pattern
    of singular value 0 is 0.

    Knowledge: relations of stages.

    Args:
        k: how many of the teacher's patterns to keep.
        patterns: of what V is a pattern: "channels", or "columns": of positions within a row, as in mdistiller, which
            decomposes the map as (channels * rows, columns).

    Shapes: student and teacher are sequences of two or more maps (N, C, H, W), earlier first; sizes may differ for
    patterns of channels, and channels for patterns of columns.

    Raises:
        BadInput: other numbers of maps, or of channels (columns): patterns of two lengths cannot be aligned; a map of
            fewer patterns than k, beside one that has them.

    >>> import torch
    >>> from potstill.losses import KDSVD
    >>> maps = torch.randn(8, 32, 16, 16), torch.randn(8, 64, 8, 8)
    >>> bool(KDSVD()(maps, maps) < 1e-9)
    True
    >>> turned = tuple(features.rot90(dims=(2, 3)) for features in maps)  # the same patterns of channels, elsewhere
    >>> bool(KDSVD()(turned, maps) < 1e-9)
    True
    """

    taps = (
        ("student.stage1", "student.stage2", "student.stage3"),
        ("teacher.stage1", "teacher.stage2", "teacher.stage3"),
    )

    @checked
    def __init__(self, k: Count = 1, patterns: Literal["channels", "columns"] = "channels") -> None:
        super().__init__()
        self.k, self.patterns = k, patterns

    def forward(self, student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
        axis = 1 if self.patterns == "channels" else 3
        lengths = [[maps.shape[axis] for maps in network] for network in (student, teacher)]
        if lengths[0] != lengths[1] or len(student) < 2:
            shapes = " but ".join(str([tuple(maps.shape) for maps in network]) for network in (student, teacher))
            raise BadInput(f"KDSVD needs two or more maps with as many {self.patterns} in both networks, not {shapes}")
        pairs = [self._aligned(ours, theirs) for ours, theirs in zip(student, teacher, strict=True)]
        counts = [theirs.shape[2] for _, theirs in pairs]
        if len(set(counts)) > 1:
            raise BadInput(f"KDSVD: k={self.k}, but a map has {min(counts)} patterns only; give k={min(counts)}")
        terms = [
            (_closeness(ours, ours_before) - _closeness(theirs, theirs_before)).square().sum() / len(ours)
            for (ours_before, theirs_before), (ours, theirs) in pairwise(pairs)
        ]
        return torch.stack(terms).sum()

    def _aligned(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """The teacher's patterns (N, C, k) and the student's that are nearest to them, by the teacher's strength."""
        theirs, values = _patterns(self._matrix(teacher), self.k)
        theirs = torch.where(theirs.sum(dim=1, keepdim=True) < 0, -theirs, theirs)
        ours, _ = _patterns(self._matrix(student), self.k + 3)
        cosines = ours.transpose(1, 2) @ theirs
        nearest = cosines.abs().argmax(dim=1, keepdim=True)
        ours = ours.gather(2, nearest.expand(-1, ours.shape[1], -1)) * cosines.gather(1, nearest).sign().detach()
        strength = unit_length(values).unsqueeze(1)
        return ours * strength, theirs * strength

    def _matrix(self, maps: Tensor) -> Tensor:
        return maps.flatten(2).transpose(1, 2) if self.patterns == "channels" else maps.flatten(1, 2)


def _patterns(matrix: Tensor, limit: int) -> tuple[Tensor, Tensor]:
    """The leading right singular vectors (N, C, n) of (N, positions, C), n <= limit, and the singular values (N, n)."""
    count = min(limit, *matrix.shape[1:])
    gram = matrix.transpose(1, 2) @ matrix
    values, vectors = (ascending.flip(-1) for ascending in torch.linalg.eigh(gram.detach()))
    noise = values.shape[1] * torch.finfo(gram.dtype).eps * values[:, :1].unsqueeze(2)
    gaps = values[:, None, :count] - values[:, :, None]
    turns = torch.where(gaps.abs() > noise, 1 / gaps, 0)
    leading = vectors[:, :, :count]
    # The added term is 0, and its derivative is that of the eigenvectors, without the infinities of equal values.
    leading = leading + vectors @ (turns * (vectors.transpose(1, 2) @ (gram - gram.detach()) @ leading))
    values = values[:, :count].clamp(min=0)
    return leading * (values.unsqueeze(1) > noise), values.sqrt()


def _closeness(patterns: Tensor, before: Tensor) -> Tensor:
    return torch.exp(-(patterns.unsqueeze(2) - before.unsqueeze(1)).square() / 8)
