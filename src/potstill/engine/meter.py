"""Sums that stay on the device while an epoch runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from potstill.device import widest
from potstill.errors import TrainingFailed


class Meter:
    """Means of the terms' values over an epoch, and the first step at which one of them was not finite.

    Nothing is read back from the device until asked for.
    """

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self.names = list(names)
        self.images = 0
        self.steps = 0
        self.sums = torch.zeros(len(names), dtype=widest(device), device=device)
        self.finite_steps = torch.zeros(len(names), dtype=torch.int64, device=device)
        self.all_finite = torch.ones(len(names), dtype=torch.bool, device=device)

    def add(self, values: Mapping[str, Tensor], images: int) -> None:
        """Count one step's values: scalars, each a mean over ``images`` images."""
        row = torch.stack([values[name] for name in self.names])
        self.sums.add_(row, alpha=images)
        self.all_finite.logical_and_(row.isfinite())
        self.finite_steps.add_(self.all_finite)
        self.images += images
        self.steps += 1

    def means(self) -> dict[str, float]:
        """Each term's mean over the images so far."""
        return dict(zip(self.names, (self.sums / max(self.images, 1)).tolist(), strict=True))

    def state_dict(self) -> dict[str, Any]:
        """The sums so far."""
        sums = {"sums": self.sums, "finite_steps": self.finite_steps, "all_finite": self.all_finite}
        return {"names": self.names, "images": self.images, "steps": self.steps, **sums}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            ValueError: it is of other terms.
        """
        if state["names"] != self.names:
            raise ValueError(f"its terms are {', '.join(state['names'])}, not {', '.join(self.names)}")
        self.images, self.steps = state["images"], state["steps"]
        for name in ("sums", "finite_steps", "all_finite"):
            getattr(self, name).copy_(state[name])

    def check(self, epoch: int) -> None:
        """Stop a run that has gone wrong.

        Raises:
            TrainingFailed: a term was not finite; it names the first, and the step, counted from 0, at which it was so.
        """
        steps = self.finite_steps.tolist()
        first = min(steps)
        if first < self.steps:
            name = self.names[steps.index(first)]
            raise TrainingFailed(f"{name!r} is not finite at step {first} of epoch {epoch}")
