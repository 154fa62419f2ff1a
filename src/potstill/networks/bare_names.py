"""State dictionaries as the bare network has them, whatever wraps it or its parts."""

from typing import Any

from torch import Tensor, nn

from potstill.taps import unwrapped

WRAPPERS = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
"""torch's wrappers, and what each calls the network inside."""


def bare_names(network: nn.Module) -> dict[str, str]:
    """Each name of the state of ``network``, unwrapped, with the name it would have if no part of it was wrapped."""
    network = unwrapped(network)
    starts = {
        f"{path}.{WRAPPERS[type(module).__name__]}."
        for path, module in network.named_modules()
        if type(module).__name__ in WRAPPERS and type(module).__module__.startswith("torch.")
    }
    names = {}
    for name in network.state_dict():
        bare = name
        for start in sorted((start for start in starts if name.startswith(start)), key=len, reverse=True):
            bare = start[: start.rstrip(".").rindex(".") + 1] + bare.removeprefix(start)
        names[name] = bare
    return names


def bare_state(network: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers by their names in the bare network."""
    state: dict[str, Any] = unwrapped(network).state_dict()
    return {bare: state[name] for name, bare in bare_names(network).items()}
