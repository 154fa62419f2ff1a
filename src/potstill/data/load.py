"""Any data set by its name or its folder, ready to train on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from potstill.cores import cores
from potstill.data.augment import Augment
from potstill.data.cifar import cifar10, cifar100
from potstill.data.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from potstill.data.data import Data
from potstill.data.digits import CLASSES as DIGITS_CLASSES
from potstill.data.digits import digits
from potstill.data.extra import with_extra
from potstill.data.files.decoding import FULL
from potstill.data.files.hosted import PREFIX, hosted_folder
from potstill.data.files.image_files import ImageFiles, class_names, imagenet, imagenet_folder, read_images
from potstill.data.files.image_loader import ImageLoader
from potstill.data.identity import of_arrays, of_files
from potstill.data.images import ImageSet
from potstill.data.loader import Loader
from potstill.data.normalize import statistics
from potstill.data.split import drawn, split_rows
from potstill.errors import BadInput, unknown
from potstill.say import say
from potstill.selection import Place, Selection

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
    name: str | Selection,
    *,
    device: torch.device | str = "cpu",
    batch_size: int = 128,
    seed: int = 0,
    augment: bool = True,
    balanced: bool = False,
    **options: Any,
) -> Data:
    """Read a data set and have its batches on ``device``.

    Args:
        name: one of `DATASETS`, which lie whole on the device; ``imagenet``; a folder of anybody's images, see
            `read_images`; ``hf-data:ORG/NAME`` of the Hugging Face Hub; or a whole `Selection`.
        device: where the batches are.
        batch_size: images a batch.
        seed: of the order, the augmentation, and what is drawn from the training images.
        augment: without, it trains on the plain images, still shuffled.
        balanced: draw the training images so that every class is as likely, however few of them there are.
        options: the fields of `Selection`: ``normalize="imagenet"``, ``holdout=500``, ``data_dir=...``. Held-out images
            keep their ``index``, the row in the full training set. ``border`` is of `DATASETS` alone; ``image_size``,
            ``workers``, ``cache`` and ``on_bad_image`` are for the others, see `ImageLoader`, and so are ``labels``,
            ``image_column``, ``label_column`` and ``test_split``, which say what of a folder is what. With
            ``unlabelled`` batches have no ``labels``, and the data no classes.

    Raises:
        BadInput: unknown names, more images than there are, and data missing or damaged.
        TypeError: an option that `Selection` does not have.

    >>> import potstill as ps
    >>> data = ps.data.load("digits", batch_size=64)
    >>> data.shape, len(data.classes), data.train.count, data.test.count
    ((3, 8, 8), 10, 1000, 797)
    >>> batch = data.example()
    >>> sorted(batch), tuple(batch["images"].shape)
    (['images', 'index', 'labels', 'size', 'view'], (64, 3, 8, 8))
    """
    selected = replace(name if isinstance(name, Selection) else Selection(name), **options)
    if selected.extra is None and selected.extra_batch is not None:
        raise BadInput(f"--extra-batch {selected.extra_batch} is for the images of --extra DIR")
    if selected.unlabelled and balanced:
        raise BadInput("--balance sampling draws images by their labels, and with --unlabelled there are none")
    shared: dict[str, Any] = {"batch_size": batch_size, "seed": seed, "device": device}
    read = _on_the_device if selected.data in DATASETS else _in_files
    data = read(selected, augment, balanced, dict(shared))
    if selected.extra is None:
        return data
    return with_extra(data, _extra_folder(selected.extra), selected, augment, shared)


def in_files(name: str) -> bool:
    """Whether a data set's images are read from files, epoch by epoch, and have the size that is asked for."""
    return name not in DATASETS


def outline(
    name: str | Selection, data_dir: Path | None = None, image_size: int | None = None
) -> tuple[tuple[str, ...], tuple[int, int, int]]:
    """The classes of a data set and the shape of its images, without reading those; errors as `load`.

    Of a `Selection`, its own fields count.
    """
    selected = name if isinstance(name, Selection) else Selection(name, data_dir=data_dir, image_size=image_size)
    if selected.data in DATASETS:
        return _classes(selected), DATASETS[selected.data].shape
    size = IMAGE_SIZE if selected.image_size is None else selected.image_size
    return class_names(folder_of(selected.data, selected), selected), (3, size, size)


def folder_of(name: str, place: Place) -> Path:
    """Where the images of a data set in files lie.

    Raises:
        BadInput: there is no such data set or folder.
    """
    if name in IN_FILES:
        return imagenet_folder(_path(place.data_dir))
    if name.startswith(PREFIX) and place.data_dir is None:
        return hosted_folder(name)
    if place.data_dir is not None:
        raise BadInput(f"--data-dir {place.data_dir} is for data sets with a name; --data {name} is a folder itself")
    return _own_folder(name)


