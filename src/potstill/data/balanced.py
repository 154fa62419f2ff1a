"""Drawing images so that classes of unequal size come as often."""

import torch
from torch import Tensor


def drawn_balanced(rows: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
    """As many rows (n,) as there are, drawn so that every class among them is as likely; some come again and again.

    Args:
        rows: rows (n,) of ``labels``.
        labels: the class of each row (N,).
        generator: of the random numbers.

    >>> labels = torch.tensor([0] * 90 + [1] * 10)
    >>> drawn = drawn_balanced(torch.arange(100), labels, torch.Generator().manual_seed(0))
    >>> len(drawn), 40 < int(labels[drawn].sum()) < 60
    (100, True)
    """
    order = labels[rows].argsort(stable=True)
    counts = labels[rows].bincount()
    counts = counts[counts > 0]
    starts = counts.cumsum(0) - counts
    chosen = torch.randint(len(counts), (len(rows),), generator=generator)
    parts = torch.rand(len(rows), dtype=torch.float64, generator=generator)
    return rows[order[starts[chosen] + (parts * counts[chosen]).long()]]
