"""k nearest neighbours: which class features are of, by the images whose features are most like them."""

import torch
from torch import Tensor

from potstill.losses.unit_length import unit_length

NEIGHBOURS, TEMPERATURE = 20, 0.07
TOGETHER = 1024  # images compared with the bank at once


def nearest_classes(
    features: Tensor,
    bank: Tensor,
    labels: Tensor,
    classes: int,
    k: int = NEIGHBOURS,
    temperature: float = TEMPERATURE,
) -> Tensor:
    """The classes (N,) that the k nearest images of a bank vote for, each with exp(cosine / temperature).

    Wu, Xiong, Yu and Lin, "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018,
    section 3.4: https://arxiv.org/abs/1805.01978, with the 20 neighbours of Caron et al., "Emerging properties in
    self-supervised vision transformers", ICCV 2021: https://arxiv.org/abs/2104.14294.

    Args:
        features: (N, D).
        bank: (M, D), fewer than k images count all.
        labels: of the bank, (M,).
        classes: how many there are.
        k: neighbours that vote.
        temperature: of their votes.

    >>> bank, labels = torch.eye(3), torch.tensor([0, 1, 1])
    >>> nearest_classes(torch.tensor([[2.0, 1.0, 0.0]]), bank, labels, classes=2, k=2)
    tensor([0])
    """
    known, found = unit_length(bank), []
    for some in torch.split(unit_length(features), TOGETHER):
        best = (some @ known.T).topk(min(k, len(known)), dim=1)
        # Of votes only the ratios count: the largest is 1, so that none is infinite.
        votes = ((best.values - best.values[:, :1]) / temperature).exp()
        total = votes.new_zeros(len(some), classes).scatter_add_(1, labels[best.indices], votes)
        found.append(total.argmax(dim=1))
    return torch.cat(found)
