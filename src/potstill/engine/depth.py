"""How far from a network's output its parameters lie, in layers."""

from itertools import groupby

from torch import Tensor, nn

from potstill.taps import unwrapped


def depths(network: nn.Module) -> dict[Tensor, int]:
    """Of every parameter, how many layers are after its own: 0 of the classifier.

    timm's networks say what their layers are. Of others, a layer is an item of a list or sequence of modules, else a
    module with parameters. Norms, whose parameters have one dimension, belong to the layer before them.

    >>> import potstill as ps
    >>> network = ps.networks.create("resnet8")
    >>> found = depths(network)
    >>> found[network.conv1.weight], found[network.bn1.weight], found[network.layer3[0].conv1.weight]
    (4, 4, 1)
    >>> found[network.fc.weight]
    0
    """
    plain = unwrapped(network)
    layers = _of_timm(plain) if hasattr(plain, "group_matcher") else _of_modules(plain)
    last = max(layers.values(), default=0)
    return {parameter: last - layers[name] for name, parameter in plain.named_parameters() if name in layers}


def _of_timm(network: nn.Module) -> dict[str, int]:
    from timm.models import group_parameters

    layers: dict[str, int] = group_parameters(network, network.group_matcher(coarse=False), reverse=True)  # type: ignore[operator]
    return layers


def _of_modules(network: nn.Module) -> dict[str, int]:
    """The layer of each parameter by its name, counted from the input."""
    layers: dict[str, int] = {}
    number, begun = 0, False
    for (_, begins), group in groupby(network.named_parameters(), lambda named: _layer(network, named[0])):
        members = list(group)
        if begins and any(parameter.dim() > 1 for _, parameter in members):
            number, begun = number + begun, True
        layers |= {name: number for name, _ in members}
    return layers


def _layer(network: nn.Module, name: str) -> tuple[str, bool]:
    """The path of the module that is a parameter's layer, and whether it may be one of its own.

    What a module has besides modules of its own, such as a class token, belongs to the layer before it.
    """
    module, path = network, list[str]()
    for part in name.split(".")[:-1]:
        path.append(part)
        inside = isinstance(module, nn.Sequential | nn.ModuleList)
        module = module.get_submodule(part)
        if inside:
            return ".".join(path), True
    return ".".join(path), not any(module.children())
