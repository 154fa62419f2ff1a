"""What workers make: the views of a whole batch."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from potstill.data.files.decoding import BadImage, Crops
from potstill.data.files.order import Item
from potstill.data.files.pixels import PixelCache
from potstill.data.files.reading import Reader
from potstill.data.files.slots import Place, Slots
from potstill.errors import BadInput

Bad = tuple[int, str]
"""A row, and why it cannot be read."""


class Views(Dataset[Any]):
    """Makes the views of a whole batch at once, in one block of memory."""

    def __init__(self, source: Reader | PixelCache, crops: Crops) -> None:
        self.source, self.crops = source, crops
        self.slots: Slots | None = None  # where workers leave their batches

    def __getitems__(self, items: Sequence[Item]) -> tuple[Place | Tensor, list[Item], list[Bad]] | BadInput:
        """What the loader asks for: in a worker the slot that it has filled, else the pixels themselves; see `make`.

        An error for the user is returned: torch would send it on with the worker's traceback in its message.
        """
        try:
            if self.slots is None:
                return self.make(items)
            place = self.slots.next()
            return place, *self._fill(self.slots[place], items)
        except BadInput as error:
            return error

    def make(self, items: Sequence[Item]) -> tuple[Tensor, list[Item], list[Bad]]:
        """Pixels (B, size, size, 3) as uint8, their rows and views, and the rows that cannot be read."""
        pixels = torch.empty(len(items), self.crops.size, self.crops.size, 3, dtype=torch.uint8)
        with torch.random.fork_rng(devices=[]):
            return pixels, *self._fill(pixels, items)

    def _fill(self, pixels: Tensor, items: Sequence[Item]) -> tuple[list[Item], list[Bad]]:
        good: list[Item] = []
        bad: list[Bad] = []
        for row, view in items:
            try:
                pixels[len(good)] = self.crops.view(self.source.pixels(row), view)
                good.append((row, view))
            except BadImage as error:
                bad.append((row, str(error)))
        return good, bad
