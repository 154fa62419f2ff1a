"""Cross-entropy with the labels: what a student learns without help."""

from torch import nn


class CE(nn.CrossEntropyLoss):
    """Cross-entropy between logits and labels; exactly `torch.nn.CrossEntropyLoss`, with its arguments.

        -log softmax(z)[label], mean over the batch

    Knowledge: labels.

    Shapes: student logits (N, K); labels: class indices (N,), or probabilities (N, K), of which it is the mean over the
    classes.
    """

    taps = ("student", "labels")
