"""What a batch is: a dictionary of tensors, one row a sample."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from potstill.errors import BadInput

# images (N, C, H, W), labels (N,), index (N,): the row in the training set, view (N,): which augmentation of it,
# size (): how many rows the training set has. Labels may be fewer than images: the first rows have one, others none.
Batch = Mapping[str, Tensor]
OTHER_NAMES = {"pixel_values": "images", "image": "images", "label": "labels"}
"""What Hugging Face's collators call them."""


def as_batch(batch: Any) -> Batch:
    """A batch as a dictionary of its tensors: of a pair, ``images`` and ``labels``; of a single tensor, ``images``.

    Entries that are no tensors, file names for example, are left out.

    Raises:
        BadInput: neither a dictionary with images, nor a pair, nor a tensor.

    >>> import torch
    >>> sorted(as_batch({"pixel_values": torch.zeros(2, 3, 8, 8), "labels": torch.tensor([0, 1]), "path": ["a", "b"]}))
    ['images', 'labels']
    """
    if isinstance(batch, Mapping):
        tensors = {str(key): value for key, value in batch.items() if isinstance(value, Tensor)}
        for other, name in OTHER_NAMES.items():
            if name not in tensors and other in tensors:
                tensors[name] = tensors.pop(other)
        if tensors:
            return tensors
        only = ", ".join(f"{key!r} ({type(value).__name__})" for key, value in batch.items())
        raise BadInput(f"a batch has tensors, but this one has only {only or 'nothing at all'}")
    if isinstance(batch, Tensor):
        return {"images": batch}
    if isinstance(batch, Sequence) and len(batch) in (1, 2) and all(isinstance(part, Tensor) for part in batch):
        return dict(zip(("images", "labels"), batch, strict=False))
    kind = type(batch).__name__
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        if batch and all(isinstance(part, Mapping) for part in batch):
            raise BadInput(f"this is a {kind} of {len(batch)} samples, not a batch: stack them, as a DataLoader does")
        kind += f" of {len(batch)} ({', '.join(type(part).__name__ for part in batch[:4])})"
    raise BadInput(f"a batch is a dictionary with 'images', a pair (images, labels), or images alone, not a {kind}")


def rows_of(batch: Batch) -> int:
    """How many samples a batch has: as many as its images; of other dictionaries, as its first entry."""
    if "images" in batch:
        return len(batch["images"])
    return next((len(value) for value in batch.values() if value.dim()), 0)


def labelled_rows(batch: Batch) -> int:
    """How many samples of a batch have a label: the first ones. Where nobody has one, none is told apart."""
    rows = rows_of(batch)
    return min(rows, len(batch["labels"])) if "labels" in batch and batch["labels"].dim() else rows


def part_of(batch: Batch, first: range, beyond: range) -> dict[str, Tensor]:
    """Some rows of a batch: a stretch of those that have labels, and one of those that have none.

    >>> import torch
    >>> part = part_of({"images": torch.arange(5), "labels": torch.arange(3)}, range(1, 3), range(3, 4))
    >>> part["images"].tolist(), part["labels"].tolist()
    ([1, 2, 3], [1, 2])
    """
    rows = rows_of(batch)

    def cut(key: str, value: Tensor) -> Tensor:
        if not value.dim() or (len(value) != rows and key != "labels"):
            return value
        some = value[first.start : first.stop]
        return torch.cat((some, value[beyond.start : beyond.stop])) if len(beyond) and key != "labels" else some

    return {key: cut(key, value) for key, value in batch.items()}


def of_labelled(values: Batch, texts: Iterable[str]) -> Batch:
    """The values with the images and the tensors at these addresses, ``labels`` among them, less the rows that have no
    label.

    >>> import torch
    >>> values = {"images": torch.zeros(5, 3, 8, 8), "labels": torch.arange(2), "student": torch.zeros(5, 10)}
    >>> of_labelled(values, ["student", "labels"])["student"].shape
    torch.Size([2, 10])
    """
    labelled, rows = len(values["labels"]), rows_of(values)
    if labelled >= rows:  # of several processes, those of all may be given beside images of this one
        return values
    wanted = {*texts, "images"} & values.keys()
    whole = [text for text in wanted if values[text].dim() and len(values[text]) == rows]
    return {**values, **{text: values[text][:labelled] for text in whole}}


def few_of(batch: Batch, count: int) -> dict[str, Tensor]:
    """The first rows of a batch, of its labels and of every entry that has as many as the longest."""
    rows = max((len(value) for value in batch.values() if value.dim()), default=0)
    long = {key for key, value in batch.items() if value.dim() and (len(value) == rows or key == "labels")}
    return {key: value[:count] if key in long else value for key, value in batch.items()}


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on ``device``; what is there already is not copied."""
    return {key: value.to(device, non_blocking=True) for key, value in batch.items()}
