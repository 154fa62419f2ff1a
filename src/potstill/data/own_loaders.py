"""Somebody's own loaders: a torch DataLoader, or any iterable of batches."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from potstill.batch import Batch, as_batch
from potstill.data.data import Data
from potstill.errors import BadInput, unknown


def from_loaders(
    train: Iterable[Any],
    test: Iterable[Any] | None = None,
    *,
    classes: Sequence[str] | int | None = None,
    holdout: Iterable[Any] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    name: str = "own loaders",
) -> Data:
    """A data set of your own loaders for `potstill.fit`: of torch's DataLoader, or any iterable of batches.

    A batch is a dictionary of tensors with ``images`` (N, C, H, W) and, where anything wants them, ``labels``; Hugging
    Face's ``pixel_values`` and ``label`` are taken too; or a pair (images, labels); or images alone. Other entries,
    such as a second view or ``index``, can be addressed by terms. ``fit`` moves batches to its device.

    A run that was stopped goes on to the same bits if the training loader draws from torch's, numpy's or Python's
    global random numbers, as a shuffling DataLoader without a ``generator`` of its own does: their state is kept with
    every checkpoint. To start inside an epoch, the batches before are taken once more and left out. A loader with a
    state of its own starts that anew. One with a method ``set_epoch``, or whose ``sampler`` has one, is told the epoch.

    Args:
        train: the training batches, gone through once an epoch.
        test: those on which networks are measured after every epoch; without them, nothing is measured.
        classes: the names of the classes, or how many there are; unknown by default, and then not compared.
        holdout: further batches, on which the best epoch is chosen instead of on ``test``.
        mean: by which the loaders normalise images, for pixels in 0..1: kept for reports and exports.
        std: likewise.
        name: what reports call the data.

    Raises:
        BadInput: an iterator, which would be empty from the second epoch on; no batch; one that is none.

    >>> import torch
    >>> import potstill as ps
    >>> images = torch.utils.data.TensorDataset(torch.randn(100, 3, 32, 32), torch.arange(100) % 3)
    >>> train = torch.utils.data.DataLoader(images, batch_size=32, shuffle=True)
    >>> data = ps.data.from_loaders(train, classes=["cat", "dog", "fox"])
    >>> data.classes, data.shape, len(data.train), list(data.example())
    (('cat', 'dog', 'fox'), (3, 32, 32), 4, ['images', 'labels'])
    """
    if isinstance(classes, str) or (isinstance(classes, int) and classes < 1):
        raise BadInput(f"classes is {classes!r}, but must be a list of names, or how many there are")
    names = tuple(map(str, range(classes) if isinstance(classes, int) else classes or ()))
    own = OwnLoader(train, "training")
    images = own.example().get("images")
    return Data(
        name=name,
        classes=names,
        shape=() if images is None else tuple(images.shape[1:]),
        mean=None if mean is None else tuple(mean),
        std=None if std is None else tuple(std),
        train=own,
        test=None if test is None else OwnLoader(test, "test"),
        holdout=None if holdout is None else OwnLoader(holdout, "holdout"),
    )


class OwnLoader:
    """Batches of somebody's own loader, as dictionaries, which all have the entries and shapes of the first.

    Args:
        batches: the loader.
        split: what messages call it: "training", "test".
    """

    def __init__(self, batches: Iterable[Any], split: str) -> None:
        if not isinstance(batches, Iterable):
            raise BadInput(f"the {split} loader is a {type(batches).__name__}, not an iterable of batches")
        if isinstance(batches, Iterator):
            kind = type(batches).__name__
            raise BadInput(
                f"the {split} loader is a {kind}, which ends after one epoch: give what makes it, a list say"
            )
        self.batches, self.split, self.taken = batches, split, 0
        self._example: Batch | None = None

    def __len__(self) -> int:
        return len(self.batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Batch]:
        first = self.example()
        for number, given in enumerate(self.batches):
            batch = as_batch(given)
            self._compare(batch, first, number)
            self.taken = number + 1
            yield batch

    def from_batch(self, first: int) -> Iterator[Batch]:
        """The batches of this epoch from this one on, counted from 0. Those before it are taken and left out, at once.

        Raises:
            BadInput: there are no more than ``first`` batches.
        """
        left = iter(self)
        for number in range(first):
            if next(left, None) is None:
                raise BadInput(f"the {self.split} loader gave {first} batches or more before, and gives {number} now")
        return left

    @property
    def draws(self) -> bool:
        """Whether to take a batch may draw random numbers in this process, which worker processes leave alone."""
        return not getattr(self.batches, "num_workers", 0)

    def set_epoch(self, epoch: int) -> None:
        """Tell the loader, or its sampler, if either wants to know."""
        parts: list[Any] = [self.batches, *(getattr(self.batches, name, None) for name in ("sampler", "batch_sampler"))]
        for part in parts:
            if hasattr(part, "set_epoch"):
                part.set_epoch(epoch)

    def example(self) -> Batch:
        """The first batch there is, looked at once."""
        if self._example is None:
            with torch.random.fork_rng():
                given = next(iter(self.batches), None)
            if given is None:
                raise BadInput(f"the {self.split} loader gives no batch")
            self._example = as_batch(given)
        return self._example

    @property
    def count(self) -> int | None:
        """How many images its data set has, if it has one and that knows."""
        try:
            return len(self.batches.dataset)  # type: ignore[attr-defined]
        except (AttributeError, TypeError):
            return None

    def _compare(self, batch: Batch, first: Batch, number: int) -> None:
        """Refuse a batch that networks and losses were not built for; only the number of images may differ."""
        where = f"batch {number} of the {self.split} loader"
        if missing := [key for key in first if key not in batch]:
            raise BadInput(f"{where} has no {missing[0]!r}, as the first batch has; it has {', '.join(batch)}")
        if stray := [key for key in batch if key not in first]:
            raise unknown(f"entry in {where}", stray[0], first)
        for key, value in first.items():
            if _like(batch[key]) != _like(value):
                raise BadInput(f"{where} has {key} of shape {_text(batch[key])}, the first batch of {_text(value)}")


def _like(value: Tensor) -> tuple[int, ...]:
    return (value.dim(), *value.shape[1:])


def _text(value: Tensor) -> str:
    return f"({', '.join(['N', *map(str, value.shape[1:])])})" if value.dim() else "()"
