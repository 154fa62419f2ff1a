"""Which rows of a data set are trained on, held out, or left out."""

import torch
from torch import Tensor

from potstill.data.loader import FEWER, HOLDOUT, seeded
from potstill.errors import BadInput


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
