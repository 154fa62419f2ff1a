"""In which order, and in which views, an epoch goes through image files."""

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Sampler

from potstill.data.balanced import drawn_balanced
from potstill.data.batch_sizes import batch_sizes, rows_of_part, stretches
from potstill.data.files.decoding import PLAIN
from potstill.data.loader import shuffled
from potstill.data.seeds import EPOCH, seeded

LAST_VIEW = 2**62

Item = tuple[int, int]  # row and view


class Order(Sampler[list[Item]]):
    """Row and view of every image of an epoch, batch by batch, from batch ``first`` on.

    With ``labels``, those of all rows, it has as many images, drawn so that every class is as likely.
    """

    def __init__(
        self,
        rows: Tensor,
        batch_size: int,
        seed: int,
        shuffle: bool,
        augment: bool,
        views: int | None = None,
        labels: Tensor | None = None,
    ) -> None:
        self.labels = labels
        self.rows, self.seed, self.views = rows, seed, views
        self.shuffle, self.augment = shuffle, augment
        self.epoch = self.first = 0
        self.part = (0, 1)  # which one of how many parts of every batch
        self.sizes = batch_sizes(len(rows), batch_size, merged=shuffle)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[Item]]:
        rows, views = self.rows, None
        generator = seeded(self.seed, EPOCH, self.epoch)
        if self.shuffle and self.labels is not None:
            rows = drawn_balanced(rows, self.labels, generator)
        elif self.shuffle:
            rows = shuffled(rows, generator)
        if self.augment:
            views = torch.randint(PLAIN + 1, LAST_VIEW, (len(rows),), generator=generator)
            if self.views is not None:
                views = fixed_view(rows, views % self.views, self.views)
        for begin, (size,) in stretches(self.sizes, self.first, together=1):
            own = rows_of_part(size, *self.part) or range(1)
            some = slice(begin + own.start, begin + own.stop)
            seen = repeat(PLAIN, len(own)) if views is None else views[some].tolist()
            yield list(zip(rows[some].tolist(), seen, strict=True))


def fixed_view(rows: Tensor, number: Tensor, count: int) -> Tensor:
    """The views (n,) of that number (n,), below ``count``, of images (n,): others for each image, whatever the seed.

    What is left when one is divided by ``count`` is its number again.

    >>> fixed_view(torch.tensor([0, 1, 1]), torch.tensor([2, 2, 0]), 3) % 3
    tensor([2, 2, 0])
    """
    mixed = (rows.numpy().astype(np.uint64) << np.uint64(24)) + number.numpy().astype(np.uint64) + np.uint64(1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):  # splitmix64
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    seeds = (mixed % np.uint64(LAST_VIEW // 2) + np.uint64(LAST_VIEW // 4)).astype(np.int64)
    return torch.from_numpy(seeds // count * count) + number
