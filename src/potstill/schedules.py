"""Schedules: functions of the epoch, counted from 0, for learning rates and the weights of terms."""

import math
from collections.abc import Callable, Sequence

Schedule = Callable[[int], float]


def milestones(value: float, at: Sequence[int], factor: float) -> Schedule:
    """``value``, multiplied by ``factor`` at the start of every epoch in ``at``.

    >>> rate = milestones(0.1, at=[60, 120], factor=0.5)
    >>> rate(59), rate(60), rate(120)
    (0.1, 0.05, 0.025)
    """
    return lambda epoch: value * factor ** sum(epoch >= milestone for milestone in at)


def cosine(value: float, epochs: int) -> Schedule:
    """Half a cosine from ``value`` in epoch 0 towards 0, which epoch ``epochs`` would reach.

    Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5, without restarts: https://arxiv.org/abs/1608.03983
    """
    return lambda epoch: value * (1 + math.cos(math.pi * epoch / epochs)) / 2


def warmup(value: float, epochs: int) -> Schedule:
    """Rises in equal steps to ``value``, reached in the last of the first ``epochs`` epochs, and stays there."""
    return lambda epoch: value * min((epoch + 1) / epochs, 1.0)


def from_epoch(value: float, start: int) -> Schedule:
    """0 before epoch ``start``, so that a term is not computed at all, and ``value`` from then on."""
    return lambda epoch: value if epoch >= start else 0.0
