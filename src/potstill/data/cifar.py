"""CIFAR-10 and CIFAR-100, found on disk in either of their two layouts, or downloaded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.data.cache import cache_folder
from potstill.data.cifar_batches import read_batches
from potstill.data.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from potstill.data.download import Archive, download
from potstill.data.images import ImageSet
from potstill.data.parquet import read_split
from potstill.errors import BadInput
from potstill.say import say

Splits = tuple[ImageSet, ImageSet]


@dataclass(frozen=True)
class Layout:
    """Where one of the two sets lies, and under which names."""

    name: str
    classes: int
    column: str  # the labels in Parquet
    key: str  # the labels in the python batches
    train: Sequence[str]  # the python batches
    test: Sequence[str]
    archive: Archive


CIFAR10 = Layout(
    name="cifar10",
    classes=len(CIFAR10_CLASSES),
    column="label",
    key="labels",
    train=[f"data_batch_{number}" for number in range(1, 6)],
    test=["test_batch"],
    archive=Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a",
        "cifar-10-batches-py",
    ),
)
CIFAR100 = Layout(
    name="cifar100",
    classes=len(CIFAR100_CLASSES),
    column="fine_label",
    key="fine_labels",
    train=["train"],
    test=["test"],
    archive=Archive(
        "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85",
        "cifar-100-python",
    ),
)


def cifar10(data_dir: Path | None = None) -> Splits:
    """60,000 photographs of 32x32 pixels in 10 classes: 50,000 to train, 10,000 to test.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html. See `read` for the folders and errors.
    """
    return read(CIFAR10, data_dir)


def cifar100(data_dir: Path | None = None) -> Splits:
    """60,000 photographs of 32x32 pixels in 100 classes (the fine labels): 50,000 to train, 10,000 to test.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html. See `read` for the folders and errors.
    """
    return read(CIFAR100, data_dir)


def read(layout: Layout, data_dir: Path | None = None) -> Splits:
    """The training and the test split of a set, as Hub-style Parquet or as the original python batches.

    Looked for in ``data_dir`` (by default ``$POTSTILL_DATA``) and then in the user's cache folder: each time in the
    folder itself, in ``cifar10`` or ``cifar100``, and in the original archive's folder. If it is nowhere, the
    original archive is downloaded into the cache folder. What is not in ``data_dir`` is said on stderr.

    Raises:
        BadInput: ``data_dir`` is no folder, files are damaged, or there is no connection to download them.
    """
    given = _given(data_dir)
    places = _places(layout, given)
    folder = next((place for place in places if _holds(layout, place)), None)
    if given and (folder is None or not folder.is_relative_to(given)):
        say(f"{layout.name} is not in {given}; trying {folder or 'to download it'}")
    if folder is None:
        folder = _downloaded(layout, places)
    if any(folder.glob("train-*.parquet")):
        return _read_parquet(layout, folder)
    return _read_python(layout, folder)


def is_at_hand(layout: Layout) -> bool:
    """Whether `read` finds a set without a download."""
    return any(_holds(layout, place) for place in _places(layout, _given(None)))


def _places(layout: Layout, given: Path | None) -> list[Path]:
    roots = [given, cache_folder()] if given else [cache_folder()]
    return [root / inner for root in roots for inner in (".", layout.name, layout.archive.folder)]


def _given(data_dir: Path | None) -> Path | None:
    given = data_dir or os.environ.get("POTSTILL_DATA")
    if not given:
        return None
    folder = Path(given).expanduser()
    if not folder.is_dir():
        raise BadInput(f"the data folder {folder} does not exist")
    return folder


def _holds(layout: Layout, folder: Path) -> bool:
    return any(folder.glob("train-*.parquet")) or (folder / layout.train[0]).is_file()


def _downloaded(layout: Layout, places: Sequence[Path]) -> Path:
    try:
        return download(layout.archive, cache_folder())
    except BadInput as error:
        looked = ", ".join(map(str, places))
        raise BadInput(f"{layout.name} is not in {looked}, and {error}; give its folder with --data-dir") from error


def _read_parquet(layout: Layout, folder: Path) -> Splits:
    train, test = (
        read_split(folder, split, image="img", label=layout.column, size=(32, 32), classes=layout.classes)
        for split in ("train", "test")
    )
    return train, test


def _read_python(layout: Layout, folder: Path) -> Splits:
    train, test = (
        read_batches([folder / name for name in names], label=layout.key, classes=layout.classes)
        for names in (layout.train, layout.test)
    )
    return train, test
