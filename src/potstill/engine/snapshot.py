"""All tensors that a training step changes, as they were at some time."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.optim import Optimizer

from potstill.distiller import Distiller
from potstill.engine.checkpoint import random_states, restore_random_states


class Snapshot:
    """A copy of what learns and is kept by networks, losses and optimiser, and of all random numbers' states.

    Args:
        distiller: whose networks and losses.
        optimizer: of theirs; None where no step is taken.
    """

    def __init__(self, distiller: Distiller, optimizer: Optimizer | None = None) -> None:
        self.live = self.tensors(distiller, optimizer)
        self.buffers = [
            (module, name, value)
            for module in distiller.modules()
            for name, value in module.named_buffers(recurse=False)
        ]
        self.values = [value.detach().clone() for value in self.live]
        self.random = random_states()

    @staticmethod
    def tensors(distiller: Distiller, optimizer: Optimizer | None = None) -> list[Tensor]:
        """The tensors themselves; no gradients, which a step leaves none of."""
        learning = (parameter for parameter in distiller.parameters() if parameter.requires_grad)
        return [*learning, *distiller.buffers(), *_kept(optimizer)]

    @torch.no_grad()
    def restore(self, replaced: bool = False) -> None:
        """Write the copies back, in place.

        Args:
            replaced: also put back the buffers for which a step has put others, as for batches of another size: not
                where a captured step goes on with those.
        """
        for module, name, buffer in self.buffers if replaced else ():
            setattr(module, name, buffer)
        for value, copy in zip(self.live, self.values, strict=True):
            value.copy_(copy)
        restore_random_states(self.random)

    def distance(self, other: "Snapshot | None" = None) -> float:
        """The norm of the difference to another snapshot of the same, or to how things are now."""
        others = self.live if other is None else other.values
        squares = [
            (one.detach().double() - two.detach().double()).square().sum()
            for one, two in zip(self.values, others, strict=True)
            if one.is_floating_point()
        ]
        return float(torch.stack(squares).sum().sqrt()) if squares else 0.0


def _kept(optimizer: Optimizer | None) -> Iterator[Tensor]:
    for state in () if optimizer is None else optimizer.state.values():
        yield from (value for value in state.values() if isinstance(value, Tensor))
