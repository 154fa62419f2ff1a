"""Cross-entropy with the labels: what a student learns without help."""

from torch import nn


class CE(nn.CrossEntropyLoss):
    """Cross-entropy between logits and labels; exactly `torch.nn.CrossEntropyLoss`, with its arguments.

        -log softmax(z)[label], mean over the batch

    Knowledge: labels.

    Shapes: student logits (N, K); labels: class indices (N,), or probabilities (N, K), of which it is the mean over the
    classes.

    >>> import torch
    >>> from potstill.losses import CE
    >>> logits = torch.zeros(8, 10)
    >>> CE()(logits, torch.arange(8))  # log 10
    tensor(2.3026)
    >>> mixed = 0.7 * torch.eye(10)[:8] + 0.3 * torch.eye(10)[1:9]  # as mixup labels two images in one
    >>> CE()(logits, mixed)
    tensor(2.3026)
    """

    taps = ("student", "labels")