def describe_data_sets() -> dict[str, str]:
    """Every data set's name and one sentence about it, from the docstring of the function that reads it."""
    readers = {name: source.read for name, source in DATASETS.items()} | {**IN_FILES, "DIR": read_images}
    readers[f"{PREFIX}ORG/NAME"] = hosted_folder
    return {name: (read.__doc__ or "").partition("\n")[0] for name, read in readers.items()}


def _on_the_device(selected: Selection, augment: bool, balanced: bool, shared: dict[str, Any]) -> Data:
    name, source = selected.data, DATASETS[selected.data]
    if selected.image_size is not None and selected.image_size != source.shape[1]:
        raise BadInput(f"--image-size is for images in files; those of {name} have {source.shape[1]} pixels")
    for field in ("labels", "image_column", "label_column", "label_separator", "test_split"):
        if (value := getattr(selected, field)) is not None:
            raise BadInput(f"--{field.replace('_', '-')} {value} is for images in files, not for {name}")
    border = selected.border
    views = replace(source.augment, border=border) if augment else Augment(0, flip=False, border=border)
    mean, std = statistics(selected.normalize or name)
    train_set, test_set = source.read(_path(selected.data_dir))
    if selected.unlabelled:
        train_set, test_set = train_set.unlabelled(), test_set.unlabelled()
    held, rest = split_rows(len(train_set), selected.holdout, selected.images, shared["seed"])
    measured = drawn(len(test_set), selected.test_images, 0, "test_images")
    drawn_from: dict[str, Any] = {"rows": rest, "views": selected.views, "balanced": balanced}
    train = Loader(train_set, **shared, mean=mean, std=std, augment=views, **drawn_from)
    test = Loader(test_set, EVALUATION_BATCH, mean=mean, std=std, augment=None, device=shared["device"], rows=measured)
    held_loader = train.plain(held, EVALUATION_BATCH) if len(held) else None
    identity = of_arrays({"train": train_set, "test": test_set})
    return Data(name, _classes(selected), source.shape, mean, std, train, test, held_loader, identity)


def _in_files(selected: Selection, augment: bool, balanced: bool, shared: dict[str, Any]) -> Data:
    files = _read_files(selected)
    if files.several and balanced:
        raise BadInput("--balance sampling is for images of one class each, and these may have several labels")
    mean, std = statistics(selected.normalize or "imagenet")
    size = IMAGE_SIZE if selected.image_size is None else selected.image_size
    shared |= {"size": size, "workers": cores() if selected.workers is None else selected.workers}
    shared |= {"cache": selected.cache, "on_bad_image": selected.on_bad_image, "views": selected.views}
    held, rest = split_rows(len(files.train_rows), selected.holdout, selected.images, shared["seed"])
    measured = drawn(len(files.test_rows), selected.test_images, 0, "test_images")
    rows = {"train": files.train_rows[rest], "held": files.train_rows[held], "test": files.test_rows[measured]}
    chosen: dict[str, Any] = {"shuffle": True, "augment": augment, "rows": rows["train"], "balanced": balanced}
    train = ImageLoader(files.train, **shared, mean=mean, std=std, **chosen)
    if files.test is files.train:
        test = train.plain(rows["test"], EVALUATION_BATCH_OF_FILES)
    else:
        settings = {**shared, "batch_size": EVALUATION_BATCH_OF_FILES}
        test = ImageLoader(files.test, **settings, mean=mean, std=std, shuffle=False, augment=False, rows=rows["test"])
    held_loader = train.plain(rows["held"], EVALUATION_BATCH_OF_FILES) if len(held) else None
    identity = of_files(files.sources, files.classes, selected.data_digest)
    bits = None if files.train.bits == FULL else files.train.bits
    loaders = (train, test, held_loader)
    return Data(selected.data, files.classes, (3, size, size), mean, std, *loaders, identity, bits, files.several)


def _read_files(selected: Selection) -> ImageFiles:
    if selected.border != "zero":  # a recipe's default may be for the other kind of data
        say(f"crops of images in files see no border: --border {selected.border} changes nothing")
    return read_images(folder_of(selected.data, selected), selected)


def _extra_folder(name: str) -> Path:
    if name in DATASETS:
        raise BadInput(f"--extra {name}: a folder of images is wanted, not a data set that lies on the device")
    return folder_of(name, Place())


def _classes(selected: Selection) -> tuple[str, ...]:
    """The classes of a data set on the device: none, if its labels do not count."""
    return () if selected.unlabelled else DATASETS[selected.data].classes


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
