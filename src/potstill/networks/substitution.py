"""Making a student out of a teacher's architecture: its spatial convolutions become cheap ones."""

from fnmatch import fnmatchcase

from torch import nn

from potstill.errors import BadInput, nearest
from potstill.networks.cheap import Cheap, cheap
from potstill.networks.initialise import initialise


def substitute(network: nn.Module, spec: str, pattern: str | None = None) -> nn.Module:
    """Replace the spatial convolutions of ``network`` by the type that ``spec`` names, and return the network.

    By default those are all whose window is larger than 1 x 1, but for the stem (the network's first convolution) and
    those that are depthwise already. In a wide ResNet that leaves exactly the two of every block, which the original
    replaces. With a ``pattern`` (``layer4.*``, as in file names, for paths of modules) they are all spatial ones whose
    path matches, stem and depthwise ones included.

    Channels, stride, padding and dilation stay. The new layers start afresh as those of a built-in network, where the
    old ones were (device, dtype, mode); everything else keeps its weights. The network loses the attribute ``spec``,
    because nothing that ``create`` could build from it would fit these weights.

    Raises:
        BadInput: no such type, nothing to replace, or a layer whose channels it cannot split; the message names the
            layer, its channels and the nearest spec that fits all layers. The network is unchanged then.

    Source: Crowley, Gray & Storkey, "Moonshine: Distilling with Cheap Convolutions", NeurIPS 2018,
    https://arxiv.org/abs/1711.02613, section 3
    """
    kind = cheap(spec)
    chosen = _choose(network, pattern)
    _check(kind, chosen)
    for path, old in chosen.items():
        new = kind.build(old)
        initialise(new)
        network.set_submodule(path, new.to(old.weight.device, old.weight.dtype).train(old.training))
    vars(network).pop("spec", None)
    return network


def _choose(network: nn.Module, pattern: str | None) -> dict[str, nn.Conv2d]:
    """The convolutions to replace, by path."""
    convolutions = {path: module for path, module in network.named_modules() if path and isinstance(module, nn.Conv2d)}
    spatial = {path: module for path, module in convolutions.items() if max(module.kernel_size) > 1}
    if pattern is not None:
        chosen = {path: module for path, module in spatial.items() if fnmatchcase(path, pattern)}
        if not chosen:
            near = nearest(pattern, spatial) or list(spatial)[:3]
            hint = f"nearest: {', '.join(near)}" if near else "it has none"
            raise BadInput(f"no spatial convolution of {type(network).__name__} matches {pattern!r}; {hint}")
        return chosen
    stem = next(iter(convolutions), None)
    chosen = {path: module for path, module in spatial.items() if path != stem and not _depthwise(module)}
    if not chosen:
        raise BadInput(
            f"{type(network).__name__} has no convolution to replace: spatial, not the stem, not depthwise already"
        )
    return chosen


def _depthwise(convolution: nn.Conv2d) -> bool:
    return 1 < convolution.groups == convolution.in_channels


def _check(kind: Cheap, chosen: dict[str, nn.Conv2d]) -> None:
    """Raise for the first layer that ``kind`` cannot replace."""
    for path, layer in chosen.items():
        inputs, outputs = layer.in_channels, layer.out_channels
        if type(layer).forward is not nn.Conv2d.forward:
            raise BadInput(f"cannot replace {path}: {type(layer).__name__} computes in a way of its own")
        problem = kind.misfit(inputs, outputs)
        if problem:
            near = kind.nearest(*((layer.in_channels, layer.out_channels) for layer in chosen.values()))
            raise BadInput(
                f"{kind.spec} cannot replace {path}, {inputs} to {outputs} channels: {problem}; nearest is {near}"
            )
