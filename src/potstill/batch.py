"""What a batch is: a dictionary of tensors, one row a sample."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from potstill.errors import BadInput

# images (N, C, H, W), labels (N,), index (N,): the row in the training set, view (N,): which augmentation of it,
# size (): how many rows the training set has.
Batch = Mapping[str, Tensor]


def as_batch(batch: Any) -> Batch:
    """A batch as a dictionary; a pair becomes ``images`` and ``labels``.

    Raises:
        BadInput: neither a dictionary with ``images`` nor a pair.
    """
    if isinstance(batch, Mapping) and "images" in batch:
        return batch
    if isinstance(batch, Sequence) and len(batch) == 2:
        return {"images": batch[0], "labels": batch[1]}
    raise BadInput(f"a batch is a dictionary with 'images', or a pair (images, labels), not {type(batch).__name__}")
