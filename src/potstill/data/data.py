"""A data set, ready to train on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, cast

from potstill.batch import Batch
from potstill.data.beside import Beside
from potstill.runs.schema import DataSet


class Batches(Protocol):
    """What `fit` goes through once an epoch: the package's own loaders, or somebody else's in `from_loaders`."""

    def __len__(self) -> int:
        """How many batches an epoch has; TypeError if that is not known."""

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the epoch chosen last."""

    def from_batch(self, first: int) -> Iterator[Batch]:
        """The same from a later batch on, counted from 0: where a stopped run goes on."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0."""

    def example(self) -> Batch:
        """A batch, or the first images of one, to see what they look like; no random number is drawn for it."""

    @property
    def count(self) -> int | None:
        """How many images an epoch has, if that is known."""


@dataclass(frozen=True)
class Data:
    """A data set: names of its classes, mean and std (of pixels in 0..1), and its loaders.

    ``train`` is shuffled and augmented; ``test`` and ``holdout`` (training images kept back) are neither. ``shape`` is
    that of an image: channels, height and width. Of somebody else's loaders, classes, mean, std and test may be
    unknown: empty, or None. ``identity`` finds what tells the images from all others, see `potstill.data.identity`.
    ``bits`` is how many of their 16 bits deep images use, None where that is all, or there are no such.
    ``several``: an image may have several labels, or none: they are zeros and ones (N, K).
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    train: Batches
    test: Batches | None
    holdout: Batches | None
    identity: Callable[[], str] | None = None
    bits: int | None = None
    several: bool = False

    def example(self) -> Batch:
        """The first training batch of epoch 0; of images in files, the first 16 images of it."""
        return self.train.example()

    @property
    def chosen_on(self) -> str:
        """The images on which the best epoch is chosen: the ``holdout`` if there is one, or the ``test`` images."""
        return "test" if self.holdout is None else "holdout"

    @property
    def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
        """Mean and std, if they are known."""
        return None if self.mean is None or self.std is None else (self.mean, self.std)

    @property
    def unlabelled(self) -> bool:
        """Whether the training images have no labels."""
        known: bool | None = getattr(self.train, "has_labels", None)
        return "labels" not in self.example() if known is None else not known

    def described(self) -> DataSet:
        """What a network that was trained on it has to be told later: classes, normalisation, shape of an image.

        ``images`` counts those that are trained on and measured, ``digest`` tells them from others, as far as that is
        known: a stopped run does not go on with others.
        """
        counts = {"train": self.train.count, "test": None if self.test is None else self.test.count}
        counts["extra"] = self.train.others.count if isinstance(self.train, Beside) else None
        described: DataSet = {
            "name": self.name,
            "classes": list(self.classes),
            "mean": None if self.mean is None else list(self.mean),
            "std": None if self.std is None else list(self.std),
            "shape": list(self.shape),
            "images": {split: count for split, count in counts.items() if count is not None},
        }
        if self.bits is not None:
            described["bits"] = self.bits
        if self.several:
            described["several"] = True
        return cast(DataSet, {**described, "digest": None if self.identity is None else self.identity()})
