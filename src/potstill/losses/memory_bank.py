"""A memory bank: one row a training image, to compare a batch with. Nothing here waits for the device."""

import torch
from torch import Tensor

from potstill.losses.unit_length import unit_length

PRODUCT_PAYS = 70
"""Rows of the bank for each score wanted, up to which a product with all of it is no slower than gathering.

Found by benchmarks/crd.py, and the same on every machine: the two ways round differently, and a run measured anew would
not give the same bits again.
"""
MAX_ELEMENTS = 2**26  # of the largest product with the bank
LARGEST_BANK = 5 * 10**8  # numbers: 2 GB
HIGH = 2**62  # random integers below it, modulo a count, are uniform: it is far above any count


def products(vectors: Tensor, bank: Tensor, rows: Tensor) -> Tensor:
    """Dot products (N, K) of each vector (N, D) with its own rows (N, K) of the bank (M, D).

    It multiplies by the whole bank, for parts of the batch where the product would be too large, and picks from that.
    To copy N * K rows takes many times as long, unless K is far smaller than M.
    """
    if len(bank) > PRODUCT_PAYS * rows.shape[1]:
        return torch.bmm(bank[rows], vectors.unsqueeze(2)).squeeze(2)
    part = max(1, MAX_ELEMENTS // len(bank))
    parts = zip(torch.split(vectors, part), torch.split(rows, part), strict=True)
    return torch.cat([(some @ bank.T).gather(1, wanted) for some, wanted in parts])


@torch.no_grad()
def update(bank: Tensor, index: Tensor, vectors: Tensor, momentum: float) -> None:
    """Move the rows ``index`` towards the vectors, at unit length. Of an index given twice, the last one counts."""
    # Every copy of an index writes the last one's row, so that the order of the writes does not matter.
    moved = unit_length(momentum * bank[index] + (1 - momentum) * vectors)
    bank[index] = moved[last_of_each(index)]


def last_of_each(index: Tensor) -> Tensor:
    """Where in ``index`` (N,) each of its numbers is for the last time.

    >>> last_of_each(torch.tensor([7, 5, 7]))
    tensor([2, 1, 2])
    """
    place = torch.arange(len(index), device=index.device)
    return torch.where(index.unsqueeze(1) == index, place, -1).amax(dim=1)


def draw_others(index: Tensor, count: int, size: int) -> Tensor:
    """Draw rows (N, count) of a bank of ``size`` rows uniformly, but never the image's own row ``index`` (N,)."""
    return draw_outside(index, torch.ones_like(index), count, size)


def draw_outside(start: Tensor, length: Tensor, count: int, size: int) -> Tensor:
    """Draw numbers (N, count) below ``size`` outside of ``start`` to ``start + length``, by stepping over those."""
    start, length = start.unsqueeze(1), length.unsqueeze(1)
    drawn = torch.randint(HIGH, (len(start), count), device=start.device) % (size - length).clamp(min=1)
    return torch.where(drawn >= start, drawn + length, drawn).clamp(max=size - 1)
