"""Whether an engine answers as torch does: measured by how far torch's own float32 is from float64, on real images.

By that and not by fixed numbers, since rounding grows with a network's depth and with the size of its activations.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from potstill.errors import first_line
from potstill.forward_pass import ForwardPass
from potstill.guard import is_out_of_memory
from potstill.soundness import differ
from potstill.taps import Taps
from potstill.teacher_engines.engines import NotServed

TIMES = 4
"""How many times torch's own rounding an engine's answers may be from torch's. Two roundings of one size, independent
of each other, are 1.4 times that size apart; sums in an order unluckier than torch's may be off three times as much."""
ULPS = 4
"""What they may differ by in any case, in units of the last place: where torch happens to be exact."""


@dataclass(frozen=True)
class Off:
    """How far some answers are from others that are taken for true.

    Args:
        errors: the norm of the difference at each address, of that of the true answer.
        kl: the mean KL divergence of the true softmax of the logits from the other one; 0 where none are asked for.
        logit: the largest difference of a logit.
        top1: the share of images of the same first class, in percent.
        lead: how far the true first class is ahead of the other answer's at most, in logits.
        floor: a unit in the last place of the largest true logit, and in `unit` of 1.
    """

    errors: dict[str, float]
    kl: float = 0.0
    logit: float = 0.0
    top1: float = 100.0
    lead: float = 0.0
    floor: float = 0.0
    unit: float = 0.0

    @property
    def error(self) -> float:
        """The largest of the errors."""
        return max(self.errors.values())

    def allows(self, other: "Off") -> bool:
        """Whether, if this is how far torch is from float64, what is as far from torch as ``other`` counts as the same.

        Classes may change places where rounding may change them. KL is of second order in the logits' differences: at
        most half of the square of the largest.
        """
        near = all(other.errors[text] <= TIMES * own + ULPS * other.unit for text, own in self.errors.items())
        kl = other.kl <= TIMES**2 * self.kl + (ULPS * other.floor) ** 2 / 2
        return near and kl and other.lead <= 2 * (TIMES * self.logit + ULPS * other.floor)

    def beside(self, own: "Off") -> str:
        """In words, beside torch's own rounding."""
        features = f"tensors are off by {self.error:.1g} at most (torch itself, from float64: {own.error:.1g})"
        return f"KL {self.kl:.1g} ({own.kl:.1g}), top-1 the same for {self.top1:g} %, {features}"


def off(true: Mapping[str, Tensor], found: Mapping[str, Tensor], logits: str) -> Off:
    """How far ``found`` is from ``true``; what is of another shape or dtype is infinitely far."""
    errors = {text: _error(value, found[text]) for text, value in true.items()}
    if logits not in true or true[logits].dim() != 2 or max(errors.values()) == inf:
        return Off(errors, unit=max(map(_unit, found.values())))
    real, other = true[logits].double(), found[logits].double()
    difference = torch.log_softmax(real, 1) - torch.log_softmax(other, 1)
    first, second = real.argmax(1), other.argmax(1)
    return Off(
        errors,
        kl=float((real.softmax(1) * difference).sum(1).mean()),
        logit=float((real - other).abs().max()),
        top1=100 * float((first == second).double().mean()),
        lead=float((real.amax(1) - real.gather(1, second[:, None])[:, 0]).max()),
        floor=_unit(found[logits]) * float(real.abs().max()),
        unit=max(map(_unit, found.values())),
    )


def _error(true: Tensor, found: Tensor) -> float:
    if (true.shape, true.device) != (found.shape, found.device) or true.dtype not in (found.dtype, torch.float64):
        return inf
    if not true.is_floating_point():
        return 0.0 if torch.equal(true, found.to(true.dtype)) else inf
    error = (found.double() - true.double()).norm()
    return float((error / true.double().norm().clamp(min=torch.finfo(torch.float64).tiny)).nan_to_num(nan=inf))


def _unit(value: Tensor) -> float:
    return torch.finfo(value.dtype).eps if value.is_floating_point() else 0.0


def exactly(one: ForwardPass, batches: Sequence[Tensor]) -> list[dict[str, Tensor]]:
    """What a pass answers to some batches of images in float64.

    Raises:
        NotServed: it does not run so.
    """
    try:
        taps = Taps(deepcopy(one.taps.network).double(), one.key, one.taps.asked)
        taps.copies = one.taps.copies
        with torch.autocast(batches[0].device.type, enabled=False):
            return [taps(images.double()) for images in batches]
    except Exception as error:  # of the network's own code
        if is_out_of_memory(error):
            raise
        raise NotServed(f"it does not run in float64, by which engines are checked: {first_line(error)}") from error


def must_be_repeatable(one: ForwardPass, images: Tensor, answers: Mapping[str, Tensor]) -> None:
    """Refuse what an example cannot show: whether an engine answers as torch does.

    Raises:
        NotServed: an answer is another one when asked again, or beside fewer other images.
    """
    again = one.taps(images)
    if any(differ(value, again[text]) for text, value in answers.items()):
        raise NotServed("it gives something else each time for the same images")
    some = max(1, len(images) // 2)
    fewer = one.taps(images[:some])
    rows = {text: value for text, value in answers.items() if value.dim() and len(value) == len(images)}
    if any(len(fewer[text]) != some or differ(fewer[text], value[:some]) for text, value in rows.items()):
        raise NotServed("what it gives for an image depends on the rest of the batch")
