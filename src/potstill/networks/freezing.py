"""Parts of a learner that stay as they are."""

from collections.abc import Iterable, Sequence
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
    >>> freeze_parts(network, ["stem", "layer[12]", "*.bias"], "student")
    >>> [key for key, parameter in network.named_parameters() if parameter.requires_grad][0]
    'layer3.0.conv1.weight'
    """
    inside = unwrapped(network)
    modules, parameters = dict(inside.named_modules()), dict(inside.named_parameters())
    aliases: dict[str, str] = getattr(inside, "aliases", {})
    for pattern in patterns:
        fits = {aliases.get(one, one).partition(":")[0] for one in _fitting(pattern, [*aliases, *modules, *parameters])}
        if not fits - {""}:
            near = nearest(pattern, [*aliases, *modules, *parameters])
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join([*modules][1:5])}, ..."
            raise BadInput(f"--freeze {pattern!r} is no part of {name}; {hint}")
        for path in fits:
            if path in modules:
                modules[path].requires_grad_(False)
                setattr(modules[path], REST, True)
            else:
                parameters[path].requires_grad_(False)
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise BadInput(f"--freeze {' '.join(patterns)} leaves nothing of {name} to train")


def _fitting(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def put_to_rest(network: nn.Module) -> None:
    """Put the parts of a learner that were frozen into eval mode, in which their statistics stay."""
    for module in network.modules():
        if getattr(module, REST, False):
            module.eval()
