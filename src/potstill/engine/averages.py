"""Averages of weights over the steps of a run."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from potstill.distiller import Distiller
from potstill.runs.names import averaged
from potstill.taps import unwrapped


class Averages:
    """Each learner's averaged weights, which are often better than those of the last step.

        average <- d * average + (1 - d) * weights,    d = min(decay, (1 + t) / (10 + t)) at step t, counted from 0

    Polyak and Juditsky, "Acceleration of stochastic approximation by averaging", 1992:
    https://doi.org/10.1137/0330046. The smaller decay of the first steps, as TensorFlow's has it, forgets the random
    start. Buffers of floating point, such as batch norm's statistics, are averaged as weights are; others are copied.

    Args:
        distiller: whose learners.
        decay: d; 0.9998 remembers some 5,000 steps.
    """

    def __init__(self, distiller: Distiller, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.followed = {name: unwrapped(network) for name, network in distiller.learners.items()}
        self.networks: dict[str, nn.Module] = {}
        for name, network in self.followed.items():
            self.networks[averaged(name)] = deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def follow(self) -> None:
        """Take a step's weights in."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        for copy, network in zip(self.networks.values(), self.followed.values(), strict=True):
            pairs = list(zip(copy.state_dict().values(), network.state_dict().values(), strict=True))
            kinds = {mean.dtype for mean, _ in pairs if mean.is_floating_point() or mean.is_complex()}
            for kind in kinds:
                alike = [(mean, value) for mean, value in pairs if mean.dtype == kind]
                average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
                average([mean for mean, _ in alike], [value for _, value in alike], self.steps)
            for mean, value in pairs:
                if mean.dtype not in kinds:
                    mean.copy_(value)

    def state_dict(self) -> dict[str, Any]:
        """The averages, and how many steps they are of."""
        return {"steps": self.steps, **{name: network.state_dict() for name, network in self.networks.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.steps = state["steps"]
        for name, network in self.networks.items():
            network.load_state_dict(state[name])
