"""A user's own images, or ImageNet: a folder of image files or of Parquet shards, as training and test images."""

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from potstill.data.files.encoded import Encoded
from potstill.data.files.folder import TEST, Folder, class_folders, split_folders
from potstill.data.files.hub import Hub, split_shards
from potstill.errors import BadInput
from potstill.say import say

KEPT_BACK = 5  # where there are no test images, every fifth image is one


@dataclass(frozen=True)
class ImageFiles:
    """Encoded images and the names of their classes; which rows of each set are trained on and measured."""

    classes: tuple[str, ...]
    train: Encoded
    test: Encoded
    train_rows: Tensor
    test_rows: Tensor


def imagenet(data_dir: Path | None = None) -> ImageFiles:
    """ImageNet as image files (train/CLASS/*, val/CLASS/*) or as Parquet shards of the Hub; never downloaded.

    Source: Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015,
    https://arxiv.org/abs/1409.0575. See `imagenet_folder` for where, and `read_images` for errors.
    """
    return read_images(imagenet_folder(data_dir))


def imagenet_folder(data_dir: Path | None = None) -> Path:
    """``data_dir`` (by default ``$POTSTILL_DATA``), or a folder ``imagenet`` there; BadInput if there is neither."""
    given = data_dir or os.environ.get("POTSTILL_DATA")
    if not given:
        raise BadInput("imagenet needs --data-dir: a folder with train/CLASS/* and val/CLASS/*, or with Parquet files")
    root = Path(given).expanduser()
    return root / "imagenet" if (root / "imagenet").is_dir() else root


def read_images(root: Path) -> ImageFiles:
    """Your own: a folder with train/CLASS/* and val/CLASS/*, with CLASS/* alone, or with Parquet files.

    Without test images every fifth image, chosen by a checksum of its name, is one and is not trained on. What is done
    so is said on stderr.

    Raises:
        BadInput: the folder holds none of these.
    """
    if not root.is_dir():
        raise BadInput(f"the data folder {root} does not exist")
    shards = split_shards(root)
    if shards is not None:
        train_shards, test_shards = shards
        train: Hub | Folder = Hub(train_shards)
        test: Hub | Folder | None = Hub(test_shards, train.classes) if test_shards else None
    else:
        train_folder, test_folder = split_folders(root)
        train = Folder(train_folder)
        test = Folder(test_folder, train.classes) if test_folder else None
    if test is not None:
        return ImageFiles(train.classes, train, test, torch.arange(len(train)), torch.arange(len(test)))
    kept = _kept_back(train)
    counted = f"{len(kept)} of its {len(train)} are kept back for that"
    say(f"{root} has no test images ({', '.join(TEST)}); {counted}")
    rest = torch.ones(len(train), dtype=torch.bool)
    rest[kept] = False
    return ImageFiles(train.classes, train, train, rest.nonzero()[:, 0], kept)


def class_names(root: Path) -> tuple[str, ...]:
    """The names of the classes in a folder, without looking at every image where they are folders."""
    shards = split_shards(root)
    return Hub(shards[0]).classes if shards else tuple(class_folders(split_folders(root)[0]))


def _kept_back(images: Encoded) -> Tensor:
    """A fifth of the rows, in order: those with the lowest checksums, whatever else there is in the folder."""
    names = (os.fsencode(Path(images.name(row)).name) for row in range(len(images)))
    sums = torch.tensor([zlib.crc32(name) for name in names])
    count = len(images) // KEPT_BACK
    if count == 0:
        raise BadInput(f"{len(images)} images are too few to keep some back for testing: give val/CLASS/*")
    return sums.argsort(stable=True)[:count].sort().values
