"""A frozen teacher's forward pass that an engine answers, with tensors that lie in memory as torch's own do."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from potstill.batch import Batch
from potstill.forward_pass import ForwardPass
from potstill.say import say

if TYPE_CHECKING:
    from potstill.teacher_engines.engines import Run  # which imports torch's compiler


class EnginePass:
    """Answers a pass on images by an engine; torch answers what the engine was not checked on, which is said once.

    That is images of another size, kind or layout, a batch of another number of images where the engine takes a
    preparation for each, and everything once the teacher's weights have changed, which the engine may not see.

    Args:
        one: the pass.
        engine: name and version of the engine.
        run: what computes.
        images: some that it was made for.
        answers: torch's own to them.
        sizes: the numbers of images that it answers; None: any.
    """

    def __init__(
        self,
        one: ForwardPass,
        engine: str,
        run: "Run",
        images: Tensor,
        answers: Mapping[str, Tensor],
        sizes: frozenset[int] | None,
    ) -> None:
        self.one, self.engine, self.run, self.sizes = one, engine, run, sizes
        self.like = _kind(images)
        self.orders = {text: order_of(value) for text, value in answers.items()}
        self.weights = _places(one)
        self.said: set[str] = set()

    def __call__(self, batch: Batch) -> Mapping[str, Tensor]:
        """The tensor at each address."""
        images = batch["images"]
        if _kind(images) != self.like or (self.sizes is not None and len(images) not in self.sizes):
            return self._by_torch(images, f"batches like one of {tuple(images.shape)}, which it was not checked on")
        if _places(self.one) != self.weights:
            return self._by_torch(images, "a teacher whose weights have changed since it was checked")
        return self.answers(images)

    def answers(self, images: Tensor) -> dict[str, Tensor]:
        """What the engine answers, whatever it was checked on."""
        return {
            text: laid_out(value, order)
            for (text, order), value in zip(self.orders.items(), self.run(images), strict=True)
        }

    def _by_torch(self, images: Tensor, what: str) -> Mapping[str, Tensor]:
        if what not in self.said:
            self.said.add(what)
            say(f"{self.one.key} is answered by torch, not by {self.engine}, for {what}")
        return self.one.taps(images)


def order_of(value: Tensor) -> tuple[int, ...]:
    """Its dimensions as they lie in memory, the one of the largest step first.

    >>> import torch
    >>> order_of(torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last))
    (0, 2, 3, 1)
    """
    steps = value.stride()
    return tuple(sorted(range(value.dim()), key=lambda dimension: -steps[dimension]))


def laid_out(value: Tensor, order: tuple[int, ...]) -> Tensor:
    """The tensor with its dimensions in this order in memory; itself, if they are."""
    back = tuple(sorted(range(len(order)), key=lambda place: order[place]))
    return value.permute(order).contiguous().permute(back)


def _kind(images: Tensor) -> tuple[Any, ...]:
    return images.dtype, images.device, images.shape[1:], order_of(images)


def _places(one: ForwardPass) -> list[tuple[int, int]]:
    """Where the teacher's weights and buffers are, and how often each was written to."""
    network = one.taps.network
    return [(value.data_ptr(), value._version) for value in (*network.parameters(), *network.buffers())]
