"""Images with parts left out, for a student that is to guess what its teacher sees there."""

import torch
import torch.nn.functional as F

from potstill.batch import Batch
from potstill.errors import BadInput

ENTRY = "masked"
"""The batch's entry with the masked images."""


class Masking:
    """Adds the entry ``masked`` to a batch: its images with a share of the cells of a grid left out, drawn for each.

    What is left out is 0, the mean of normalised images. He et al., "Masked autoencoders are scalable vision learners",
    CVPR 2022, section 3, draw likewise: https://arxiv.org/abs/2111.06377.

    Args:
        share: of the cells, between 0 and 1.
        grid: cells on a side.

    Raises:
        BadInput: it leaves out nothing, or all; or images have fewer pixels on a side than there are cells.
    """

    def __init__(self, share: float, grid: int) -> None:
        self.count, self.grid = round(share * grid**2), grid
        if not 0 < self.count < grid**2:
            raise BadInput(f"--mask {share:g} of a grid of {grid}x{grid} leaves out {self.count} of {grid**2} cells")

    def __call__(self, batch: Batch) -> Batch:
        """The batch with that entry."""
        images = batch["images"]
        height, width = images.shape[2:]
        if min(height, width) < self.grid:
            raise BadInput(f"--mask-grid {self.grid} is finer than images of {height}x{width}")
        order = torch.rand(len(images), self.grid**2, device=images.device).argsort(dim=1).argsort(dim=1)
        kept = (order >= self.count).to(images.dtype).view(-1, 1, self.grid, self.grid)
        return {**batch, ENTRY: images * F.interpolate(kept, (height, width), mode="nearest")}
