"""Labels: a class for each sample, or a probability for each class, as mixup, CutMix and label smoothing give them.

Only shapes and types are checked: to read a value would be to wait for the device.
"""

import torch
from torch import Tensor

from potstill.errors import BadInput


def is_soft(labels: Tensor, logits: Tensor) -> bool:
    """Whether labels of logits (N, K) are probabilities (N, K), and not class indices (N,).

    Pixels are samples too: logits may be (N, K, H, W), class indices then (N, H, W).

    Raises:
        BadInput: they are neither.

    >>> is_soft(torch.tensor([2, 0]), torch.zeros(2, 3)), is_soft(torch.eye(3)[:2], torch.zeros(2, 3))
    (False, True)
    """
    if labels.shape == logits.shape and labels.is_floating_point():
        return True
    if _are_classes(labels, logits):
        return False
    raise BadInput(
        f"{_shown(labels)} do not fit logits {tuple(logits.shape)}: give class indices, integers of shape "
        f"{_one_each(logits)}, or probabilities, floating-point numbers of shape {tuple(logits.shape)}"
    )


def class_indices(labels: Tensor, logits: Tensor, reason: str) -> Tensor:
    """The labels as int64 class indices (N,), for a loss that cannot take soft ones of its logits (N, K).

    Raises:
        BadInput: they are something else; the message gives ``reason``, why nothing else will do.

    >>> class_indices(torch.tensor([2, 0], dtype=torch.uint8), torch.zeros(2, 3), "reason")
    tensor([2, 0])
    """
    if _are_classes(labels, logits):
        return labels.long()
    raise BadInput(f"{_shown(labels)} are not class indices, integers of shape {_one_each(logits)}: {reason}")


def likeliest(labels: Tensor, logits: Tensor) -> Tensor:
    """The labels of logits (N, K) as int64 class indices (N,); of probabilities, the class that has most.

    >>> likeliest(torch.tensor([[0.4, 0.6], [0.7, 0.3]]), torch.zeros(2, 2))
    tensor([1, 0])
    """
    return labels.argmax(dim=1) if is_soft(labels, logits) else labels.long()


def shares(labels: Tensor, logits: Tensor) -> Tensor:
    """The labels of logits (N, K) as probabilities (N, K); a class index has all of it.

    >>> shares(torch.tensor([1]), torch.zeros(1, 3))
    tensor([[0., 1., 0.]])
    """
    if is_soft(labels, logits):
        return labels.to(logits)
    # torch's own one_hot looks for the largest label, for which the host waits.
    return torch.zeros_like(logits).scatter(1, labels.long()[:, None], 1.0)


def _are_classes(labels: Tensor, logits: Tensor) -> bool:
    integers = not (labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool)
    return integers and tuple(labels.shape) == _one_each(logits)


def _one_each(logits: Tensor) -> tuple[int, ...]:
    return tuple(logits.shape[:1] + logits.shape[2:])


def _shown(labels: Tensor) -> str:
    return f"labels of shape {tuple(labels.shape)} and type {str(labels.dtype).removeprefix('torch.')}"
