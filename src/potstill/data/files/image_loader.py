"""Batches of image files, decoded or read from a cache by worker processes, normalised on the device."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from potstill.batch import Batch
from potstill.data.files.decoding import Crops
from potstill.data.files.encoded import Encoded
from potstill.data.files.order import Item, Order
from potstill.data.files.pixels import PixelCache
from potstill.data.files.reading import PATIENCE, Reader
from potstill.data.files.slots import PREFETCH, Slots
from potstill.data.files.views import Bad, Views
from potstill.data.files.workers import alive, first_thing
from potstill.data.images import NO_LABEL
from potstill.data.normalize import Standardize
from potstill.errors import BadInput
from potstill.say import say

OnBadImage = Literal["fatal", "skip"]
EXAMPLES = 16  # images of an example batch: enough for shapes


class ImageLoader:
    """Yields the same batches as `Loader`, of images that are read from files, of ``size`` x ``size`` pixels.

    Workers send uint8; it is moved to the device and normalised there. Order and views of an epoch depend on ``seed``
    and the epoch alone, not on the number of workers. ``view`` is that of `Crops`.

    An image that cannot be read, or takes longer than ``patience`` seconds, is named on stderr, with the reason. Then
    it ends everything ("fatal"), or its batches have one image less ("skip"). Where images are shuffled, to be trained
    on, none comes alone if there are others: a last batch of one joins the one before it, and what "skip" has left
    alone joins the one after it.

    Args:
        images: the encoded images and their labels.
        batch_size: images a batch.
        size: side of the crops, in pixels.
        mean: of red, green and blue, for pixels in 0..1.
        std: likewise.
        shuffle: in a random order.
        augment: a random view of each image; otherwise the plain one.
        seed: of order and views.
        device: where the batches are wanted.
        rows: restrict it to those rows (int64); ``index`` stays the row in the whole set.
        workers: processes that decode; with 0 it is done in this one, between two batches.
        cache: keep the decoded images, see `PixelCache`.
        on_bad_image: "fatal" or "skip".
        patience: seconds.
        views: how many random views of each image there are, whatever the seed; any number by default.
        balanced: an epoch has as many images, drawn so that every class is as likely.
    """

    def __init__(
        self,
        images: Encoded,
        batch_size: int,
        *,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        shuffle: bool,
        augment: bool,
        seed: int = 0,
        device: torch.device | str = "cpu",
        rows: Tensor | None = None,
        workers: int = 0,
        cache: bool = False,
        on_bad_image: OnBadImage = "fatal",
        patience: float = PATIENCE,
        views: int | None = None,
        balanced: bool = False,
    ) -> None:
        if batch_size < 1:
            raise BadInput(f"batch size is {batch_size}, but must be at least 1")
        if workers < 0:
            raise BadInput(f"--workers is {workers}, but must not be negative")
        self.images, self.batch_size, self.seed, self.epoch, self.taken = images, batch_size, seed, 0, 0
        self.workers, self.on_bad_image, self.views, self.balanced = workers, on_bad_image, views, balanced
        self.rows = torch.arange(len(images)) if rows is None else rows
        self.device = torch.device(device)
        self.labels = images.labels.to(device)
        self.has_labels = bool((images.labels != NO_LABEL).all())
        self._rows_in_all = torch.tensor(len(images), device=device)
        self._crops = Crops(size)
        self._standardize = Standardize((size, size, 3), mean, std, device)
        self.source = PixelCache(images, self._crops, workers) if cache else Reader(images, patience)
        self._reported: set[int] = set()
        self._start(shuffle, augment)

    def __len__(self) -> int:
        return len(self._order)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0, whose batches the next iteration yields."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        return self.batches(self.epoch)

    def from_batch(self, first: int) -> Iterator[Batch]:
        """The batches of the epoch chosen last from this one on, counted from 0; no image before it is decoded."""
        return self.batches(self.epoch, first)

    def batches(self, epoch: int, first: int = 0) -> Iterator[Batch]:
        """The batches of one epoch. The workers are one epoch's at a time: with the next one this one is over.

        Raises:
            BadInput: an image, or the cache, cannot be read.
            TrainingFailed: a worker was killed.
            RuntimeError: it is gone on with after another epoch has begun.
        """
        self._order.epoch, self._order.first = epoch, first
        self._begun += 1
        begun, empty = self._begun, True
        alone: Batch | None = None
        for taken, made in enumerate(alive(self._started()), start=first + 1):
            if isinstance(made, BadInput):
                raise made
            place, items, bad = made
            self._report(bad)
            if not items:  # all of them are bad
                continue
            empty = False
            batch = self._finished(self._views.slots[place] if self._views.slots else place, items)
            batch, alone = (batch if alone is None else _joined(alone, batch)), None
            if bad and len(batch["index"]) == 1 and self._order.shuffle:
                alone = batch
                continue
            self.taken = taken
            yield batch
            if self._begun != begun:
                raise RuntimeError("an ImageLoader yields one epoch at a time, and another one has begun")
        if empty and not first:
            raise self._none_is_left()
        if alone is not None:
            say(f"{self.images.name(int(alone['index']))} is the only good image of its batch and is left out")

    def example(self) -> Batch:
        """The first images of epoch 0, at most 16: enough to see their shape, read by this process."""
        self._order.epoch = self._order.first = 0
        for wanted in self._order:
            pixels, items, bad = self._views.make(wanted[:EXAMPLES])
            self._report(bad)
            if items:
                return self._finished(pixels, items)
        raise self._none_is_left()

    @property
    def count(self) -> int:
        """How many images an epoch has."""
        return len(self.rows)

    def plain(self, rows: Tensor | None = None, batch_size: int | None = None) -> "ImageLoader":
        """The same images (or some ``rows`` of them) in order and in their plain view."""
        loader = copy.copy(self)
        loader.rows = self.rows if rows is None else rows
        loader.batch_size = self.batch_size if batch_size is None else batch_size
        loader._start(shuffle=False, augment=False)
        return loader

    def part(self, part: int, parts: int) -> "ImageLoader":
        """The same batches, but only one of several parts of each: the first image where that has none."""
        loader = copy.copy(self)
        loader._start(self._order.shuffle, self._order.augment)
        loader._order.part = (part, parts)
        return loader

    @property
    def side(self) -> int:
        """Side of the crops, in pixels."""
        return self._crops.size

    @property
    def augments(self) -> bool:
        """Whether it gives random views, and not the plain ones."""
        return self._order.augment

    @property
    def sizes(self) -> list[int]:
        """The images of every batch of an epoch, before they are parted."""
        return self._order.sizes

    def _start(self, shuffle: bool, augment: bool) -> None:
        self._views = Views(self.source, self._crops)
        labels = self.images.labels if self.balanced else None
        self._order = Order(self.rows, self.batch_size, self.seed, shuffle, augment, self.views, labels)
        self._loader: DataLoader[Any] | None = None
        self._begun = 0

    def _started(self) -> "DataLoader[Any]":
        """The workers, and their memory, from the first epoch on as long as the loader lives."""
        if self._loader is not None:
            return self._loader
        ahead: dict[str, Any] = {}
        if self.workers:
            self._views.slots = Slots(self.workers, max(self._order.sizes), self._crops.size)
            ahead = {"prefetch_factor": PREFETCH, "persistent_workers": True}
        self._loader = DataLoader(
            self._views,
            batch_sampler=self._order,
            num_workers=self.workers,
            collate_fn=_as_it_is,
            worker_init_fn=first_thing(),
            generator=torch.Generator(),  # of the workers' own seeds, which nothing uses; else it takes the caller's
            **ahead,
        )
        return self._loader

    def _finished(self, pixels: Tensor, items: Sequence[Item]) -> Batch:
        """The batch of the first of ``pixels``, one an item. They are read before this returns."""
        index, view = torch.tensor(items, dtype=torch.int64).to(self.device).unbind(1)
        images = self._standardize(pixels[: len(items)].to(self.device))
        labels = {"labels": self.labels[index]} if self.has_labels else {}
        return {"images": images, **labels, "index": index, "view": view, "size": self._rows_in_all}

    def _none_is_left(self) -> BadInput:
        return BadInput(
            f"none of the {self.count} images can be read, {self.images.name(int(self.rows[0]))} for example"
        )

    def _report(self, bad: Sequence[Bad]) -> None:
        for row, reason in bad:
            if self.on_bad_image == "fatal":
                hint = "--on-bad-image skip leaves such images out, potstill check names them all"
                raise BadInput(f"{self.images.name(row)} cannot be read: {reason}; {hint}")
            if row not in self._reported:
                self._reported.add(row)
                say(f"{self.images.name(row)} cannot be read and is left out: {reason}")


def _joined(one: Batch, other: Batch) -> Batch:
    """Two batches as one; what is no entry an image stays as it is."""
    return {key: torch.cat((value, other[key])) if value.dim() else value for key, value in one.items()}


def _as_it_is(batch: Any) -> Any:
    return batch
