"""Further images beside those of a batch, for terms that ask for them by name: ``student@pair``, ``student@strong``.

They follow from the loader's seed, the epoch and the number of the batch, so that a run that was stopped goes on with
the same ones. Nothing here waits for the device.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from potstill.batch import Batch
from potstill.data.loader import Companion, Loader
from potstill.data.seeds import PAIRS, PREVIOUS, STRONG, seeded
from potstill.hub import library
from potstill.image_changes.operations import randaugment


class Pairs:
    """``pair``: for each image another one of its class, in a view of its own; itself, if its class has no other.

    For ``KD on student=student@pair``: Yun, Park, Lee and Shin, "Regularizing class-wise predictions via self-knowledge
    distillation", CVPR 2020: https://arxiv.org/abs/2003.13964.
    """

    def __init__(self, loader: Loader) -> None:
        labels = loader.labels.cpu()[loader.rows]
        counts = labels.bincount()
        rows = loader.rows[labels.argsort(stable=True)]  # class by class
        place = torch.zeros(len(loader.labels), dtype=torch.int64)
        place[rows] = torch.arange(len(rows))
        parts = (rows, place, counts.cumsum(0) - counts, counts)
        self.rows, self.place, self.start, self.count = (part.to(loader.device) for part in parts)

    def __call__(self, loader: Loader, epoch: int, number: int, batch: Batch) -> Batch:
        """The further entry of a batch."""
        generator, size = seeded(loader.seed, PAIRS, epoch, number), loader.sizes[number]
        drawn = torch.rand(size, dtype=torch.float64, generator=generator), loader.augment.draw(size, generator)
        uniform, views = (loader.part_of(column.to(loader.device)) for column in drawn)
        return {"pair": loader.images(self.partners(batch["index"], batch["labels"], uniform), views)}

    def partners(self, index: Tensor, labels: Tensor, uniform: Tensor) -> Tensor:
        """The rows (N,) of the others, by random numbers (N,) in 0..1; ``index`` are the images' own, of ``labels``."""
        start, others = self.start[labels], self.count[labels] - 1
        step = (uniform * others).long()
        step = step + (step >= self.place[index] - start).long()
        return self.rows[start + torch.minimum(step, others)]


class Previous:
    """``previous``: the images of the batch before, in a view of their own, and ``previous_labels``.

    Those before the first batch of an epoch are the last of the epoch before; before the very first, itself. For `DLB`.
    """

    def __init__(self, loader: Loader) -> None:
        self.last: tuple[tuple[int, int], Tensor] | None = None  # epoch and number of the batch given last, its rows

    def __call__(self, loader: Loader, epoch: int, number: int, batch: Batch) -> Batch:
        """The further entries of a batch."""
        index = self._before(loader, epoch, number, batch)
        self.last = (epoch, number), batch["index"]
        views = loader.augment.draw(len(index), seeded(loader.seed, PREVIOUS, epoch, number))
        return {"previous": loader.images(index, views.to(loader.device)), "previous_labels": loader.labels[index]}

    def _before(self, loader: Loader, epoch: int, number: int, batch: Batch) -> Tensor:
        if (epoch, number) == (0, 0):
            return batch["index"]
        came = (epoch, number - 1) if number else (epoch - 1, len(loader) - 1)
        if self.last is not None and self.last[0] == came:
            return self.last[1]
        sizes = loader.sizes
        begin = sum(sizes[: came[1]])
        return loader.draw(came[0])[0][begin : begin + sizes[came[1]]].to(loader.device)


class Strong:
    """``strong``: each image once more, in a view of its own, changed by RandAugment, two operations of strength 10.

    For `MLKD` of two views: Jin, Wang and Lin, "Multi-level logit distillation", CVPR 2023. An image's operations are
    drawn from a seed of its own, so that whoever has some rows of a batch has the same ones.

    Raises:
        BadInput: torchvision is not installed.
    """

    def __init__(self, loader: Loader) -> None:
        library("torchvision", "models")
        self.change = randaugment(count=2, strength=10)

    def __call__(self, loader: Loader, epoch: int, number: int, batch: Batch) -> Batch:
        """The further entry of a batch."""
        generator, size = seeded(loader.seed, STRONG, epoch, number), loader.sizes[number]
        drawn = loader.augment.draw(size, generator), torch.randint(2**62, (size,), generator=generator)
        views, seeds = (loader.part_of(column) for column in drawn)
        pixels = loader.pixels(batch["index"], views).permute(0, 3, 1, 2)
        with torch.random.fork_rng(devices=[]):  # torchvision draws from torch's own numbers
            changed = torch.stack([self._changed(*one) for one in zip(pixels, seeds.tolist(), strict=True)])
        return {"strong": loader.normalized(changed.permute(0, 2, 3, 1))}

    def _changed(self, image: Tensor, seed: int) -> Tensor:
        torch.default_generator.manual_seed(seed)
        return self.change(image)


COMPANIONS: dict[str, Callable[[Loader], Companion]] = {"pair": Pairs, "previous": Previous, "strong": Strong}
