"""Each rank's rows of a batch: the images of a step do not depend on how many processes there are."""

import hashlib
from collections.abc import Iterator
from typing import Any

from torch.utils.data.distributed import DistributedSampler

from potstill.batch import Batch, rows_of
from potstill.data.batch_sizes import rows_of_part
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

    def __init__(self, batches: Batches, world: World) -> None:
        self.whole, self.world = batches, world
        self.own: Any = batches
        if isinstance(batches, Loader | ImageLoader):
            if isinstance(batches, ImageLoader) and batches.on_bad_image == "skip":
                raise BadInput(
                    "--on-bad-image skip is for one process: with several, the batch of all would not be known; "
                    "potstill check names the images to be removed"
                )
            self.own = batches.part(world.rank, world.size)
        elif isinstance(batches, Beside):
            raise BadInput("--extra is for one process: with several, each would have another part of the labels")
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
        if isinstance(self.own, Loader | ImageLoader):
            sizes = self.own.sizes
            for number, batch in enumerate(batches, start=first):
                self._count(sizes[number])
                yield batch
            return
        for number, batch in enumerate(batches, start=first):
            if number == first:
                self._compare(batch, number)
            self._count(rows_of(batch))
            yield self._rows(batch)

    def _count(self, rows: int) -> None:
        parts = [rows_of_part(rows, rank, self.world.size) for rank in range(self.world.size)]
        self.counts = [len(part) for part in parts]

    def _rows(self, batch: Batch) -> Batch:
        """This rank's rows of a whole batch."""
        total = rows_of(batch)
        part = rows_of_part(total, self.world.rank, self.world.size) or range(1)
        wanted = slice(part.start, part.stop)
        return {key: value[wanted] if value.dim() and len(value) == total else value for key, value in batch.items()}

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


def shared_out(loader: OwnLoader) -> bool:
    """Whether somebody's own loader gives each rank other images already."""
    return isinstance(getattr(loader.batches, "sampler", None), DistributedSampler)
