"""How a training set's images and views are numbered, so that each has a slot of its own among kept answers."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from potstill.data.data import Batches, Data
from potstill.data.files.image_loader import ImageLoader
from potstill.data.files.pixels import PixelCache
from potstill.data.loader import Loader

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Numbering:
    """Slots of views.

    Args:
        rows: of the training set.
        columns: how many slots an image has.
        views: how many views of an image there are, which may be fewer; None if they never repeat within a run.
        column: of images (n,), in views (n,): which of its slots each has.
        made: how a view is made, in plain values: part of the key.
    """

    rows: int
    columns: int
    views: int | None
    column: Callable[[Numbers, Numbers], Numbers]
    made: dict[str, Any]

    def slots(self, index: Tensor, view: Tensor) -> tuple[Numbers, Numbers]:
        """The slots (n,) of images and views, and the views. Answers of one view lie together: others leave holes."""
        rows, views = index.cpu().numpy(), view.cpu().numpy()
        return self.column(rows, views) * self.rows + rows, views


def numbering(data: Data, epochs: int, seed: int) -> Numbering | None:
    """The numbering of a data set of ours; None of somebody's own loaders, whose batches say too little.

    Views of image files are numbers without end, unless ``--views`` fixes how many there are. Then they are those of
    the seed and the epoch, in the slot of that epoch: another run of the same seed has the same ones.
    """
    given = {"mean": list(data.mean or ()), "std": list(data.std or ())}
    train: Batches = data.train
    if isinstance(train, Loader):
        made = {**given, **asdict(train.augment)}
        shifts = train.augment.shifts**2
        if train.table is not None:
            table: Numbers = train.table.numpy()
            fixed = table.shape[1]
            return Numbering(len(table), fixed, fixed, lambda r, v: (table[r] == v[:, None]).argmax(1), made)
        every = shifts * (2 if train.augment.flip else 1)
        return Numbering(len(train.labels), 2 * shifts, every, lambda _, v: v, made)
    if isinstance(train, ImageLoader):
        libraries = {name: version(name) for name in ("torchvision", "pillow")}
        made = {**given, **libraries, "size": data.shape[-1], "from cache": isinstance(train.source, PixelCache)}
        if not train.augments:
            return Numbering(len(train.labels), 1, 1, lambda r, _: np.zeros_like(r), made)
        if (count := train.views) is not None:
            return Numbering(len(train.labels), count, count, lambda _, v: v % count, made)
        made["seed"] = seed
        return Numbering(len(train.labels), epochs, None, lambda r, _: np.full_like(r, train.epoch), made)
    return None
