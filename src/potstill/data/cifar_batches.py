"""The python batches in which CIFAR was first published: pickled dictionaries, read without running their code."""

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from potstill.data.images import ImageSet
from potstill.errors import BadInput

RECONSTRUCT = np.zeros(0).__reduce__()[0]  # numpy's own name for it moved between versions
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArraysOnly(pickle.Unpickler):
    """Unpickles numpy arrays and Python's plain values; anything else could run code of the file's author."""

    def find_class(self, module: str, name: str) -> Any:
        """The few things an array is rebuilt with."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no image batch needs")
        return ALLOWED[module, name]


def read_batches(paths: Sequence[Path], *, label: str, classes: int) -> ImageSet:
    """The batches in order, 32x32 RGB images, with the labels under the key ``label``.

    Source of the layout: https://www.cs.toronto.edu/~kriz/cifar.html.

    Raises:
        BadInput: a file is missing, damaged, or holds anything but such a batch. The message names it.
    """
    parts = [_read_batch(path, label, classes) for path in paths]
    images, labels = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return ImageSet(images, labels)


def _read_batch(path: Path, label: str, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    try:
        with path.open("rb") as file:
            batch = ArraysOnly(file, encoding="latin1").load()
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing") from error
    except Exception as error:  # a damaged pickle may raise anything; whatever it is, the file is what is wrong
        raise BadInput(f"{path} is not a readable python batch: {error or type(error).__name__}") from error
    data = batch.get("data") if isinstance(batch, dict) else None
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (3072,):
        raise BadInput(f"{path} holds no uint8 array 'data' of shape (N, 3072)")
    values = batch.get(label)
    if not isinstance(values, list) or len(values) != len(data):
        raise BadInput(f"{path} holds no list {label!r} of {len(data)} labels")
    for row, value in enumerate(values):
        if not isinstance(value, int) or not 0 <= value < classes:
            raise BadInput(f"{path}, row {row}: {label} is {value!r}, but must be 0..{classes - 1}")
    planes = torch.from_numpy(data.copy()).view(-1, 3, 32, 32)
    return planes.permute(0, 2, 3, 1).contiguous(), torch.tensor(values, dtype=torch.int64)
