"""Each rank's rows of a batch: the images of a step do not depend on how many processes there are."""

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data.distributed import DistributedSampler

from potstill.batch import Batch, labelled_rows, part_of, rows_of
from potstill.data.batch_sizes import halves_of_part
from potstill.data.beside import Beside
from potstill.data.data import Batches
from potstill.data.files.image_loader import ImageLoader
from potstill.data.loader import Loader
from potstill.data.own_loaders import OwnLoader
from potstill.errors import BadInput
from potstill.ranks.world import World


class Sliced:
    """The training batches as one rank sees them. Our own loaders make no more than its rows.

    A rank that has no row of a batch gets the first one, which then counts for nothing.

    Args:
        batches: the whole ones.
        world: whose ranks they are for.

    Raises:
        BadInput: a loader that shares its images out by itself, or leaves out images that cannot be read.
    """

    counts: list[int]
    """The rows of each rank in the batch given last."""
    labelled: list[int]
    """How many of them have labels: the first ones of each rank."""

    def __init__(self, batches: Batches, world: World) -> None:
        self.whole, self.world = batches, world
        self.own: Any = batches
        self.beside = isinstance(batches, Beside)
        if isinstance(batches, Loader | ImageLoader | Beside):
            if any(one.on_bad_image == "skip" for one in _of_files(batches)):
                raise BadInput(
                    "--on-bad-image skip is for one process: with several, the batch of all would not be known; "
                    "potstill check names the images to be removed"
                )
            self.own = batches.part(world.rank, world.size)
        elif isinstance(batches, OwnLoader) and shared_out(batches):
            raise BadInput(
                "the training loader has a DistributedSampler; give it without one: every rank takes its rows "
                "of the batches that one process would see"
            )

    def __len__(self) -> int:
        return len(self.whole)

    def __iter__(self) -> Iterator[Batch]:
        return self._given(iter(self.own), 0)

    def from_batch(self, first: int) -> Iterator[Batch]:
        """The rest of the epoch."""
        return self._given(self.own.from_batch(first), first)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        self.own.set_epoch(epoch)

    def example(self) -> Batch:
        """A whole batch, the same on all ranks."""
        return self.whole.example()

    @property
    def count(self) -> int | None:
        """How many images an epoch has, of all ranks."""
        return self.whole.count

    @property
    def taken(self) -> int:
        """How many batches were taken."""
        return self.own.taken  # type: ignore[no-any-return]

    @property
    def draws(self) -> bool:
        """Whether to take a batch may draw random numbers in this process."""
        return getattr(self.own, "draws", False)

    def _given(self, batches: Iterator[Batch], first: int) -> Iterator[Batch]:
        if isinstance(self.own, Loader | ImageLoader | Beside):
            halves = _halves(self.own)
            for number, batch in enumerate(batches, start=first):
                self._count(*halves[number])
                yield batch
            return
        for number, batch in enumerate(batches, start=first):
            if number == first:
                self._compare(batch, number)
            labelled = labelled_rows(batch)
            others = rows_of(batch) - labelled
            self._count(labelled, others)
            first_rows, beyond = halves_of_part(labelled, others, self.world.rank, self.world.size)
            yield part_of(batch, first_rows if first_rows or beyond else range(1), beyond)

    def _count(self, labelled: int, others: int) -> None:
        parts = [halves_of_part(labelled, others, rank, self.world.size) for rank in range(self.world.size)]
        self.labelled = [len(first) for first, _ in parts]
        self.counts = [len(first) + len(beyond) for first, beyond in parts]

    def sizes(self, example: int) -> list[int]:
        """How many rows this rank has of every batch of an epoch; of somebody's own loader, of one like ``example``."""
        halves = [(example, 0)] if isinstance(self.own, OwnLoader) else _halves(self.own)
        parts = [halves_of_part(*half, self.world.rank, self.world.size) for half in halves]
        return [max(1, len(first) + len(beyond)) for first, beyond in parts]

    def order(self) -> Tensor | None:
        """Where the rows (N,) of the current batch lie among those of all ranks, one rank's after the other's; None if
        they lie as they do in the batch.
        """
        if self.labelled == self.counts:
            return None
        rows = torch.split(torch.arange(sum(self.counts)), self.counts)
        first = [own[:count] for own, count in zip(rows, self.labelled, strict=True)]
        beyond = [own[count:] for own, count in zip(rows, self.labelled, strict=True)]
        return torch.cat([*first, *reversed(beyond)])  # as `halves_of_part` shares them out

    def _compare(self, batch: Batch, number: int) -> None:
        """Refuse a loader of somebody's own whose order differs between the ranks."""
        digest = hashlib.sha256()
        for key in sorted(batch):
            digest.update(batch[key].detach().cpu().contiguous().numpy().tobytes())
        found = self.world.each(digest.hexdigest())
        if other := next((rank for rank, one in enumerate(found) if one != found[0]), None):
            raise BadInput(
                f"batch {number} of the training loader is another one on rank {other} than on rank 0: its order must "
                "not depend on the process; seed what it draws"
            )


def _of_files(batches: Loader | ImageLoader | Beside) -> list[ImageLoader]:
    loaders = [batches.labelled, batches.others] if isinstance(batches, Beside) else [batches]
    return [one for one in loaders if isinstance(one, ImageLoader)]


def _halves(batches: Loader | ImageLoader | Beside) -> list[tuple[int, int]]:
    """How many rows of each batch have labels, as far as some have none, and how many are beside them."""
    if isinstance(batches, Beside):
        return [(size, batches.each) for size in batches.labelled.sizes]
    return [(size, 0) for size in batches.sizes]


def shared_out(loader: OwnLoader) -> bool:
    """Whether somebody's own loader gives each rank other images already."""
    return isinstance(getattr(loader.batches, "sampler", None), DistributedSampler)
