"""What the images of classes of unequal size count."""

from typing import Protocol, TypeGuard

import torch
from torch import Tensor

from potstill.data.data import Batches, Data
from potstill.errors import BadInput


class Labelled(Protocol):
    """A loader that knows its labels."""

    labels: Tensor
    rows: Tensor


def class_weights(data: Data) -> Tensor:
    """What the images of each class count (K,), so that all classes count alike and the mean image counts 1.

        w_k = n / (K n_k)

    A class without images has weight 0. King and Zeng, "Logistic regression in rare events data", 2001, section 3.2:
    https://doi.org/10.1093/oxfordjournals.pan.a004868

    Raises:
        BadInput: nobody knows the labels of the training images without reading them.
    """
    loader = data.train
    if data.unlabelled or data.several:
        raise BadInput("--balance weights is for images of one class each, not of several, or of none that is known")
    if not _labelled(loader) or not data.classes:
        raise BadInput("--balance weights needs the labels of all training images, which somebody's own loader keeps")
    counts = loader.labels.cpu()[loader.rows].bincount(minlength=len(data.classes)).double()
    there = int((counts > 0).sum())
    return torch.where(counts > 0, counts.sum() / (there * counts.clamp(min=1)), 0.0).float()


def _labelled(loader: Batches) -> TypeGuard[Labelled]:
    return hasattr(loader, "labels") and hasattr(loader, "rows")
