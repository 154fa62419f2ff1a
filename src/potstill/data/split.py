"""Which rows of a data set are trained on, held out, or left out."""

import torch
from torch import Tensor

from potstill.data.seeds import FEWER, HOLDOUT, seeded
from potstill.errors import BadInput


def split_rows(total: int, holdout: int, images: int | None, seed: int) -> tuple[Tensor, Tensor]:
    """The rows to hold out and the rows to train on, both in order."""
    if not 0 <= holdout < total:
        raise BadInput(f"holdout is {holdout}, but must be 0..{total - 1}, fewer than the training images")
    generator = seeded(seed, HOLDOUT)  # of others than the numbers drawn below: none need be drawn to hold out nothing
    if holdout == 0:
        return torch.arange(0), drawn(total, images, seed, "images")
    held, rest = _parted(total, holdout, generator)
    return held, rest if images is None else rest[drawn(len(rest), images, seed, "images")]


def drawn(total: int, count: int | None, seed: int, name: str) -> Tensor:
    """``count`` rows of ``total``, drawn by the seed, in order; all of them without a count."""
    if count is None:
        return torch.arange(total)
    if not 1 <= count <= total:
        raise BadInput(f"{name} is {count}, but must be 1..{total}")
    return _parted(total, count, seeded(seed, FEWER))[0]


def _parted(total: int, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``count`` rows of ``total`` at random, and the others, both in order: marked, since sorting takes far longer."""
    chosen = torch.zeros(total, dtype=torch.bool)
    chosen[torch.randperm(total, generator=generator)[:count]] = True
    return chosen.nonzero().squeeze(1), (~chosen).nonzero().squeeze(1)
