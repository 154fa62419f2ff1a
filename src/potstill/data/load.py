"""Any data set by its name, ready to train on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.data.augment import Augment, Border
from potstill.data.cifar import cifar10, cifar100
from potstill.data.cifar_classes import CIFAR10_CLASSES, CIFAR100_CLASSES
from potstill.data.digits import CLASSES as DIGITS_CLASSES
from potstill.data.digits import digits
from potstill.data.images import ImageSet
from potstill.data.loader import FEWER, HOLDOUT, Loader, seeded
from potstill.data.normalize import Triple, statistics
from potstill.errors import BadInput, unknown

EVALUATION_BATCH = 500  # without gradients there is room for more images than in training


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


@dataclass(frozen=True)
class Data:
    """A data set: names of its classes, mean and std (of pixels in 0..1), and its loaders.

    ``train`` is shuffled and augmented; ``test`` and ``holdout`` (training images kept back, or None) are neither.
    ``shape`` is that of an image: channels, height and width.
    """

    name: str
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: Triple
    std: Triple
    train: Loader
    test: Loader
    holdout: Loader | None

    def example(self) -> Batch:
        """The first training batch of epoch 0."""
        return next(self.train.batches(0))

    def described(self) -> dict[str, Any]:
        """What a network that was trained on it has to be told later: classes, normalisation, shape of an image."""
        normalisation = {"mean": list(self.mean), "std": list(self.std)}
        return {"name": self.name, "classes": list(self.classes), **normalisation, "shape": list(self.shape)}


def find_source(name: str) -> Source:
    """What is known of a data set without reading it; BadInput for an unknown name."""
    if name not in DATASETS:
        raise unknown("data set", name, DATASETS)
    return DATASETS[name]


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
) -> Data:
    """Read a data set of `DATASETS` and put it on ``device``.

    ``holdout`` training images, drawn by ``seed``, are never trained on but can be evaluated; ``index`` stays the row
    in the full training set. ``images`` of the others, drawn by ``seed``, are trained on, by default all; and
    ``test_images`` of the test images, the same for every seed, are measured. ``normalize`` is a name of `STATISTICS`
    or six numbers, None for the set's own. ``border`` fills what a crop sees beyond the image. ``augment=False`` trains
    on the plain images, still shuffled.

    Errors: BadInput for unknown names, more images than there are, and data missing or damaged.
    """
    source = find_source(name)
    mean, std = statistics(name if normalize is None else normalize)
    views = replace(source.augment, border=border) if augment else Augment(pad=0, flip=False, border=border)
    train_set, test_set = source.read(None if data_dir is None else Path(data_dir))
    held, rest = split_rows(len(train_set), holdout, images, seed)
    measured = drawn(len(test_set), test_images, 0, "test_images")
    train = Loader(train_set, batch_size, mean=mean, std=std, augment=views, seed=seed, device=device, rows=rest)
    test = Loader(test_set, EVALUATION_BATCH, mean=mean, std=std, augment=None, device=device, rows=measured)
    held_loader = train.plain(held, EVALUATION_BATCH) if holdout else None
    return Data(name, source.classes, source.shape, mean, std, train, test, held_loader)


def split_rows(total: int, holdout: int, images: int | None, seed: int) -> tuple[Tensor, Tensor]:
    """The rows to hold out and the rows to train on, both in order."""
    if not 0 <= holdout < total:
        raise BadInput(f"holdout is {holdout}, but must be 0..{total - 1}, fewer than the training images")
    order = torch.randperm(total, generator=seeded(seed, HOLDOUT))
    rest = order[holdout:].sort().values
    return order[:holdout].sort().values, rest[drawn(len(rest), images, seed, "images")]


def drawn(total: int, count: int | None, seed: int, name: str) -> Tensor:
    """``count`` rows of ``total``, drawn by the seed, in order; all of them without a count."""
    if count is None:
        return torch.arange(total)
    if not 1 <= count <= total:
        raise BadInput(f"{name} is {count}, but must be 1..{total}")
    return torch.randperm(total, generator=seeded(seed, FEWER))[:count].sort().values


def listing() -> dict[str, str]:
    """Every data set's name and one sentence about it, from the docstring of the function that reads it."""
    return {name: (source.read.__doc__ or "").partition("\n")[0] for name, source in DATASETS.items()}
