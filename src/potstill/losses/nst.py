"""Neuron selectivity transfer."""

from torch import Tensor

from potstill.losses.loss import Loss
from potstill.losses.sizes import pool_to_smaller
from potstill.losses.unit_length import unit_length


class NST(Loss):
    """The student's channels respond to the same places as the teacher's: their distributions over positions agree.

        x_c = a_c / ||a_c||;    L = mean k(x_s, x_s') + mean k(x_t, x_t') - 2 mean k(x_s, x_t),    k(x, y) = (x . y)^2

    Huang and Wang, "Like what you like: knowledge distill via neuron selectivity transfer", 2017, eq. 6 to 8 (squared
    maximum mean discrepancy, polynomial kernel of degree 2 without a constant): https://arxiv.org/abs/1707.01219.
    Means are over pairs of channels and over the batch. As sum (x . y)^2 is the product of the second moments X'X and
    Y'Y, maps with few positions are compared through those, others through products of channels: never a tensor of
    channels x channels x positions. A channel that is 0 everywhere stays 0.

    Knowledge: features.

    Usual weight: 50, beside 1 of cross-entropy.

    Shapes: student (N, C, H, W), teacher (N, C', H', W'). Channels may differ; of two sizes, the larger map is
    average-pooled to the smaller first.

    >>> import torch
    >>> from potstill.losses import NST
    >>> student, teacher = torch.zeros(8, 16, 8, 8), torch.zeros(8, 64, 8, 8)
    >>> student[:, :, 0, 0], teacher[:, :, 7, 7] = 1, 1  # they respond to opposite corners
    >>> NST()(student, teacher)
    tensor(2.)
    >>> NST()(3 * student, student[:, :8])
    tensor(0.)
    """

    taps = ("student.stages", "teacher.stages")

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        s, t = (unit_length(maps.flatten(2)) for maps in pool_to_smaller(student, teacher))
        if s.shape[2] <= min(s.shape[1], t.shape[1]):
            return (_second_moment(s) - _second_moment(t)).square().sum(dim=(1, 2)).mean()
        return _mean_kernel(s, s) + _mean_kernel(t, t) - 2 * _mean_kernel(s, t)


def _second_moment(x: Tensor) -> Tensor:
    return x.transpose(1, 2) @ x / x.shape[1]


def _mean_kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.transpose(1, 2)).square().mean()
