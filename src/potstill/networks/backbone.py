"""A network without its classifier: what it returns then are its pooled features."""

from torch import nn

from potstill.errors import BadInput
from potstill.networks.third_party import takes_classes

STAND_IN = 983
"""Classes that a classifier is built with in order to be found: no other layer of any network is as wide."""


def without_classifier(network: nn.Module, spec: str) -> nn.Module:
    """Replace the layers of ``network``, built with `STAND_IN` classes, that give its logits by nothing.

    Their paths are its attribute ``dropped``. A user's own function that takes no number of classes returns features
    already: nothing of it is replaced.

    Raises:
        BadInput: it has classes, and no linear or convolutional layer makes them.
    """
    heads = [path for path, module in network.named_modules() if path and _outputs(module) == STAND_IN]
    if not heads and takes_classes(spec):
        raise BadInput(
            f"network {spec!r} has no linear layer of its classes that could be left out; give file.py:FUNCTION, "
            "a function without arguments that returns a network of features"
        )
    for path in heads:
        parent, _, name = path.rpartition(".")
        setattr(network.get_submodule(parent), name, nn.Identity())
    network.dropped = tuple(heads)  # type: ignore[assignment]
    return network


def _outputs(module: nn.Module) -> int | None:
    """How many features a linear layer or a convolution gives."""
    count = getattr(module, "out_features", getattr(module, "out_channels", None))
    return count if isinstance(count, int) else None
