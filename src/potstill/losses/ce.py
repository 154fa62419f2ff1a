"""Cross-entropy with the labels: what a student learns without help."""

from typing import Annotated, Literal

from torch import Tensor, nn

from potstill.checked import checked
from potstill.losses.loss import Loss
from potstill.ranges import Fraction, Range


class CE(Loss, nn.CrossEntropyLoss):
    """Cross-entropy between logits and labels; exactly `torch.nn.CrossEntropyLoss`, with its arguments.

        -log softmax(z)[label], mean over the batch

    Knowledge: labels.

    Usual weight: 1, or 0.1 beside 0.9 of KD.

    Args:
        weight: of each class, (K,); by default all count alike.
        ignore_index: a class index that counts for nothing.
        reduction: "mean" over the batch, or "sum"; torch's "none" is no loss, which is one number.
        label_smoothing: the part of each label that is spread over all classes.

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

    @checked
    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: Annotated[int, Range(-(2**31), 2**31 - 1)] = -100,
        reduction: Literal["mean", "sum"] = "mean",
        label_smoothing: Fraction = 0.0,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing)
        self.whole_batch = (
            weight is not None or ignore_index >= 0 or reduction == "sum"
        )  # no mean over the batch's rows
