"""Transforms of training batches, on the device: mixing, further views, and the like."""

from collections.abc import Callable, Sequence

import torch

from potstill.batch import Batch, as_batch, rows_of
from potstill.data.seeds import TRANSFORMS, seed_of
from potstill.errors import BadInput
from potstill.guard import guarded


class Transforms:
    """Applies functions from batch to batch, one after the other.

    They draw from torch's global random numbers, as torchvision's transforms do. These are seeded for every batch by
    seed, epoch and step, so that a resumed run repeats them; outside, random numbers go on as if none had been drawn.

    Args:
        functions: what to apply.
        seed: the run's.
        rank: of a process among several, whose images are others.
        before: what to apply before that.
    """

    def __init__(
        self,
        functions: Sequence[Callable[[Batch], Batch]],
        seed: int,
        rank: tuple[int, ...] = (),
        before: Sequence[Callable[[Batch], Batch]] = (),
    ) -> None:
        if callable(functions) or not all(map(callable, functions)):
            raise BadInput("transforms is a list of functions from batch to batch: transforms=[mixup]")
        self.functions, self.seed, self.rank = [*before, *functions], seed, rank

    def __call__(self, batch: Batch, epoch: int, step: int) -> Batch:
        """The batch of a step, transformed.

        Raises:
            BadInput: a function gives no batch, or one of another number of images; it is named.
        """
        if not self.functions:
            return batch
        device = next(iter(batch.values())).device
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed_of(self.seed, TRANSFORMS, epoch, step, *self.rank))
            for function in self.functions:
                batch = _applied(function, batch)
        return batch


def _applied(function: Callable[[Batch], Batch], batch: Batch) -> Batch:
    name = getattr(function, "__name__", type(function).__name__)
    try:
        changed = as_batch(guarded("it", function, dict(batch)))
    except BadInput as error:
        raise BadInput(f"transform {name}: {error}") from error
    before, now = rows_of(batch), rows_of(changed)
    if before != now:
        raise BadInput(f"transform {name} makes a batch of {now} images out of one of {before}; it must keep them all")
    return changed
