"""Weight sharing of Rocket Launching: the light net borrows its convolutions from the booster."""

from itertools import takewhile
from typing import Literal

from torch import nn

from potstill.checked import checked
from potstill.errors import BadInput

Pairs = list[tuple[nn.Conv2d, nn.Conv2d]]  # of the light net and of the booster


@checked
def share(light: nn.Module, booster: nn.Module, how: Literal["interval", "bottom"] = "interval") -> None:
    """Make convolutions of ``light`` use the parameters of the booster's. Batch norms and classifiers stay their own.

    ``interval``: every convolution of the light net uses the booster's at the same path. For two wide ResNets (or two
    ResNets) these are the stem and, in every group, the booster's first blocks as deep as the light net goes, 1x1
    shortcuts included. ``bottom``: the two share their lowest convolutions, from the stem up, as long as they are alike
    in shape and stride; above, each has its own. A light net such as ``wrn-40-1-bottom2`` is its booster's all through.

    Raises:
        BadInput: interval: a convolution has no counterpart of the same shape; bottom: not even the first ones are
            alike. Then nothing changes.

    Source: Zhou et al., "Rocket Launching: A Universal and Efficient Framework for Training Well-performing Light
    Net", AAAI 2018, https://arxiv.org/abs/1708.04106

    >>> import potstill as ps
    >>> light, booster = ps.networks.create("wrn-16-1"), ps.networks.create("wrn-40-1")
    >>> ps.networks.share(light, booster)
    >>> light.block1[0].conv1.weight is booster.block1[0].conv1.weight
    True
    """
    if not _convolutions(light):
        raise BadInput(f"light net has no convolution to share: {type(light).__name__}")
    pairs = _interval(light, booster) if how == "interval" else _bottom(light, booster)
    for module, lender in pairs:
        module.weight, module.bias = lender.weight, lender.bias


def _interval(light: nn.Module, booster: nn.Module) -> Pairs:
    lenders = dict(booster.named_modules())
    pairs = []
    for path, module in _convolutions(light).items():
        lender = lenders.get(path)
        if not isinstance(lender, nn.Conv2d) or _shapes(lender) != _shapes(module):
            raise BadInput(_misfit(path, module, lender))
        pairs.append((module, lender))
    return pairs


def _bottom(light: nn.Module, booster: nn.Module) -> Pairs:
    both = (_convolutions(network) for network in (light, booster))
    in_order = zip(*(network.values() for network in both), strict=False)
    pairs = list(takewhile(lambda pair: _alike(*pair), in_order))
    if not pairs:
        path, module = next(iter(_convolutions(light).items()))
        raise BadInput(_misfit(path, module, next(iter(_convolutions(booster).values()), None)))
    return pairs


def _convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    return {path: module for path, module in network.named_modules() if isinstance(module, nn.Conv2d)}


def _alike(module: nn.Conv2d, lender: nn.Conv2d) -> bool:
    return _shapes(module) == _shapes(lender) and (module.stride, module.groups) == (lender.stride, lender.groups)


def _shapes(convolution: nn.Conv2d) -> dict[str, tuple[int, ...]]:
    return {name: tuple(parameter.shape) for name, parameter in convolution.named_parameters()}


def _misfit(path: str, module: nn.Conv2d, lender: nn.Module | None) -> str:
    if lender is None:
        there = "does not have this layer"
    elif not isinstance(lender, nn.Conv2d):
        there = f"has a {type(lender).__name__} there"
    else:
        there = f"has {_shapes(lender)}"
    return f"light net does not fit in booster: {path} is {_shapes(module)} in the light net, the booster {there}"
