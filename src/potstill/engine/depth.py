"""How far from a network's output its parameters lie, in layers."""

from itertools import accumulate

from torch import Tensor, nn

from potstill.taps import unwrapped


def depths(network: nn.Module) -> dict[Tensor, int]:
    """Of every parameter, how many layers are after its own: 0 of the classifier.

    timm's networks say what their layers are. Of others, a layer is an item of a list or sequence of modules, else a
    module of the network itself. Norms with parameters of one dimension only belong to the layer before them, and
    parameters of the network itself, such as a class token, to the first.

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
    own: dict[str, list[str]] = {}
    dimensions: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        layer = _layer(network, name)
        own.setdefault(layer, []).append(name)
        dimensions[layer] = max(dimensions.get(layer, 0), parameter.dim() if layer else 0)
    begins = [number > 0 and bool(layer) and dimensions[layer] > 1 for number, layer in enumerate(own)]
    if "" in own and len(own) > 1:  # the first module is of the same layer as what has no module
        begins[1 if next(iter(own)) == "" else 0] = False
    numbers = list(accumulate(map(int, begins)))
    return {
        name: number if layer else 0
        for (layer, names), number in zip(own.items(), numbers, strict=True)
        for name in names
    }


def _layer(network: nn.Module, name: str) -> str:
    """The path of the module that is a parameter's layer; empty for a parameter of the network itself."""
    module, path = network, list[str]()
    for part in name.split(".")[:-1]:
        path.append(part)
        inside = isinstance(module, nn.Sequential | nn.ModuleList)
        module = module.get_submodule(part)
        if inside:
            return ".".join(path)
    return path[0] if path else ""
