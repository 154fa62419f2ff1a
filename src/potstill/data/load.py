"""Any data set by its name or its folder, ready to train on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from potstill.cores import cores
from potstill.data.augment import Augment, Border
from potstill.data.cifar import cifar10, cifar100
from potstill.data.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from potstill.data.data import Data
from potstill.data.digits import CLASSES as DIGITS_CLASSES
from potstill.data.digits import digits
from potstill.data.files.image_files import ImageFiles, class_names, imagenet, imagenet_folder, read_images
from potstill.data.files.image_loader import ImageLoader, OnBadImage
from potstill.data.images import ImageSet
from potstill.data.loader import Loader
from potstill.data.normalize import Statistics, statistics
from potstill.data.split import drawn, split_rows
from potstill.errors import BadInput, unknown

EVALUATION_BATCH = 500  # without gradients there is room for more images than in training
EVALUATION_BATCH_OF_FILES = 128  # which are larger
IMAGE_SIZE = 224


@dataclass(frozen=True)
class Source:
    """How a data set is read (its training and test split), its classes, the usual augmentation, an image's shape."""

    read: Callable[[Path | None], tuple[ImageSet, ImageSet]]
    classes: tuple[str, ...]
    augment: Augment
    shape: tuple[int, int, int] = (3, 32, 32)


# Each name is also that of the set's own mean and standard deviation in `normalize.STATISTICS`.
DATASETS = {
    "cifar10": Source(cifar10, CIFAR10_CLASSES, Augment(pad=4, flip=True)),
    "cifar100": Source(cifar100, CIFAR100_CLASSES, Augment(pad=4, flip=True)),
    "digits": Source(digits, DIGITS_CLASSES, Augment(pad=1, flip=False), (3, 8, 8)),  # a mirrored 2 is no digit
}
IN_FILES = {"imagenet": imagenet}


def load(
    name: str,
    *,
    data_dir: Path | str | None = None,
    device: torch.device | str = "cpu",
    batch_size: int = 128,
    seed: int = 0,
    holdout: int = 0,
    images: int | None = None,
    test_images: int | None = None,
    normalize: str | None = None,
    border: Border = "zero",
    augment: bool = True,
    image_size: int | None = None,
    workers: int | None = None,
    cache: bool = False,
    on_bad_image: OnBadImage = "fatal",
) -> Data:
    """Read a data set and have its batches on ``device``.

    ``name`` is one of `DATASETS`, which lie whole on the device; ``imagenet``; or a folder of anybody's images, see
    `read_images`. ``holdout`` training images, drawn by ``seed``, are never trained on but can be evaluated; ``index``
    stays the row in the full training set. ``images`` of the others, drawn by ``seed``, are trained on, by default all;
    and ``test_images`` of the test images, the same for every seed, are measured. ``normalize`` is a name of
    `STATISTICS` or six numbers, None for the set's own, that of ImageNet for folders. ``augment=False`` trains on the
    plain images, still shuffled.

    For `DATASETS` alone: ``border`` fills what a crop sees beyond the image. For the others, see `ImageLoader`:
    ``image_size`` (224), ``workers`` (None: one a core), ``cache``, ``on_bad_image``.

    Errors: BadInput for unknown names, more images than there are, and data missing or damaged.
    """
    fewer = {"holdout": holdout, "images": images, "test_images": test_images}
    shared: dict[str, Any] = {"batch_size": batch_size, "seed": seed, "device": device}
    if name in DATASETS:
        if image_size is not None and image_size != DATASETS[name].shape[1]:
            raise BadInput(
                f"--image-size is for images in files; those of {name} have {DATASETS[name].shape[1]} pixels"
            )
        views = replace(DATASETS[name].augment, border=border) if augment else Augment(0, flip=False, border=border)
        return _on_the_device(name, data_dir, fewer, statistics(normalize or name), views, shared)
    if border != "zero":
        raise BadInput(f"--border {border} is for {', '.join(DATASETS)}; crops of images in files see no border")
    if data_dir is not None and name not in IN_FILES:
        raise BadInput(f"--data-dir {data_dir} is for data sets with a name; --data {name} is a folder itself")
    files = IN_FILES[name](_path(data_dir)) if name in IN_FILES else read_images(_own_folder(name))
    shared |= {
        "size": IMAGE_SIZE if image_size is None else image_size,
        "workers": cores() if workers is None else workers,
    }
    shared |= {"cache": cache, "on_bad_image": on_bad_image}
    return _in_files(name, files, fewer, statistics(normalize or "imagenet"), augment, shared)


