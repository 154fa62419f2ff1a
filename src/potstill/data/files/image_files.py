"""A user's own images, or ImageNet: a folder of image files or of Parquet shards, as training and test images."""

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from potstill.data.files import layouts
from potstill.data.files.depth import find_depth
from potstill.data.files.encoded import Encoded
from potstill.data.files.names import TEST, listed
from potstill.data.files.taken import Taken
from potstill.data.label_names import are_several, class_counts
from potstill.errors import BadInput
from potstill.say import say
from potstill.selection import Place

KEPT_BACK = 5  # where there are no test images, every fifth image is one
NAMED = 8
"""Classes that are named when data are read."""


@dataclass(frozen=True)
class ImageFiles:
    """Encoded images and the names of their classes; which rows of each set are trained on and measured.

    ``notes`` are sentences on what the folder was taken for; ``splits`` are the names of the two splits.
    """

    classes: tuple[str, ...]
    train: Encoded
    test: Encoded
    train_rows: Tensor
    test_rows: Tensor
    notes: tuple[str, ...] = ()
    splits: tuple[str, str | None] = ("", None)

    @property
    def several(self) -> bool:
        """Whether an image may have several labels, or none."""
        return are_several(self.train.labels)

    @property
    def sources(self) -> dict[str, Encoded]:
        """The sets of images by name: one, where the test images are kept back of it."""
        return {"train": self.train} if self.test is self.train else {"train": self.train, "test": self.test}

    def summary(self, name: str) -> str:
        """What the folder was taken for, in one line."""
        train, test = self.splits
        whence = f", of {train} and {test}" if test else f", both of {train}" if train else ""
        return describe(name, self.classes, len(self.train_rows), len(self.test_rows)) + whence


def describe(name: str, classes: Sequence[str], train: int, test: int) -> str:
    """A data set in one line: its classes, the first of them if there are many, and its numbers of images.

    >>> describe("pets", ["cat", "dog"], 24, 8)
    'data pets: 2 classes: cat, dog; 24 training, 8 test images'
    """
    known = f"{len(classes)} classes: {listed(classes, NAMED)}" if classes else "no labels"
    return f"data {name}: {known}; {train} training, {test} test images"


def imagenet(data_dir: Path | None = None, how: Place = Place()) -> ImageFiles:
    """ImageNet as image files (train/CLASS/*, val/CLASS/*) or as Parquet shards of the Hub; never downloaded.

    Source: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015,
    https://arxiv.org/abs/1409.0575. See `imagenet_folder` for where, and `read_images` for errors.
    """
    return read_images(imagenet_folder(data_dir), how)


def imagenet_folder(data_dir: Path | None = None) -> Path:
    """``data_dir`` (by default ``$POTSTILL_DATA``), or a folder ``imagenet`` there; BadInput if there is neither."""
    given = data_dir or os.environ.get("POTSTILL_DATA")
    if not given:
        raise BadInput("imagenet needs --data-dir: a folder with train/CLASS/* and val/CLASS/*, or with Parquet files")
    root = Path(given).expanduser()
    return root / "imagenet" if (root / "imagenet").is_dir() else root


def read_images(root: Path, how: Place = Place()) -> ImageFiles:
    """Your own: a folder with train/CLASS/* and val/CLASS/*, with CLASS/* alone, or with Parquet files.

    Without test images every fifth image, chosen by a checksum of its name, is one and is not trained on. What is done
    so is said on stderr.

    Raises:
        BadInput: the folder holds none of these.
    """
    found = find_images(root, how)
    for note in found.notes:
        say(note)
    say(found.summary(str(root)))
    return found


def find_images(root: Path, how: Place = Place()) -> ImageFiles:
    """The same, and nothing is said."""
    if not root.is_dir():
        raise BadInput(f"the data folder {root} does not exist")
    taken = layouts.take(root, how)
    notes = list(taken.notes)
    if taken.test is None:
        train_rows, test_rows = _kept_back(root, taken, notes)
    else:
        train_rows, test_rows = torch.arange(len(taken.train)), torch.arange(len(taken.test))
    notes += _never(taken.classes, taken.train.labels[train_rows], "training")
    test = taken.train if taken.test is None else taken.test
    taken.train.bits = test.bits = find_depth(taken.train, notes)
    return ImageFiles(taken.classes, taken.train, test, train_rows, test_rows, tuple(notes), taken.splits)


def class_names(root: Path, how: Place = Place()) -> tuple[str, ...]:
    """The names of the classes in a folder, without looking at every image where they are folders."""
    return layouts.class_names(root, how)


def _never(classes: Sequence[str], labels: Tensor, what: str) -> list[str]:
    """A note on classes of which no image is."""
    counts = class_counts(labels, len(classes)).tolist()
    never = [name for name, count in zip(classes, counts, strict=True) if not count]
    return [f"{len(never)} of {len(classes)} classes have no {what} image: {listed(never)}"] if never else []


def _kept_back(root: Path, taken: Taken, notes: list[str]) -> tuple[Tensor, Tensor]:
    """The rows that are trained on, and a fifth in order: those of the lowest checksums, whatever else is there."""
    images = taken.train
    names = (os.fsencode(Path(images.name(row)).name) for row in range(len(images)))
    sums = torch.tensor([zlib.crc32(name) for name in names])
    count = len(images) // KEPT_BACK
    if count == 0:
        raise BadInput(f"{len(images)} images are too few to keep some back for testing: give val/CLASS/*")
    kept = sums.argsort(stable=True)[:count].sort().values
    rest = torch.ones(len(images), dtype=torch.bool)
    rest[kept] = False
    notes.append(f"{root} has no test images ({', '.join(TEST)}); {count} of its {len(images)} are kept back for that")
    return rest.nonzero()[:, 0], kept
