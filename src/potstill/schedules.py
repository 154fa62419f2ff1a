"""Schedules: functions of the epoch, counted from 0, for learning rates and weights of terms; all can be pickled."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from potstill.checked import checked
from potstill.errors import BadInput, shown
from potstill.ranges import SMALLEST, Count, Index, NotNegative, Range

Schedule = Callable[[int], float]
Factor = Annotated[float, Range(SMALLEST, 1000)]
MOST = 100  # milestones: the largest factor to this power is still a number


@checked
def milestones(value: NotNegative, at: Sequence[Index], factor: Factor) -> Schedule:
    """``value``, multiplied by ``factor`` at the start of every epoch in ``at``.

    Raises:
        BadInput: more than 100 epochs, or not in order.

    >>> import potstill as ps
    >>> rate = ps.schedules.milestones(0.1, at=[60, 120], factor=0.5)
    >>> rate(59), rate(60), rate(120)
    (0.1, 0.05, 0.025)
    """
    if list(at) != sorted(at) or len(at) > MOST:
        raise BadInput(f"milestones: at must be {MOST} epochs at most, in order, not {shown(list(at))}")
    return partial(_milestones, value, tuple(at), factor)


@checked
def cosine(value: NotNegative, epochs: Count) -> Schedule:
    """Half a cosine from ``value`` in epoch 0 towards 0, which epoch ``epochs`` would reach.

    Loshchilov and Hutter, "SGDR", ICLR 2017, eq. 5, without restarts: https://arxiv.org/abs/1608.03983

    >>> import potstill as ps
    >>> rate = ps.schedules.cosine(0.1, epochs=200)
    >>> [round(rate(epoch), 4) for epoch in (0, 50, 100, 199)]
    [0.1, 0.0854, 0.05, 0.0]
    """
    return partial(_cosine, value, epochs)


@checked
def warmup(value: NotNegative, epochs: Count, from_zero: bool = False) -> Schedule:
    """Rises in equal steps to ``value``, reached in the last of the first ``epochs`` epochs, and stays there.

    With ``from_zero`` it is 0 in epoch 0, and reaches ``value`` one epoch later.

    >>> import potstill as ps
    >>> weight = ps.schedules.warmup(1.0, epochs=20)
    >>> weight(0), weight(9), weight(19), weight(200)
    (0.05, 0.5, 1.0, 1.0)
    """
    return partial(_warmup, value, epochs, from_zero)


@checked
def steps(values: Sequence[NotNegative], at: Sequence[Index]) -> Schedule:
    """The first of ``values``, and the next one from every epoch in ``at`` on.

    Raises:
        BadInput: more than 100 epochs, or not in order; not one value more than epochs.

    The weight of NORM on CIFAR-100, in its authors' code:

    >>> import potstill as ps
    >>> weight = ps.schedules.steps([0.1, 0.5, 1.0, 0.5, 0.1], at=[10, 20, 180, 210])
    >>> weight(9), weight(10), weight(100), weight(240)
    (0.1, 0.5, 1.0, 0.1)
    """
    if len(values) != len(at) + 1:
        raise BadInput(f"steps: {len(at)} epochs part {len(at) + 1} values, not {len(values)}")
    if list(at) != sorted(at) or len(at) > MOST:
        raise BadInput(f"steps: at must be {MOST} epochs at most, in order, not {shown(list(at))}")
    return partial(_steps, tuple(values), tuple(at))


@checked
def warmed_up(schedule: Schedule, epochs: Count) -> Schedule:
    """A schedule that rises to itself in the first ``epochs`` epochs, in equal parts.

    Goyal et al., "Accurate, large minibatch SGD", 2017, section 2.2: https://arxiv.org/abs/1706.02677

    >>> import potstill as ps
    >>> rate = ps.schedules.warmed_up(ps.schedules.cosine(0.1, epochs=200), epochs=5)
    >>> [round(rate(epoch), 4) for epoch in (0, 4, 5, 100)]
    [0.02, 0.0999, 0.0998, 0.05]
    """
    return partial(_warmed_up, schedule, epochs)


@checked
def ramp(value: NotNegative, epochs: Count) -> Schedule:
    """Rises to ``value`` along a bell's flank, from a 148th of it in epoch 0; reached in epoch ``epochs``.

    Laine and Aila, "Temporal ensembling for semi-supervised learning", ICLR 2017, section 2.1:
    https://arxiv.org/abs/1610.02242. Ensembles of branches weigh their distillation so.

    >>> import potstill as ps
    >>> weight = ps.schedules.ramp(1.0, epochs=80)
    >>> round(weight(0), 4), round(weight(40), 4), weight(80)
    (0.0067, 0.2865, 1.0)
    """
    return partial(_ramp, value, epochs)


@checked
def late_cosine(value: NotNegative, start: Index, epochs: Count) -> Schedule:
    """``value`` in the first ``start`` epochs, then half a cosine to 0, reached in the last of ``epochs``.

    So the Wasserstein distance of `potstill.losses.WKDL` fades: Lv, Yang and Li, NeurIPS 2024.

    Raises:
        BadInput: it would start to fall after the last epoch.

    >>> import potstill as ps
    >>> weight = ps.schedules.late_cosine(1.0, start=150, epochs=240)
    >>> weight(149), round(weight(194), 4), weight(239)
    (1.0, 0.5, 0.0)
    """
    if start >= epochs:
        raise BadInput(f"late_cosine: start {start} is not before the last of {epochs} epochs")
    return partial(_late_cosine, value, start, epochs)


@checked
def linear(value: NotNegative, epochs: Count) -> Schedule:
    """A straight line from ``value`` in epoch 0 to 0, which epoch ``epochs`` reaches, and 0 ever after.

    >>> import potstill as ps
    >>> weight = ps.schedules.linear(2.0, epochs=160)
    >>> weight(0), weight(80), weight(200)
    (2.0, 1.0, 0.0)
    """
    return partial(_linear, value, epochs)


@checked
def from_epoch(value: NotNegative | Schedule, start: Index) -> Schedule:
    """0 before epoch ``start``, so that a term is not computed at all; from then on ``value``, or what it gives.

    The early-decay teacher of Zhou et al., "Channel distillation", 2020 (https://arxiv.org/abs/2006.01683), as its
    code has it for 200 epochs, but for its off-by-one: the weight of the channels shrinks twice, and cross-entropy
    and KD, whose weights shrink as well, join when it does so first.

    >>> from potstill.schedules import from_epoch, linear, milestones
    >>> channels = milestones(6.0, at=[60, 160], factor=0.9)
    >>> labels = from_epoch(milestones(1.0, at=[60, 160], factor=0.9), 60)
    >>> (channels(59), labels(59)), (channels(60), labels(60))
    ((6.0, 0.0), (5.4, 0.9))

    BSS in the Knowledge-Distillation-Zoo for 200 epochs, on a line that keeps counting from epoch 0:

    >>> boundary = from_epoch(linear(2.0, epochs=160), 10)
    >>> boundary(9), boundary(10), boundary(160)
    (0.0, 1.875, 0.0)
    """
    return partial(_from_epoch, value, start)


def _milestones(value: float, at: Sequence[int], factor: float, epoch: int) -> float:
    return value * factor ** sum(epoch >= milestone for milestone in at)


def _cosine(value: float, epochs: int, epoch: int) -> float:
    return value * (1 + math.cos(math.pi * epoch / epochs)) / 2


def _warmup(value: float, epochs: int, from_zero: bool, epoch: int) -> float:
    return value * min((epoch + (0 if from_zero else 1)) / epochs, 1.0)


def _steps(values: Sequence[float], at: Sequence[int], epoch: int) -> float:
    return values[sum(epoch >= start for start in at)]


def _warmed_up(schedule: Schedule, epochs: int, epoch: int) -> float:
    return schedule(epoch) * min((epoch + 1) / epochs, 1.0)


def _ramp(value: float, epochs: int, epoch: int) -> float:
    return value * math.exp(-5 * (1 - min(epoch / epochs, 1)) ** 2)


def _late_cosine(value: float, start: int, epochs: int, epoch: int) -> float:
    if epoch < start:
        return value
    return value * (1 + math.cos(math.pi * min((epoch + 1 - start) / (epochs - start), 1))) / 2


def _linear(value: float, epochs: int, epoch: int) -> float:
    return value * max(1 - epoch / epochs, 0.0)


def _from_epoch(value: float | Schedule, start: int, epoch: int) -> float:
    if epoch < start:
        return 0.0
    return value(epoch) if callable(value) else value
