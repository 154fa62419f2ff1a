"""Where a network's features are: one vector an image, and a map of patches."""

from typing import Self

import torch
from torch import Tensor, nn

from potstill.address import Address
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.network_call import call
from potstill.networks.dry_run import DryRun
from potstill.networks.stages import stages_of
from potstill.outputs import parts
from potstill.taps import Taps

POOLER = "pooler_output"
"""What the models of `transformers` call the features that they have pooled."""


def pooled_place(network: nn.Module, name: str, images: Tensor) -> str:
    """The address of the pooled features (N, D) of a backbone called ``name``.

    That is what it returns; of a teacher of `transformers`, what its model calls pooled, if it does: the class token of
    DINOv2, the attention pooling of SigLIP. Its classifier would get something else there.

    Raises:
        BadInput: it returns no features (N, D).
    """
    if (inside := _pooler(network, name, images)) is not None:
        return str(Address(name, part=POOLER, path=inside))
    found = DryRun(network, name, images).root.output.value
    if not isinstance(found, Tensor) or found.dim() != 2:
        what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise BadInput(f"{name} returns {what}, not pooled features (N, D); it may be matched by --match patches")
    return name


class Pooled(nn.Module):
    """A backbone that returns its pooled features (N, D), wherever they are. In a ``with`` statement: it is tapped.

    Args:
        network: the backbone.
        name: what messages call it.
        images: a few, in which they are found.

    Raises:
        BadInput: it has none.
    """

    def __init__(self, network: nn.Module, name: str, images: Tensor) -> None:
        super().__init__()
        self.place = pooled_place(network, name, images)
        self.network, self.taps = network, Taps(network, name, [self.place])

    def forward(self, images: Tensor) -> Tensor:
        """Of images (N, C, H, W)."""
        return self.taps(images)[self.place]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.taps.close()


def patches_place(network: nn.Module, name: str, images: Tensor) -> str:
    """The address of the map of patches (N, C, h, w) of a backbone called ``name``: its last stage's, normed if it is.

    Raises:
        BadInput: no map is found in it.
    """
    run = DryRun(network, name, images)
    stages = stages_of(run)
    if not stages:
        raise BadInput(f"{name}: no map of patches is found in it; match pooled features: --match pooled")
    last, seen = stages[-1], run.seen_at(stages[-1].path)
    for later in run.calls:
        is_norm = "Norm" in type(later.module).__name__ and later.input.value is seen.value
        if is_norm and run.map_shape(later.output.value) == last.shape and not later.output.overwritten:
            return f"{name}.{run.as_map(later.path, later.output.value)}"
    return f"{name}.{last.path}"


def _pooler(network: nn.Module, name: str, images: Tensor) -> str | None:
    """The path of the model inside ``network`` that says which of its outputs is pooled, (N, D); None if none does."""
    found: list[str] = []

    def look(path: str, output: object) -> None:
        pooled = None if isinstance(output, Tensor) else parts(output).get(POOLER)
        if isinstance(pooled, Tensor) and pooled.dim() == 2:
            found.append(path)

    hooks = [
        child.register_forward_hook(lambda _, __, output, path=path: look(path, output))
        for path, child in network.named_children()
    ]
    try:
        with eval_mode(network), torch.no_grad(), torch.random.fork_rng(devices=[]):
            call(network, name, images.clone(memory_format=torch.contiguous_format))
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else None
