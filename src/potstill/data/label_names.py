"""What labels say, whatever their kind: a class's number, which of all classes an image is of (K,), or nothing."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from potstill.data.images import NO_LABEL

Label = int | list[float]


def are_several(labels: Tensor) -> bool:
    """Whether labels are of images that may have several: zeros and ones (N, K), not numbers of classes (N,)."""
    return labels.dim() == 2


def label_name(label: Label, classes: Sequence[str]) -> str:
    """The name of an image's class, or of its classes; nothing if it has none.

    >>> label_name(1, ["cat", "dog"]), label_name([1.0, 1.0], ["cat", "dog"]), label_name(-1, [])
    ('dog', 'cat, dog', '')
    """
    if isinstance(label, list):
        return ", ".join(name for name, there in zip(classes, label, strict=True) if there)
    return "" if label == NO_LABEL else classes[label]


def class_counts(labels: Tensor, count: int) -> Tensor:
    """How many images each of ``count`` classes has (K,)."""
    if are_several(labels):
        return labels.sum(0).long()
    return labels[labels != NO_LABEL].bincount(minlength=count)


def several_hot(found: Iterable[Sequence[int]], count: int) -> Tensor:
    """Labels (N, K) of images that are of these classes each.

    >>> several_hot([[0, 2], []], 3)
    tensor([[1., 0., 1.],
            [0., 0., 0.]])
    """
    rows = list(found)
    labels = torch.zeros(len(rows), count)
    for row, numbers in enumerate(rows):
        labels[row, list(numbers)] = 1
    return labels