def in_files(name: str) -> bool:
    """Whether a data set's images are read from files, epoch by epoch, and have the size that is asked for."""
    return name not in DATASETS


def outline(
    name: str, data_dir: Path | None = None, image_size: int | None = None
) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    """The classes of a data set and the shape of its images, without reading those; errors as `load`."""
    if name in DATASETS:
        return DATASETS[name].classes, DATASETS[name].shape
    root = imagenet_folder(data_dir) if name in IN_FILES else _own_folder(name)
    size = IMAGE_SIZE if image_size is None else image_size
    return class_names(root), (3, size, size)


def listing() -> dict[str, str]:
    """Every data set's name and one sentence about it, from the docstring of the function that reads it."""
    readers = {name: source.read for name, source in DATASETS.items()} | {**IN_FILES, "DIR": read_images}
    return {name: (read.__doc__ or "").partition("\n")[0] for name, read in readers.items()}


def _on_the_device(
    name: str,
    data_dir: Path | str | None,
    fewer: dict[str, Any],
    normalisation: Statistics,
    views: Augment,
    shared: dict[str, Any],
) -> Data:
    source, (mean, std), device = DATASETS[name], normalisation, shared["device"]
    train_set, test_set = source.read(_path(data_dir))
    held, rest = split_rows(len(train_set), fewer["holdout"], fewer["images"], shared["seed"])
    measured = drawn(len(test_set), fewer["test_images"], 0, "test_images")
    train = Loader(train_set, **shared, mean=mean, std=std, augment=views, rows=rest)
    test = Loader(test_set, EVALUATION_BATCH, mean=mean, std=std, augment=None, device=device, rows=measured)
    held_loader = train.plain(held, EVALUATION_BATCH) if len(held) else None
    return Data(name, source.classes, source.shape, mean, std, train, test, held_loader)


def _in_files(
    name: str,
    files: ImageFiles,
    fewer: dict[str, Any],
    normalisation: Statistics,
    augment: bool,
    shared: dict[str, Any],
) -> Data:
    mean, std = normalisation
    held, rest = split_rows(len(files.train_rows), fewer["holdout"], fewer["images"], shared["seed"])
    measured = drawn(len(files.test_rows), fewer["test_images"], 0, "test_images")
    rows = {"train": files.train_rows[rest], "held": files.train_rows[held], "test": files.test_rows[measured]}
    train = ImageLoader(files.train, **shared, mean=mean, std=std, shuffle=True, augment=augment, rows=rows["train"])
    if files.test is files.train:
        test = train.plain(rows["test"], EVALUATION_BATCH_OF_FILES)
    else:
        settings = {**shared, "batch_size": EVALUATION_BATCH_OF_FILES}
        test = ImageLoader(files.test, **settings, mean=mean, std=std, shuffle=False, augment=False, rows=rows["test"])
    held_loader = train.plain(rows["held"], EVALUATION_BATCH_OF_FILES) if len(held) else None
    return Data(name, files.classes, (3, shared["size"], shared["size"]), mean, std, train, test, held_loader)


def _path(folder: Path | str | None) -> Path | None:
    return None if folder is None else Path(folder)


def _own_folder(name: str) -> Path:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists():
            raise BadInput(f"--data {name} is a file, not a folder of images")
        if "/" in name:
            raise BadInput(f"the data folder {name!r} does not exist")
        raise unknown("data set", name, [*DATASETS, *IN_FILES, "a folder of images"])
    return folder
