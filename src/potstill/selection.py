"""What to load: which data set, where it lies, how much of it, and how its images are read; flags of many commands.

Each class has the fields of those above it, and a command takes the one whose flags it has.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from potstill.home import Expanded
from potstill.ranges import Count, Index, Range, Side


@dataclass(frozen=True)
class Source(Expanded):
    """Which data set."""

    data: str = "cifar10"
    """Data set: cifar10, cifar100, digits, imagenet, your own folder with train/CLASS/* and val/CLASS/*, or
    hf-data:ORG/NAME."""

    def __post_init__(self) -> None:
        super().__post_init__()
        plain = str(Path(self.data))  # one folder, one name: DIR/ is DIR
        # A path that leads nowhere stays one: without its ./ it would be called an unknown data set.
        if "/" in self.data and ("/" in plain or not self.data.startswith("./") or Path(plain).is_dir()):
            object.__setattr__(self, "data", plain)


@dataclass(frozen=True)
class Place(Expanded):
    """Where data sets lie, and what of a folder is what.

    >>> Place(labels="labels.csv", label_column="species").test_split is None
    True
    """

    data_dir: Path | None = None
    """Where data sets lie; by default $POTSTILL_DATA, or a cache folder that they are downloaded to."""
    labels: str | None = None
    """Images in files: a CSV or Parquet file that lists them (columns path, label and, if any, split); or names, where
    file names begin with the class (cat.10.jpg). By default the folders say the classes."""
    image_column: str | None = None
    """Images in files: the column of the images in Parquet, or of the paths in --labels."""
    label_column: str | None = None
    """Images in files: the column of the labels in Parquet, or in --labels."""
    label_separator: str | None = None
    """Images in files: between labels, where an image may have several."""
    test_split: str | None = None
    """Images in files: which split is measured, test say; by default the first there is of val, validation and test."""
    unlabelled: bool = False
    """Images without labels, or none that count: a folder of any shape."""


@dataclass(frozen=True)
class Reading(Place):
    """Where data sets lie, and how images in files are read."""

    workers: Annotated[int, Range(0, 1024)] | None = None
    """Images in files: processes that decode; by default one a core."""
    cache: bool = False
    """Images in files: keep them decoded in the user's cache folder, so that later epochs decode nothing."""
    on_bad_image: Literal["fatal", "skip"] = "fatal"
    """Images in files: what happens when one cannot be read."""


@dataclass(frozen=True)
class Subset(Reading):
    """Where data sets lie, how images in files are read, and how many of them."""

    holdout: Index = 0
    """Choose the best epoch on this many held-out training images instead of the test set."""
    images: Count | None = None
    """Train on this many of the training images only, drawn by the seed: a rehearsal, or few-shot learning."""
    test_images: Count | None = None
    """Measure on this many of the test images only, the same ones whatever the seed."""


@dataclass(frozen=True)
class Selection(Subset, Source):
    """Which data set, how much of it, and what its images look like.

    >>> Selection("digits", images=100).images
    100
    """

    normalize: str | None = None
    """Mean and deviation of the images: the data set's own, or imagenet, rocket, ..., or six numbers."""
    border: Literal["zero", "reflect"] = "zero"
    """What lies beyond the border when images are shifted."""
    views: Count | None = None
    """See each training image in this many random views only, the same ones whatever the seed; by default in any."""
    image_size: Side | None = None
    """Images in files: side of the crops in pixels; by default 224."""
    extra: str | None = None
    """A folder of images without labels, beside the others in every batch."""
    extra_batch: Count | None = None
    """Of those, images a step; by default as many as of the others."""
    data_digest: Literal["auto", "contents"] = "auto"
    """Images in files: what they are known by again; auto looks at the contents of all up to 2 GiB, and of 1,000 images
    of larger sets."""
