"""Batches of a small image set that lives whole on the device."""

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.data.augment import Augment
from potstill.data.balanced import drawn_balanced
from potstill.data.batch_sizes import batch_sizes, rows_of_part, stretches
from potstill.data.images import NO_LABEL, ImageSet
from potstill.data.normalize import Standardize
from potstill.data.seeds import EPOCH, VIEWS, seeded
from potstill.errors import BadInput

TOGETHER = 64  # batches

Companion = Callable[["Loader", int, int, Batch], Batch]
"""What gives further entries of a batch, of: the loader, the epoch, the number of the batch in it, and the batch."""


def shuffled(rows: Tensor, generator: torch.Generator) -> Tensor:
    """The rows in the order of ``torch.randperm``, as 32-bit numbers if there are no more rows: twice as fast.

    >>> rows, seeds = torch.arange(5, 25), [torch.Generator().manual_seed(1) for _ in range(2)]
    >>> bool((shuffled(rows, seeds[0]) == rows[torch.randperm(20, generator=seeds[1])]).all())
    True
    """
    short = torch.int32 if len(rows) < 2**31 else torch.int64
    return rows.index_select(0, torch.randperm(len(rows), generator=generator, dtype=short))


class Loader:
    """Yields ``{"images", "labels", "index", "view", "size"}`` batches, shuffled and augmented if ``augment`` is given.

    ``images`` are float32 (B, C, H, W) in channels_last memory format, ``(x / 255 - mean) / std``; ``labels``,
    ``index`` (the row in ``image_set``) and ``view`` (see `Augment`) are int64 (B,); ``size`` () is the number of its
    rows, which a memory bank of all images needs to know. The last batch may be smaller; where images are augmented,
    to be trained on, a last one of one image joins the one before it.

    With ``augment=None`` the images come in order and unchanged. Otherwise the order and the views of an epoch
    depend on ``seed`` and the epoch alone: not on the device, the global random state or earlier epochs.
    Of images without labels (`NO_LABEL`) there is no entry ``labels``.
    ``rows`` (int64) restricts the loader to those rows of ``image_set``; ``index`` stays the row in the whole set.
    With ``views`` each image is seen in that many views only, which do not depend on the seed. ``balanced``, an epoch
    has as many images, drawn so that every class is as likely.
    """

    def __init__(
        self,
        image_set: ImageSet,
        batch_size: int,
        *,
        mean: Sequence[float],
        std: Sequence[float],
        augment: Augment | None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        rows: Tensor | None = None,
        views: int | None = None,
        balanced: bool = False,
    ) -> None:
        if batch_size < 1:
            raise BadInput(f"batch size is {batch_size}, but must be at least 1")
        self.batch_size, self.seed, self.epoch, self.taken = batch_size, seed, 0, 0
        self.balanced = balanced
        self.companions: tuple[Companion, ...] = ()  # give further entries
        self._part = (0, 1)  # which one of how many parts of every batch
        self.augment = Augment(pad=0, flip=False) if augment is None else augment
        self.shuffle = augment is not None
        # The views of each image (rows, views), if their number is given: the same ones whatever the seed.
        self.table = (
            None if views is None else self.augment.draw(len(image_set) * views, seeded(0, VIEWS)).view(-1, views)
        )
        self.rows = torch.arange(len(image_set)) if rows is None else rows  # on the CPU, where they are shuffled
        self.device = torch.device(device)
        self.labels = image_set.labels.to(device)
        self.has_labels = bool((image_set.labels != NO_LABEL).all())
        self._rows_in_all = torch.tensor(len(image_set), device=device)
        # Only the padded copy is kept: a crop of it is any view, the plain image included.
        self._padded = self.augment.padded(image_set.images.to(device)).contiguous()
        self._size = image_set.images.shape[1:]
        self._standardize = Standardize(self._size, mean, std, self.device)

    def __len__(self) -> int:
        return len(self.sizes)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, whose batches the next iteration yields."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        return self.batches(self.epoch)

    def from_batch(self, first: int) -> Iterator[Batch]:
        """The batches of the epoch chosen last from this one on, counted from 0; no image before it is touched."""
        return self.batches(self.epoch, first)

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of one epoch: everything random is drawn and moved here, at once.

        What follows from it is computed for some batches together when the first of them comes: on a GPU one by one
        would be as many small operations, and of a large set all at once would have the first batch wait.
        """
        index, view = (drawn.to(self.device) for drawn in self.draw(epoch))
        self.taken = first
        for begin, sizes in stretches(self.sizes, first, TOGETHER):
            some = slice(begin, begin + sum(sizes))
            columns = *self._locate(index[some], view[some]), self.labels[index[some]], index[some], view[some]
            of_batches = zip(*(self._parts(column, sizes) for column in columns), strict=True)
            for batch_start, batch_mirrored, batch_labels, batch_index, batch_view in of_batches:
                number, self.taken = self.taken, self.taken + 1
                images = self._standardize(self._crop(batch_start, batch_mirrored))
                labels = {"labels": batch_labels} if self.has_labels else {}
                batch = {"images": images, **labels, "index": batch_index, "view": batch_view}
                batch["size"] = self._rows_in_all
                for companion in self.companions:
                    batch |= companion(self, epoch, number, batch)
                yield batch

    def images(self, index: Tensor, view: Tensor) -> Tensor:
        """The normalised images (B, C, H, W) of given rows (B,) and views (B,): what a batch with them holds."""
        return self.normalized(self.pixels(index, view))

    def pixels(self, index: Tensor, view: Tensor) -> Tensor:
        """The pixels (B, H, W, C), uint8, of given rows (B,) and views (B,)."""
        return self._crop(*self._locate(index.to(self.device), view.to(self.device)))

    def normalized(self, pixels: Tensor) -> Tensor:
        """The images (B, C, H, W) of pixels (B, H, W, C)."""
        return self._standardize(pixels)

    def example(self) -> Batch:
        """The first batch of epoch 0."""
        return next(self.batches(0))

    @property
    def count(self) -> int:
        """How many images an epoch has."""
        return len(self.rows)

    def plain(self, rows: Tensor | None = None, batch_size: int | None = None) -> "Loader":
        """The same images (or some ``rows`` of them) in order and unchanged, without a second copy in memory."""
        loader = copy.copy(self)
        loader.shuffle, loader.companions = False, ()
        loader.rows = self.rows if rows is None else rows
        loader.batch_size = self.batch_size if batch_size is None else batch_size
        return loader

    def beside(self, companions: Sequence[Companion]) -> "Loader":
        """The same batches, with what these give as further entries."""
        loader = copy.copy(self)
        loader.companions = tuple(companions)
        return loader

    def part(self, part: int, parts: int) -> "Loader":
        """The same batches, but only one of several parts of each: the first row where that has none."""
        loader = copy.copy(self)
        loader._part = (part, parts)
        return loader

    @property
    def sizes(self) -> list[int]:
        """The rows of every batch of an epoch, before they are parted."""
        return batch_sizes(len(self.rows), self.batch_size, merged=self.shuffle)

    def _parts(self, column: Tensor, sizes: Sequence[int]) -> list[Tensor]:
        """A column of some batches' rows, batch by batch."""
        batches = torch.split(column, list(sizes))
        if self._part == (0, 1):
            return list(batches)
        wanted = [rows_of_part(len(batch), *self._part) or range(1) for batch in batches]
        return [batch[rows.start : rows.stop] for batch, rows in zip(batches, wanted, strict=True)]

    def part_of(self, column: Tensor) -> Tensor:
        """This part's rows of a column of a whole batch."""
        return self._parts(column, [len(column)])[0]

    def draw(self, epoch: int) -> tuple[Tensor, Tensor]:
        """The order (n,) of an epoch's rows, and their views (n,), on the CPU."""
        if not self.shuffle:
            return self.rows, torch.full_like(self.rows, self.augment.plain)
        generator = seeded(self.seed, EPOCH, epoch)
        if self.balanced:
            rows = drawn_balanced(self.rows, self.labels.cpu(), generator)
        else:
            rows = shuffled(self.rows, generator)
        if self.table is None:
            return rows, self.augment.draw(len(rows), generator)
        return rows, self.table[rows, torch.randint(self.table.shape[1], (len(rows),), generator=generator)]

    def _locate(self, index: Tensor, view: Tensor) -> tuple[Tensor, Tensor]:
        """The pixel of the padded set at which each crop starts, and whether it is mirrored (0 or 1)."""
        dy, dx, mirrored = self.augment.split(view)
        _, height, width, _ = self._padded.shape
        return (index * height + dy) * width + dx, mirrored

    def _crop(self, start: Tensor, mirrored: Tensor) -> Tensor:
        """Crops (B, H, W, C) of the padded set, as uint8.

        Every pixel at which a crop may start is a row of one overlapping view, so that a batch is one
        `index_select`: ten times faster on a CPU than indexing by image, dy and dx. Mirroring selects from the
        crops and their mirror images, three times faster than `torch.where` on uint8.
        """
        height, width, channels = self._size
        row = self._padded.stride(1)
        last = self._padded.numel() - ((height - 1) * row + width * channels)
        windows = self._padded.as_strided((last // channels + 1, height, width, channels), (channels, row, channels, 1))
        crops = windows.index_select(0, start)
        if not self.augment.flip:
            return crops
        both = torch.cat((crops, crops.flip(2)))
        return both.index_select(0, torch.arange(len(crops), device=self.device) + len(crops) * mirrored)
