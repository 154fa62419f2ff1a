"""In which order, and in which views, an epoch goes through image files."""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.utils.data import Sampler

from potstill.data.batch_sizes import batch_sizes, rows_of_part
from potstill.data.files.decoding import PLAIN
from potstill.data.loader import EPOCH, seeded

LAST_VIEW = 2**62

Item = tuple[int, int]  # row and view


class Order(Sampler[list[Item]]):
    """Row and view of every image of an epoch, batch by batch, from batch ``first`` on."""

    def __init__(self, rows: Tensor, batch_size: int, seed: int, shuffle: bool, augment: bool) -> None:
        self.rows, self.seed = rows, seed
        self.shuffle, self.augment = shuffle, augment
        self.epoch = self.first = 0
        self.part = (0, 1)  # which one of how many parts of every batch
        self.sizes = batch_sizes(len(rows), batch_size, merged=shuffle)

    def __len__(self) -> int:
        return len(self.sizes)

    def __iter__(self) -> Iterator[list[Item]]:
        rows, views = self.rows, torch.full_like(self.rows, PLAIN)
        generator = seeded(self.seed, EPOCH, self.epoch)
        if self.shuffle:
            rows = rows[torch.randperm(len(rows), generator=generator)]
        if self.augment:
            views = torch.randint(PLAIN + 1, LAST_VIEW, (len(rows),), generator=generator)
        batches = zip(torch.split(rows, self.sizes), torch.split(views, self.sizes), strict=True)
        for some, seen in islice(batches, self.first, None):
            items = list(zip(some.tolist(), seen.tolist(), strict=True))
            own = rows_of_part(len(items), *self.part) or range(1)
            yield items[own.start : own.stop]
