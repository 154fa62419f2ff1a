"""What the losses have in common: they compute in float32 at least."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


class Loss(nn.Module):
    """A loss whose ``forward`` and ``build`` get half precision as float32, and run without autocast.

    Squares of activations leave the range of float16, and a guard of 1e-12 is 0 in it. Gradients flow back in the
    inputs' own precision, and what is beyond its range as the largest number there. A loss that differentiates a
    network (``needs_graph``) gets its inputs as they are: a cast copy is not what the logits were computed from. One
    that compares the rows of a batch (``whole_batch``) gets those of all processes that train a run. One that takes a
    class for each image, and no probabilities of several, says so (``hard_labels``): images cannot be mixed then. One
    that takes labels of which an image may have several (``several_labels``) says that, and so does one that keeps what
    it was given for its next call (``carries``): it is given whole batches, by one process. Of networks that learn from
    each other, one (``all_others``) gets what all others give, as a tuple, instead of being a term of each.
    """

    needs_graph = False
    whole_batch = False
    hard_labels = False
    carries = False
    several_labels = False
    all_others = False

    def __init_subclass__(cls, **settings: Any) -> None:
        """Cast for the class's own ``build``, as ``__call__`` does for its ``forward``."""
        super().__init_subclass__(**settings)
        if "build" in vars(cls):
            cls.build = _in_float32(cls.build)  # type: ignore[attr-defined]

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Call ``forward`` with inputs of float32 at least."""
        with torch.autocast(_device(inputs), enabled=False):
            if self.needs_graph:
                return super().__call__(*inputs, **named)
            named = {name: float32_at_least(value) for name, value in named.items()}
            return super().__call__(*(float32_at_least(value) for value in inputs), **named)


def float32_at_least(value: Any) -> Any:
    """A tensor of half precision as float32, or a tuple of such; whatever else as it is."""
    if isinstance(value, tuple | list):
        return tuple(float32_at_least(part) for part in value)
    if not isinstance(value, Tensor) or value.dtype not in (torch.float16, torch.bfloat16):
        return value
    wide, most = value.float(), torch.finfo(value.dtype).max
    if wide.requires_grad:
        wide.register_hook(lambda gradient: gradient.clamp(-most, most))  # type: ignore[no-untyped-call]
    return wide


def _in_float32(build: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(build)
    def cast(self: Loss, *inputs: Any) -> None:
        build(self, *(inputs if self.needs_graph else map(float32_at_least, inputs)))

    return cast


def _device(inputs: tuple[Any, ...]) -> str:
    """The kind of device of the first tensor."""
    first = inputs[0] if inputs else None
    while isinstance(first, tuple | list):
        first = first[0]
    return first.device.type if isinstance(first, Tensor) else "cpu"
