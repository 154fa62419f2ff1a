"""The gradient of a class's score by what it was computed from."""

import torch
from torch import Tensor

from potstill.errors import BadInput
from potstill.losses.labels import is_soft


def class_gradient(logits: Tensor, labels: Tensor, inputs: Tensor, trainable: bool) -> Tensor:
    """How each sample's logit (N, K) of its label changes with its part of ``inputs`` (N, ...).

    Args:
        logits: computed from ``inputs``, with the graph between them.
        labels: class indices (N,), or probabilities (N, K), by which the logits are then averaged.
        inputs: images or a map.
        trainable: whether the result can be differentiated again; if not, it is a constant.

    Raises:
        BadInput: there is no graph from ``logits`` back to ``inputs``, or the labels do not fit the logits.
    """
    soft, gradient = is_soft(labels, logits), None
    if logits.requires_grad and inputs.requires_grad:
        # The graph stays: other terms and the backward pass of a learner need it too.
        # Labels are constants, even if they were computed from the inputs.
        score = ((logits * labels.detach()) if soft else logits.gather(1, labels.long()[:, None])).sum()
        (gradient,) = torch.autograd.grad(score, inputs, create_graph=trainable, retain_graph=True, allow_unused=True)
    if gradient is None:
        shapes = f"logits {tuple(logits.shape)} and inputs {tuple(inputs.shape)}"
        raise BadInput(f"no gradient between {shapes}: the logits were not computed from these, or without autograd")
    return gradient
