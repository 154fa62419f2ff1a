"""Relational knowledge distillation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.losses.loss import Loss
from potstill.ranges import NotNegative

MAX_ELEMENTS = 2**19  # of the largest tensor of angles or directions


class RKD(Loss):
    """The batch forms the same figure in student and teacher: distances between samples, and angles at them, agree.

        d_ij = ||f_i - f_j|| / mean;    c_ijk = cos of the angle at i between j and k
        L = w_d * mean over i, j of h(d_s - d_t) + w_a * mean over i, j, k of h(c_s - c_t)

    with the Huber loss h: x^2 / 2 up to 1, then |x| - 1/2. Park et al., "Relational knowledge distillation", CVPR 2019,
    eq. 5 to 10: https://arxiv.org/abs/1904.05068. As in the authors' code, means run over all N^2 and N^3 entries,
    and what is 0 by itself (i = j) counts there, but not in the mean distance. Two samples of equal features have
    distance 0, no direction and no gradient between them; the original has distance 1e-6, and gradients times 1e12.

    It computes the angles at a few corners at a time, with their gradients, so that memory stays quadratic in N. They
    can therefore be differentiated only once.

    Knowledge: relations of samples.

    Usual weight: 1, beside 1 of cross-entropy.

    Args:
        distance: weight w_d.
        angle: weight w_a. A part of weight 0 is left out.

    Shapes: student (N, D), teacher (N, D'); further dimensions are flattened. One sample has no relation: 0.

    >>> import torch
    >>> from potstill.losses import RKD
    >>> student = torch.randn(64, 32)
    >>> teacher = 3 * torch.cat([student, student], dim=1)  # the same figure, larger and in more dimensions
    >>> bool(RKD()(student, teacher) < 1e-6)
    True
    """

    whole_batch = True
    taps = ("student.pooled", "teacher.pooled")

    @checked
    def __init__(self, distance: NotNegative = 25.0, angle: NotNegative = 50.0) -> None:
        super().__init__()
        if not (distance or angle):
            raise BadInput("RKD: both weights are 0")
        self.distance, self.angle = distance, angle

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        student, teacher = student.flatten(1), teacher.flatten(1)
        parts = []
        if self.distance:
            parts.append(self.distance * F.smooth_l1_loss(_distances(student), _distances(teacher)))
        if self.angle:
            angles: Tensor = _Angles.apply(student, teacher)
            parts.append(self.angle * angles)
        return torch.stack(parts).sum()


def _distances(features: Tensor) -> Tensor:
    # Not through a product of matrices: its rounding would give equal samples a distance, and that a huge slope.
    distances = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    mean = distances.sum() / max(len(features) * (len(features) - 1), 1)
    return distances / mean.masked_fill(mean == 0, 1)


class _Angles(torch.autograd.Function):
    """Mean Huber loss between the cosines of all angles, which exist for a few corners at a time only."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        count = len(student)
        total, gradient = student.new_zeros(()), torch.zeros_like(student)
        step = max(1, MAX_ELEMENTS // (count * max(count, student.shape[1], teacher.shape[1])))
        for corners in (slice(start, start + step) for start in range(0, count, step)):
            (ours, inverse), (theirs, _) = _directions(student, corners), _directions(teacher, corners)
            cosines = theirs @ theirs.transpose(1, 2)
            errors = torch.baddbmm(cosines, ours, ours.transpose(1, 2), beta=-1)
            clipped = errors.clamp(-1, 1)  # the derivative of h, and h = clipped * (errors - clipped / 2)
            total += torch.dot(clipped.flatten(), errors.sub_(clipped, alpha=0.5).flatten())
            if ctx.needs_input_grad[0]:
                pull = clipped @ ours
                # Only what is across a direction turns it.
                across = pull.addcmul_(ours, (pull * ours).sum(dim=2, keepdim=True), value=-1).mul_(inverse)
                gradient += across.sum(dim=0)
                gradient[corners] -= across.sum(dim=1)
        ctx.save_for_backward(gradient * 2 / count**3)
        return total / count**3

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return grad * gradient, None


def _directions(features: Tensor, corners: slice) -> tuple[Tensor, Tensor]:
    """From corners to all samples: unit vectors (corners, N, D) and inverse lengths, both 0 between equal features."""
    ways = features - features[corners].unsqueeze(1)
    lengths = torch.linalg.vector_norm(ways, dim=2, keepdim=True)
    inverse = torch.where(lengths == 0, 0, 1 / lengths)
    return ways.mul_(inverse), inverse
