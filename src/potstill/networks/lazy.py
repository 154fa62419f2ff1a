"""Networks without weights yet: torch's lazy modules, which take their sizes from the first images, and meta ones."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.network_call import call


def make_whole(
    networks: Sequence[tuple[str, nn.Module]], batch: Mapping[str, Tensor], inputs: Mapping[str, Any], seed: int
) -> None:
    """Give lazy layers their sizes by the first rows of a batch, and weights by ``seed``, other ones each network.

    Args:
        networks: by name.
        batch: a real one.
        inputs: what networks are called with where that is not ``images``; those that need another one's output are
            left as they are.
        seed: of the weights.

    Raises:
        BadInput: a network that cannot take them, or has no weights.
    """
    for number, (name, network) in enumerate(networks):
        refuse_meta(network, name)
        wanted = inputs.get(name, "images")
        given = [batch.get(text) for text in (wanted if isinstance(wanted, tuple) else (wanted,))]
        if all(value is not None for value in given):
            materialise(network, name, [value[:2] for value in given if value is not None], seed + number)


def materialise(network: nn.Module, name: str, inputs: Sequence[Tensor], seed: int = 0) -> None:
    """Run a network once if it has lazy layers, so that they get their sizes, and weights that are drawn by ``seed``.

    In eval mode, without autograd; the caller's random numbers are left alone.

    Raises:
        BadInput: it cannot take the inputs; the message calls it ``name``.

    >>> import torch
    >>> network = nn.Sequential(nn.Flatten(), nn.LazyLinear(10))
    >>> materialise(network, "student", [torch.zeros(2, 3, 8, 8)])
    >>> network[1].weight.shape
    torch.Size([10, 192])
    """
    if not any(is_lazy(value) for value in (*network.parameters(), *network.buffers())):
        return
    with eval_mode(network), torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        device = next((value.device for value in network.parameters()), torch.device("cpu"))
        call(network, name, *(value.to(device, copy=True) for value in inputs))


def refuse_meta(network: nn.Module, name: str) -> None:
    """Refuse a network on torch's meta device, which holds shapes and no numbers.

    Raises:
        BadInput: it has such a parameter or buffer.
    """
    for key, value in (*network.named_parameters(), *network.named_buffers()):
        if value.is_meta:
            raise BadInput(f"network {name!r} has no weights: {key} is on the meta device")
