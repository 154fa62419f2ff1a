"""Where in an epoch a run is: between two of its steps."""

from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.data.data import Batches
from potstill.engine.checkpoint import random_states, restore_random_states
from potstill.engine.meter import Meter
from potstill.runs.schema import Speed


class Place:
    """A place between two steps of an epoch, to be saved and to go on from, bit for bit.

    Args:
        asked: ``epoch``, ``lr`` and ``weights``, by which it is trained.
        stored: what `state_dict` gave when a run was stopped there; the start of an epoch by default.
    """

    meter: Meter

    def __init__(self, asked: Mapping[str, Any] | None = None, stored: Mapping[str, Any] | None = None) -> None:
        self.asked, self.stored = dict(asked or {}), stored
        self.step = 0 if stored is None else int(stored["step"])
        self.over = stored is not None and bool(stored["over"])
        self.taken = 0 if stored is None else int(stored["taken"])
        self._before = 0.0 if stored is None else float(stored["seconds"])
        self._after: float | None = None

    def enter(self, names: Sequence[str], device: torch.device) -> None:
        """Begin or go on to measure terms of these names."""
        self.meter = Meter(names, device)
        self.start = random_states() if self.stored is None else self.stored["start"]
        if self.stored is not None:
            self.meter.load_state_dict(self.stored["meter"])
        self._began = monotonic()

    def batches(self, batches: Batches) -> Iterator[Batch]:
        """The batches that are left of the epoch."""
        if self.stored is None:
            return iter(batches)
        if self.over:
            restore_random_states(self.stored["random"])
            return iter(())
        restore_random_states(self.start)  # what a loader draws when it starts
        left = batches.from_batch(self.taken)
        restore_random_states(self.stored["random"])
        return left

    def passed(self, values: Mapping[str, Tensor], images: int, batches: Batches) -> None:
        """Count a step: its terms' values, its images, and the batches it took."""
        self.meter.add(values, images)
        self.step += 1
        # A loader that leaves no batch out need not count those that it gives.
        self.taken = getattr(batches, "taken", self.step)

    def leave(self, epoch: int) -> None:
        """The last step of ``epoch`` has been taken; what is left of it is to measure the networks.

        Raises:
            TrainingFailed: a term was not finite.
        """
        self.meter.check(epoch)
        self.over, self._after = True, self.seconds

    @property
    def moved(self) -> bool:
        """Whether anything has happened since it was stored, or since the start of the epoch."""
        before = (0, False) if self.stored is None else (self.stored["step"], self.stored["over"])
        return (self.step, self.over) != before

    @property
    def seconds(self) -> float:
        """How long the epoch's steps have taken."""
        return self._before + monotonic() - self._began if self._after is None else self._after

    def speed(self) -> Speed:
        """How fast the epoch was."""
        return {"images_per_second": self.meter.images / self.seconds, "seconds": self.seconds}

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on from here, but for the networks, losses and optimiser."""
        return {
            "asked": self.asked,
            "step": self.step,
            "over": self.over,
            "taken": self.taken,
            "seconds": self.seconds,
            "meter": self.meter.state_dict(),
            "start": self.start,
            "random": random_states(),
        }
