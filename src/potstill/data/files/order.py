"""In which order, and in which views, an epoch goes through image files."""

from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor
from torch.utils.data import Sampler

from potstill.data.batch_sizes import batch_sizes, stretches
from potstill.data.files.decoding import PLAIN
from potstill.data.loader import EPOCH, seeded, shuffled

LAST_VIEW = 2**62

Item = tuple[int, int]  # row and view


class Order(Sampler[list[Item]]):
    """Row and view of every image of an epoch, batch by batch, from batch ``first`` on."""

    def __init__(self, rows: Tensor, batch_size: int, seed: int, shuffle: bool, augment: bool) -> None:
        self.rows, self.seed = rows, seed
        self.shuffle, self.augment = shuffle, augment
        self.epoch = self.first = 0
        self.sizes = batch_sizes(len(rows), batch_size, merged=shuffle)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[Item]]:
        rows, views = self.rows, None
        generator = seeded(self.seed, EPOCH, self.epoch)
        if self.shuffle:
            rows = shuffled(rows, generator)
        if self.augment:
            views = torch.randint(PLAIN + 1, LAST_VIEW, (len(rows),), generator=generator)
        for begin, (size,) in stretches(self.sizes, self.first, together=1):
            some = slice(begin, begin + size)
            seen = repeat(PLAIN, size) if views is None else views[some].tolist()
            yield list(zip(rows[some].tolist(), seen, strict=True))
