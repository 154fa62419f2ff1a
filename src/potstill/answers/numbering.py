"""How a training set's images and views are numbered, so that each has a slot of its own among kept answers."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from potstill.data.beside import Beside
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
        sizes: the images of each batch of an epoch.
    """

    rows: int
    columns: int
    views: int | None
    column: Callable[[Numbers, Numbers], Numbers]
    made: dict[str, Any]
    sizes: Sequence[int]

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
    if isinstance(train, Beside):
        passes = epochs * len(train) // train.whole + 1
        both = _of(train.labelled, given, epochs, seed), _of(train.others, given, passes, train.others.seed)
        return _together(*both, train.sizes)
    return _of(train, given, epochs, seed) if isinstance(train, Loader | ImageLoader) else None


def _of(train: Loader | ImageLoader, given: dict[str, Any], epochs: int, seed: int) -> Numbering:
    rows, sizes = len(train.labels), train.sizes
    if isinstance(train, Loader):
        made = {**given, **asdict(train.augment)}
        shifts = train.augment.shifts**2
        if train.table is not None:
            table: Numbers = train.table.numpy()
            fixed = table.shape[1]
            return Numbering(rows, fixed, fixed, lambda r, v: (table[r] == v[:, None]).argmax(1), made, sizes)
        every = shifts * (2 if train.augment.flip else 1)
        return Numbering(rows, 2 * shifts, every, lambda _, v: v, made, sizes)
    libraries = {name: version(name) for name in ("torchvision", "pillow")}
    made = {**given, **libraries, "size": train.side, "from cache": isinstance(train.source, PixelCache)}
    if not train.augments:
        return Numbering(rows, 1, 1, lambda r, _: np.zeros_like(r), made, sizes)
    if (count := train.views) is not None:
        return Numbering(rows, count, count, lambda _, v: v % count, made, sizes)
    made["seed"] = seed
    return Numbering(rows, epochs, None, lambda r, _: np.full_like(r, train.epoch), made, sizes)


def _together(one: Numbering, other: Numbering, sizes: Sequence[int]) -> Numbering:
    """The numbering of two sets of images, the second of which is numbered on where the first ends."""

    def column(rows: Numbers, views: Numbers) -> Numbers:
        found, first = np.empty_like(rows), rows < one.rows
        found[first] = one.column(rows[first], views[first])
        found[~first] = other.column(rows[~first] - one.rows, views[~first])
        return found

    views = None if one.views is None or other.views is None else max(one.views, other.views)
    made = {"labelled": one.made, "extra": other.made, "labelled rows": one.rows}
    return Numbering(one.rows + other.rows, max(one.columns, other.columns), views, column, made, sizes)
