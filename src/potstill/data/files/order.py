"""In which order, and in which views, an epoch goes through image files."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import Sampler

from potstill.data.files.decoding import PLAIN
from potstill.data.loader import EPOCH, seeded

LAST_VIEW = 2**62

Item = tuple[int, int]  # row and view


class Order(Sampler[list[Item]]):
    """Row and view of every image of an epoch, batch by batch."""

    def __init__(self, rows: Tensor, batch_size: int, seed: int, shuffle: bool, augment: bool) -> None:
        self.rows, self.batch_size, self.seed = rows, batch_size, seed
        self.shuffle, self.augment = shuffle, augment
        self.epoch = 0

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Iterator[list[Item]]:
        rows, views = self.rows, torch.full_like(self.rows, PLAIN)
        generator = seeded(self.seed, EPOCH, self.epoch)
        if self.shuffle:
            rows = rows[torch.randperm(len(rows), generator=generator)]
        if self.augment:
            views = torch.randint(PLAIN + 1, LAST_VIEW, (len(rows),), generator=generator)
        for start in range(0, len(rows), self.batch_size):
            some = slice(start, start + self.batch_size)
            yield list(zip(rows[some].tolist(), views[some].tolist(), strict=True))
