"""Gradients summed over all ranks, after the backward pass.

torch's DistributedDataParallel begins while the backward pass runs, and has to be told, or to find out, what it will
not reach. For networks of this package's size the sum takes a few hundredths of a step; in exchange, whatever a step
leaves alone is left alone, and nobody has to know beforehand.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor

from potstill.ranks.world import World

BUCKET = 2**23
"""Numbers that are summed at once."""


def sum_gradients(parameters: Sequence[Tensor], values: Mapping[str, Tensor], world: World) -> dict[str, Tensor]:
    """Sum the gradients, and the terms' values, over all ranks.

    A parameter that has a gradient on no rank keeps none, so that the optimiser leaves it alone.

    Args:
        parameters: all that a gradient may have reached, in the same order on all ranks.
        values: scalars.
        world: the ranks.
    """
    lacking = [parameter for parameter in parameters if parameter.grad is None]
    for parameter in lacking:
        parameter.grad = torch.zeros_like(parameter)
    device = parameters[0].device
    had = torch.ones(len(parameters), dtype=torch.float64)
    if lacking:
        known = {id(parameter) for parameter in lacking}
        had = torch.tensor([id(parameter) not in known for parameter in parameters], dtype=torch.float64)
    head = torch.cat([had.to(device, non_blocking=True), torch.stack([*values.values()]).to(device, torch.float64)])
    summed = world.sum(head)
    waiting = []
    for bucket in buckets(parameters):
        gradients = [parameter.grad for parameter in bucket if parameter.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        waiting.append((world.sum(flat), flat, gradients))
    for work, flat, gradients in waiting:
        world.wait(work)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))
    world.wait(summed)
    if lacking:  # only then does this wait for the device
        for parameter, count in zip(parameters, head[: len(parameters)].tolist(), strict=True):
            if count == 0:
                parameter.grad = None
    return dict(zip(values, head[len(parameters) :].unbind(), strict=True))


def buckets(parameters: Sequence[Tensor]) -> list[list[Tensor]]:
    """Parameters of one kind that are summed at once, of at most `BUCKET` numbers unless one alone has more."""
    found: list[list[Tensor]] = []
    for _, alike in groupby(parameters, lambda parameter: (parameter.dtype, parameter.device)):
        room = 0
        for parameter in alike:
            if not found or room < parameter.numel() or room <= 0:
                found.append([])
                room = BUCKET
            found[-1].append(parameter)
            room -= parameter.numel()
        room = 0
    return found
