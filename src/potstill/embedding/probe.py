"""A linear probe: which class features are of, by a linear classifier on them that is computed, not trained."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.device import widest

PENALTIES = tuple(10.0**power for power in range(-6, 3))
"""That are tried, in units of the features' mean variance."""

SMALLEST = 1e-30
"""Unit of penalties where all images have the same features."""


class Probe(NamedTuple):
    """A linear classifier: weight (D, K), bias (K,), and the penalty that was chosen for it."""

    weight: Tensor
    bias: Tensor
    penalty: float

    def classes(self, features: Tensor) -> Tensor:
        """The class (N,) of each of the features (N, D)."""
        return (features.to(self.weight) @ self.weight + self.bias).argmax(dim=1)


def fit_probe(features: Tensor, labels: Tensor, classes: int) -> Probe:
    """Ridge regression of the labels, one column a class, with the penalty of the smallest leave-one-out error.

        minimise |Y - X W - b|^2 + penalty * mean variance * N * |W|^2;    e_i = (y_i - y'_i) / (1 - h_ii)

    e is the error that image i would have if it was left out, of all images at once. Rifkin and Lippert, "Notes on
    regularized least squares", MIT-CSAIL-TR-2007-025, section 3: https://hdl.handle.net/1721.1/37318. It has one
    solution, without steps, rates or luck; computed in float64, on the device.

    Args:
        features: (N, D).
        labels: (N,).
        classes: how many there are.

    >>> features = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> fit_probe(features, torch.tensor([0, 0, 1, 1]), classes=2).classes(features)
    tensor([0, 0, 1, 1])
    """
    x = features.to(widest(features.device))
    y = F.one_hot(labels, classes).to(x)
    mean, share = x.mean(dim=0), y.mean(dim=0)
    x, y = x - mean, y - share
    variances, directions = torch.linalg.eigh(x.T @ x)
    turned = x @ directions
    products, unit = turned.T @ y, variances.mean().clamp(min=SMALLEST)
    best, error = PENALTIES[0], torch.inf
    for penalty in PENALTIES:
        inverse = 1 / (variances.clamp(min=0) + penalty * unit)
        leverage = turned.square() @ inverse + 1 / len(x)
        left_out = (y - turned @ (inverse[:, None] * products)) / (1 - leverage).clamp(min=1e-12)[:, None]
        if (found := left_out.square().mean().item()) < error:
            best, error = penalty, found
    weight = directions @ (products / (variances.clamp(min=0) + best * unit)[:, None])
    return Probe(weight, share - mean @ weight, best)
