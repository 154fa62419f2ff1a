"""Finding the cheap convolutions that bring a teacher's architecture within a budget, before any is trained."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from itertools import product

import torch
from torch import nn

from potstill.checked import checked
from potstill.errors import BadInput
from potstill.networks.cheap import FORMS, ORIGINAL
from potstill.networks.cost import macs, parameters
from potstill.networks.substitution import substitute
from potstill.ranges import Count, Share, Side

USUAL = {
    "factor": (2, 4, 8),
    "size": (2, 4, 8, 16, 32, 64),
    "groups": (2, 4, 8, 16, 32, 64),
    "layers": (4, 8, 16),
}
"""The numbers that stand for those in braces in the grammar, beside those of the original."""

NAMES = {"parameters": "parameters", "macs": "multiply-adds"}


@dataclass(frozen=True)
class Candidate:
    """A student that can be built: the spec of its convolutions, its costs, and their ratios to the teacher's."""

    spec: str
    parameters: int
    parameters_ratio: float
    macs: int
    macs_ratio: float


@checked
def within_budget(
    teacher: nn.Module,
    *,
    budget_params: Share | None = None,
    budget_macs: Share | None = None,
    into: nn.Module | None = None,
    input_shape: tuple[Count, Side, Side] = (3, 32, 32),
) -> list[Candidate]:
    """List the convolutions that make a student of ``teacher`` within a budget, the cheapest first.

    A budget is a fraction of the teacher's parameters or of its multiply-adds for one image of ``input_shape``
    (C, H, W); with both, a student keeps within both. They are sorted by parameters, or by multiply-adds if that is the
    only budget. All specs of the original are tried and, with the numbers in ``USUAL``, all others of the grammar. What
    `substitute` cannot put into this network is left out; of specs that give the same layers, the first counts.
    Nothing is trained, no network is changed, and the caller's random numbers are left alone.

    Args:
        teacher: the network with its own convolutions.
        budget_params: the most parameters, as a fraction of the teacher's.
        budget_macs: the most multiply-adds, as a fraction of the teacher's.
        into: another network that gets the cheap convolutions; by default the teacher.
        input_shape: of an image.

    Raises:
        BadInput: no budget, one that is no fraction, nothing to replace, or nothing fits; then the message names the
            nearest that can be built.

    >>> import potstill as ps
    >>> found = ps.networks.within_budget(ps.networks.create("wrn-10-1"), budget_params=0.2)
    >>> [(candidate.spec, round(candidate.parameters_ratio, 2)) for candidate in found[:3]]
    [('DConvB16', 0.07), ('ConvB16', 0.07), ('DConv3D', 0.09)]
    """
    budgets = _fractions(budget_params, budget_macs)
    all_parameters, all_macs = parameters(teacher), macs(teacher, input_shape)
    found = []
    with torch.random.fork_rng(devices=[]):
        for spec, student in _students(into or teacher):
            weights, work = parameters(student), macs(student, input_shape)
            found.append(Candidate(spec, weights, weights / all_parameters, work, work / all_macs))
    fits = [fit for fit in found if _excess(fit, budgets) <= 1]
    if not fits:
        raise _nothing(min(found, key=lambda fit: _excess(fit, budgets)), budgets, teacher)
    return sorted(fits, key=lambda fit: [getattr(fit, cost) for cost in budgets])


def specs() -> list[str]:
    """Every type of convolution that is tried: those of the original, then the others of the grammar."""
    return list(dict.fromkeys([*ORIGINAL, *(spec for form in FORMS for spec in _named(form))]))


def _named(form: str) -> Iterator[str]:
    """The names of a form, with usual numbers in its braces."""
    names = re.findall(r"{(\w+)}", form)
    for numbers in product(*(USUAL[name] for name in names)):
        yield form.format(**dict(zip(names, numbers, strict=True)))


def _fractions(budget_params: float | None, budget_macs: float | None) -> dict[str, float]:
    """The budgets that are given, by what they limit."""
    given = {"parameters": budget_params, "macs": budget_macs}
    budgets = {cost: budget for cost, budget in given.items() if budget is not None}
    if not budgets:
        raise BadInput("no budget is given: a fraction of the teacher's parameters, of its multiply-adds, or both")
    return budgets


def _students(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """A copy of the network with each type of convolution that it can have; of those with the same layers, one."""
    substitute(deepcopy(network), "Conv")  # fits every layer: it raises only where there is nothing to replace
    seen = set()
    for spec in specs():
        try:
            student = substitute(deepcopy(network), spec)
        except BadInput:
            continue  # cannot split this network's channels
        architecture = str(student), parameters(student)
        if architecture not in seen:
            seen.add(architecture)
            yield spec, student


def _excess(fit: Candidate, budgets: dict[str, float]) -> float:
    """By what factor a student exceeds the budget that it keeps worst."""
    return max(float(getattr(fit, f"{cost}_ratio")) / budget for cost, budget in budgets.items())


def _nothing(nearest: Candidate, budgets: dict[str, float], teacher: nn.Module) -> BadInput:
    wanted = " and ".join(f"{budget} of the {NAMES[cost]}" for cost, budget in budgets.items())
    has = " and ".join(f"{getattr(nearest, f'{cost}_ratio'):.3g} of the {NAMES[cost]}" for cost in budgets)
    return BadInput(f"no convolutions bring {type(teacher).__name__} to {wanted}; nearest is {nearest.spec}: {has}")
