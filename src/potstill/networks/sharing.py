"""Weight sharing of Rocket Launching: the light net borrows its convolutions from the booster."""

from torch import nn

from potstill.errors import BadInput


def share(light: nn.Module, booster: nn.Module) -> None:
    """Make every convolution of ``light`` use the parameters of the booster's convolution at the same path.

    For two wide ResNets (or two ResNets) this is the paper's interval sharing: the stem and, in every group, the
    booster's first blocks as deep as the light net goes, 1x1 shortcuts included. Batch norms and classifiers stay
    each network's own. ``BadInput`` if a convolution has no counterpart of the same shape; then nothing changes.

    Source: Zhou et al., "Rocket Launching: A Universal and Efficient Framework for Training Well-performing Light
    Net", AAAI 2018, https://arxiv.org/abs/1708.04106
    """
    lenders = dict(booster.named_modules())
    pairs = []
    for path, module in light.named_modules():
        if isinstance(module, nn.Conv2d):
            lender = lenders.get(path)
            if not isinstance(lender, nn.Conv2d) or _shapes(lender) != _shapes(module):
                raise BadInput(_misfit(path, module, lender))
            pairs.append((module, lender))
    if not pairs:
        raise BadInput(f"light net has no convolution to share: {type(light).__name__}")
    for module, lender in pairs:
        module.weight, module.bias = lender.weight, lender.bias


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
