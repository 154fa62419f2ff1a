"""Making a student out of a teacher's architecture: its spatial convolutions become cheap ones."""

from collections import Counter
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn

from potstill.checked import checked
from potstill.errors import BadInput, nearest
from potstill.networks.cheap import Cheap, cheap, pads_to_same
from potstill.networks.initialise import initialise


@checked
def substitute(
    network: nn.Module, spec: str, pattern: str | None = None, *, keep: Literal["1x1"] | None = "1x1"
) -> nn.Module:
    """Replace the spatial convolutions of ``network`` by the type that ``spec`` names, and return the network.

    By default those are all whose window is larger than 1 x 1, but for the stem (the network's first convolution),
    those that are cheap already (in groups, depthwise included) and those of a class with a forward of its own, such as
    timm's StdConv2d, whose standardised weights no cheap type has; timm's Conv2dSame is replaced by what pads like it.
    In a wide ResNet that leaves exactly the two of every block, which the original replaces. With a ``pattern``
    (``layer4.*``, as in file names, for paths of modules) they are all spatial ones whose path matches, stem and
    grouped ones included. `reasons_to_stay` says of every convolution which it is.

    Channels, stride, padding and dilation stay, groups do not. The new layers start afresh as those of a built-in
    network, where the old ones were (device, dtype, mode). The network loses the attribute ``spec``, because nothing
    that `create` could build from it would fit these weights.

    Args:
        network: changed in place; ``copy.deepcopy`` it first if it is the teacher.
        spec: a type of convolution, see `cheap`.
        pattern: which convolutions to replace instead of those above.
        keep: ``"1x1"``: every layer that is not replaced keeps its weights, so that out of a copy of the teacher comes
            a student with the teacher's 1x1 convolutions, batch norms and classifier. ``None``: they start afresh too.

    Raises:
        BadInput: no such type, nothing to replace, or a layer whose channels it cannot split; the message names the
            layer, its channels and the nearest spec that fits all layers. Or, without ``keep``, a layer that cannot
            start afresh. The network is unchanged then.

    Source: Crowley, Gray & Storkey, "Moonshine: Distilling with Cheap Convolutions", NeurIPS 2018,
    https://arxiv.org/abs/1711.02613, section 3

    >>> from copy import deepcopy
    >>> import potstill as ps
    >>> teacher = ps.networks.create("wrn-16-2")
    >>> student = ps.networks.substitute(deepcopy(teacher), "G8B2")
    >>> round(ps.networks.macs(student) / ps.networks.macs(teacher), 2)
    0.23
    """
    kind = cheap(spec)
    chosen = _choose(network, pattern)
    _check(kind, chosen)
    if keep is None:
        _start_afresh(network)
    for path, old in chosen.items():
        new = kind.build(old)
        initialise(new)
        network.set_submodule(path, new.to(old.weight.device, old.weight.dtype).train(old.training))
    vars(network).pop("spec", None)
    return network


@checked
def reasons_to_stay(network: nn.Module, pattern: str | None = None) -> dict[str, str]:
    """Why `substitute` leaves each convolution of ``network`` as it is, by path; empty for those that it replaces.

    >>> import potstill as ps
    >>> ps.networks.reasons_to_stay(ps.networks.create("wrn-10-1"))
    {'conv1': 'the stem', 'block1.0.conv1': '', ...}
    """
    convolutions = _convolutions(network)
    stem = next(iter(convolutions), None)
    reasons = {}
    for path, convolution in convolutions.items():
        matches = pattern is not None and fnmatchcase(path, pattern)
        if max(convolution.kernel_size) == 1:
            reasons[path] = "1x1"
        elif pattern is not None and not matches:
            reasons[path] = f"does not match {pattern!r}"
        elif path == stem and not matches:
            reasons[path] = "the stem"
        elif convolution.groups > 1 and not matches:
            reasons[path] = "in groups already"
        elif not _is_plain(convolution):
            reasons[path] = f"{type(convolution).__name__} computes in a way of its own"
        else:
            reasons[path] = ""
    return reasons


def _choose(network: nn.Module, pattern: str | None) -> dict[str, nn.Conv2d]:
    """The convolutions to replace, by path."""
    convolutions, reasons = _convolutions(network), reasons_to_stay(network, pattern)
    for path, reason in reasons.items():
        if pattern is not None and fnmatchcase(path, pattern) and reason not in ("", "1x1"):
            raise BadInput(f"cannot replace {path}: {reason}")
    chosen = {path: convolutions[path] for path, reason in reasons.items() if not reason}
    if chosen:
        return chosen
    if pattern is not None:
        spatial = [path for path, reason in reasons.items() if reason != "1x1"]
        near = nearest(pattern, spatial) or spatial[:3]
        hint = f"nearest: {', '.join(near)}" if near else "it has none"
        raise BadInput(f"no spatial convolution of {type(network).__name__} matches {pattern!r}; {hint}")
    counts = Counter(reasons.values())
    stay = ", ".join(f"{reason} ({count})" for reason, count in counts.items()) or "it has none at all"
    raise BadInput(f"{type(network).__name__} has no convolution to replace: {stay}")


def _convolutions(network: nn.Module) -> dict[str, nn.Conv2d]:
    return {path: module for path, module in network.named_modules() if path and isinstance(module, nn.Conv2d)}


def _is_plain(convolution: nn.Conv2d) -> bool:
    return type(convolution).forward is nn.Conv2d.forward or pads_to_same(convolution)


def _check(kind: Cheap, chosen: dict[str, nn.Conv2d]) -> None:
    """Raise for the first layer that ``kind`` cannot replace."""
    for path, layer in chosen.items():
        inputs, outputs = layer.in_channels, layer.out_channels
        problem = kind.misfit(inputs, outputs)
        if problem:
            near = kind.nearest(*((layer.in_channels, layer.out_channels) for layer in chosen.values()))
            raise BadInput(
                f"{kind.spec} cannot replace {path}, {inputs} to {outputs} channels: {problem}; nearest is {near}"
            )


def _start_afresh(network: nn.Module) -> None:
    """Give every layer new first weights: convolutions those of a built-in network, others those of their class."""
    layers = [(path, module) for path, module in network.named_modules() if [*module.parameters(recurse=False)]]
    for path, module in layers:
        if not hasattr(module, "reset_parameters"):
            place = path or "the network itself"
            raise BadInput(f"cannot start {place} afresh: {type(module).__name__} has no reset_parameters")
    for _, module in layers:
        module.reset_parameters()
    initialise(network)


@checked
def keep_weights(student: nn.Module, teacher: nn.Module) -> int:
    """Copy all that has the same name and shape in both, batch-norm statistics included; return how many tensors.

    Between a teacher and `create` of its spec with cheap convolutions, that is every layer that is not replaced.

    Raises:
        BadInput: nothing has.

    >>> import potstill as ps
    >>> teacher, student = ps.networks.create("wrn-16-2", seed=0), ps.networks.create("wrn-16-2+DConv", seed=1)
    >>> ps.networks.keep_weights(student, teacher), len(student.state_dict())
    (71, 155)
    >>> bool((student.fc.weight == teacher.fc.weight).all())
    True
    """
    source: dict[str, torch.Tensor] = teacher.state_dict()
    own: dict[str, torch.Tensor] = student.state_dict()
    alike = [name for name, value in own.items() if name in source and source[name].shape == value.shape]
    if not alike:
        raise BadInput(f"nothing of this {type(teacher).__name__} fits into this {type(student).__name__}")
    with torch.no_grad():
        for name in alike:
            own[name].copy_(source[name])
    return len(alike)
