"""Parts of a learner that stay as they are."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from torch import nn

from potstill.errors import BadInput, nearest
from potstill.taps import unwrapped

REST = "rests"
"""The attribute of a module that stays in eval mode while the network around it trains."""


def freeze_parts(network: nn.Module, patterns: Sequence[str], name: str) -> None:
    """Have parts of a network stay as they are: no parameter trains, batch norm and dropout rest.

    Args:
        network: the learner.
        patterns: paths of modules, parameters, or the network's own aliases such as ``stage1``; ``*`` stands for any
            letters.
        name: what messages call the network.

    Raises:
        BadInput: a pattern fits nothing, or nothing is left to train.

    >>> import potstill as ps
    >>> network = ps.networks.create("resnet8")
    >>> freeze_parts(network, ["conv1", "bn1", "stage[12]"], "student")
    >>> [key for key, parameter in network.named_parameters() if parameter.requires_grad][0]
    'layer3.0.conv1.weight'
    """
    inside = unwrapped(network)
    modules = {path: module for path, module in inside.named_modules() if path and _keeps_anything(module)}
    parameters = dict(inside.named_parameters())
    named = {path: path for path in (*modules, *parameters)}
    named |= {alias: path for alias, path in getattr(inside, "aliases", {}).items() if path in modules}
    for pattern in patterns:
        fits = {path for name_of_it, path in named.items() if fnmatchcase(name_of_it, pattern)}
        if not fits:
            near = nearest(pattern, named)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join([*modules][:4])}, ..."
            raise BadInput(f"--freeze {pattern!r} is no part of {name}; {hint}")
        for path in fits:
            if path in modules:
                modules[path].requires_grad_(False)
                setattr(modules[path], REST, True)
            else:
                parameters[path].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise BadInput(f"--freeze {' '.join(patterns)} leaves nothing of {name} to train")


def _keeps_anything(module: nn.Module) -> bool:
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def put_to_rest(network: nn.Module) -> None:
    """Put the parts of a learner that were frozen into eval mode, in which their statistics stay."""
    for module in network.modules():
        if getattr(module, REST, False):
            module.eval()
