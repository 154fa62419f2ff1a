"""Networks without weights yet: torch's lazy modules, which take their sizes from the first images, and meta ones."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.guard import foreign
from potstill.network_call import call
from potstill.runs import networks as run_networks
from potstill.runs.manifest import verify


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


def sizes_from(network: nn.Module, weights: Path | str) -> None:
    """Give lazy layers the sizes of the tensors of their names in a safetensors file, or in a run folder.

    Raises:
        BadInput: it is neither, or lacks one.
    """
    waiting = {key: value for key, value in (*network.named_parameters(), *network.named_buffers()) if is_lazy(value)}
    if not waiting:
        return
    stored = run_networks.find(str(weights))
    file = stored.weights if stored else Path(weights)
    if file.suffix != ".safetensors" or not file.is_file():
        raise BadInput(f"lazy layers get their sizes from images or a .safetensors file, not from {file}")
    verify(file, listed=stored is not None)
    with foreign(f"file {str(file)!r}"), safe_open(file, "pt") as content:
        names = set(content.keys())
        for key, value in waiting.items():
            if key not in names:
                raise BadInput(f"{file} has no {key}, from which the lazy layer could get its size")
            value.materialize(tuple(content.get_slice(key).get_shape()))


def refuse_meta(network: nn.Module, name: str) -> None:
    """Refuse a network on torch's meta device, which holds shapes and no numbers.

    Raises:
        BadInput: it has such a parameter or buffer.
    """
    for key, value in (*network.named_parameters(), *network.named_buffers()):
        if value.is_meta:
            raise BadInput(f"network {name!r} has no weights: {key} is on the meta device")
