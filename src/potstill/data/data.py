"""A data set, ready to train on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.data.files.image_loader import ImageLoader
from potstill.data.loader import FEWER, HOLDOUT, Loader, seeded
from potstill.data.normalize import Triple
from potstill.errors import BadInput
from potstill.runs.schema import DataSet


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
    train: Loader | ImageLoader
    test: Loader | ImageLoader
    holdout: Loader | ImageLoader | None

    def example(self) -> Batch:
        """The first training batch of epoch 0; of images in files, the first 16 images of it."""
        return self.train.example()

    def described(self) -> DataSet:
        """What a network that was trained on it has to be told later: classes, normalisation, shape of an image.

        ``images`` counts those that are trained on and measured: a stopped run does not go on with others.
        """
        return {
            "name": self.name,
            "classes": list(self.classes),
            "mean": list(self.mean),
            "std": list(self.std),
            "shape": list(self.shape),
            "images": {"train": len(self.train.rows), "test": len(self.test.rows)},
        }


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
