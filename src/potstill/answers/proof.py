"""Whether a teacher's answer to an image is the same bits whatever else is in the batch: found by trying.

Of the usual size of batches that is found before the first step, of others when they are first asked about: most runs
meet few of them, and each costs a pass.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from potstill.answers.key import digest_of

IMAGES = 16
"""Different images that are tried, each at many places of a batch."""
LEAST = 8
"""Images that are run at least: of fewer, processors take other ways through a matrix product."""
PARTS = 8
"""Sizes that are tried between that and a whole batch."""

Answer = Callable[[Tensor], Mapping[str, Tensor]]


class NotKept(ValueError):
    """Why a teacher's answers cannot be kept, in words."""


class Proof:
    """What was found: digests of the answers' bits, and in batches of which sizes an image has the same ones.

    Args:
        answer: runs the teacher on images.
        like: images of the training set, for their shape, device and layout.
        batch_size: images a batch, usually.
        parts: into how many sizes a batch may be parted; none where each size takes long to make ready.

    Raises:
        NotKept: they are not the same in a batch, or no rows of numbers.
    """

    def __init__(self, answer: Answer, like: Tensor, batch_size: int, parts: int = PARTS) -> None:
        self.answer, self.like = answer, like
        generator = torch.Generator().manual_seed(0)
        self.images = torch.randn(IMAGES, *like.shape[1:], generator=generator).to(like.device, like.dtype)
        first = self._run(torch.arange(batch_size) % IMAGES)
        self.answers = {text: value[: min(IMAGES, batch_size)].clone() for text, value in first.items()}
        for text, value in first.items():
            if value.dim() != 2 or len(value) != batch_size or not value.is_contiguous():
                raise NotKept(f"{text} is no row of numbers for each image")
        self.found: dict[int, bool] = {}
        if not (self._same(first, torch.arange(batch_size) % IMAGES) and self.holds(batch_size)):
            raise NotKept("an image's answer depends on the rest of its batch, or changes from call to call")
        some = {LEAST, *(-(-batch_size * part // parts) for part in range(1, parts))} if parts else set()
        self.parts = sorted(size for size in some if LEAST <= size < batch_size)

    def holds(self, size: int) -> bool:
        """Whether images at other places, beside others, in a batch of this size, have the same answers."""
        from potstill.engine.undisturbed import undisturbed  # whose package takes this one

        if size not in self.found:
            rows = (torch.arange(size) * 7 + 3) % min(IMAGES, len(next(iter(self.answers.values()))))
            with undisturbed(), torch.no_grad():
                self.found[size] = self._same(self._run(rows), rows)
        return self.found[size]

    def part_for(self, images: int) -> int | None:
        """The smallest part of a batch in which so many images may run; None if there is none."""
        return next((size for size in self.parts if size >= images and self.holds(size)), None)

    def digests(self) -> dict[str, str]:
        """Of the answers at each address: they tell whatever changes bits, threads and instructions too."""
        return {text: digest_of([value]) for text, value in self.answers.items()}

    def laid_out(self, images: Tensor) -> Tensor:
        """Some images as the loader's batches lie in memory."""
        channels_last = self.like.is_contiguous(memory_format=torch.channels_last)
        return images.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)

    def _same(self, found: Mapping[str, Tensor], rows: Tensor) -> bool:
        return all(
            torch.equal(_bits(found[text]), _bits(value[rows.to(value.device)])) for text, value in self.answers.items()
        )

    def _run(self, rows: Tensor) -> Mapping[str, Tensor]:
        return self.answer(self.laid_out(self.images[rows.to(self.images.device)]))


def _bits(value: Tensor) -> Tensor:
    return value.contiguous().flatten().view(torch.uint8)
