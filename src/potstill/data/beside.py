"""Labelled images, and beside them in every batch some that have no labels."""

from collections.abc import Iterator
from itertools import count

import torch

from potstill.batch import Batch
from potstill.data.batch_sizes import halves_of_part
from potstill.data.files.image_loader import ImageLoader
from potstill.data.loader import Loader

ROWS = ("images", "index", "view")
"""The entries that all images have."""


class Beside:
    """Yields the batches of ``labelled``, each with as many further images, of ``others``, after its own.

    ``images``, ``index`` and ``view`` are of all, ``labels`` of the first rows alone: a term that takes labels sees
    these only. ``index`` goes on where the labelled set ends, and ``size`` counts both sets.

    An epoch is one pass over the labelled images. The others have passes of their own, each in another order, which go
    on from epoch to epoch: which of them a step has depends on its number and the seed alone. What a pass has left when
    it cannot fill a batch is not seen in that pass.

    Args:
        labelled: the training images.
        others: images without labels, in batches of as many as are wanted beside each of the former.
    """

    def __init__(self, labelled: Loader | ImageLoader, others: Loader | ImageLoader) -> None:
        self.labelled, self.others, self.epoch = labelled, others, 0
        self.each = others.sizes[0]
        self.whole = sum(size == self.each for size in others.sizes)  # batches of a pass
        self._part = (0, 1)  # which one of how many parts of every batch
        self._running: Iterator[tuple[int, Batch]] | None = None
        self._coming: tuple[int, Batch] | None = None  # the batch that comes next, and its number
        self._wanted = 0  # the number that is asked for next, if all goes on as it does

    def __len__(self) -> int:
        return len(self.labelled)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0."""
        self.epoch = epoch
        self.labelled.set_epoch(epoch)

    def __iter__(self) -> Iterator[Batch]:
        return self.from_batch(0)

    def from_batch(self, first: int) -> Iterator[Batch]:
        """The batches of the epoch chosen last from this one on, counted from 0."""
        before = self.epoch * len(self.labelled)
        for batch in self.labelled.from_batch(first):
            beside = self._numbered(before + self.labelled.taken - 1)
            yield batch if beside is None else joined(*self._own(batch, beside))

    def example(self) -> Batch:
        """The first images of both."""
        return joined(self.labelled.example(), self.others.example())

    def part(self, part: int, parts: int) -> "Beside":
        """The same batches, but only one of several parts of each: its share of the labelled images, and of the others.
        Where it has neither, the first labelled one.
        """
        found = Beside(self.labelled.part(part, parts), self.others.part(parts - 1 - part, parts))
        found._part = (part, parts)
        return found

    @property
    def count(self) -> int:
        """How many labelled images an epoch has."""
        return self.labelled.count

    @property
    def sizes(self) -> list[int]:
        """The images of every batch of an epoch."""
        return [size + self.each for size in self.labelled.sizes]

    @property
    def taken(self) -> int:
        """How many batches of the epoch were taken."""
        return self.labelled.taken

    @property
    def has_labels(self) -> bool:
        """That some images have labels."""
        return True

    @property
    def labels(self) -> torch.Tensor:
        """Those of the labelled images."""
        return self.labelled.labels

    @property
    def rows(self) -> torch.Tensor:
        """Which of the labelled images are trained on."""
        return self.labelled.rows

    def _own(self, labelled: Batch, others: Batch) -> tuple[Batch, Batch]:
        """What this part has of both, without the images that its loaders give where it has none of theirs."""
        if self._part == (0, 1):
            return labelled, others
        size = self.labelled.sizes[self.labelled.taken - 1]
        first, beyond = (len(rows) for rows in halves_of_part(size, self.each, *self._part))
        return _first(labelled, first if first or beyond else 1), _first(others, beyond)

    def _numbered(self, number: int) -> Batch | None:
        """The other images of that step of the run; None if not one of them can be read."""
        if self._running is None or number != self._wanted:
            # From the step before on: an image that is alone in its batch comes with the next one.
            self._running, self._coming = self._from(max(0, number - 1)), None
        self._wanted = number + 1
        while self._coming is None or self._coming[0] < number:
            self._coming = next(self._running)
        return self._coming[1] if self._coming[0] == number else None

    def _from(self, number: int) -> Iterator[tuple[int, Batch]]:
        """All batches of the others from that one on, pass after pass, with their numbers."""
        done, first = divmod(number, self.whole)
        for taken in count(done):
            self.others.set_epoch(taken)
            for batch in self.others.from_batch(first):
                if self.others.taken > self.whole:
                    break
                yield taken * self.whole + self.others.taken - 1, batch
            first = 0


def joined(labelled: Batch, others: Batch) -> Batch:
    """One batch of two: what all images have is put together, and labels stay those of the first rows."""
    index = others["index"] + labelled["size"]
    whole = {key: torch.cat((labelled[key], {**others, "index": index}[key])) for key in ROWS}
    return {**labelled, **whole, "size": labelled["size"] + others["size"]}


def _first(batch: Batch, count: int) -> Batch:
    return {key: value[:count] if value.dim() else value for key, value in batch.items()}
