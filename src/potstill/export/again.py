"""A run's network, made again from what the run's config.json says of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from potstill.errors import BadInput
from potstill.networks import Input, MeanOfLogits, adapt_input, create


def make_again(identity: Mapping[str, Any], given: Input, weights: Path | None = None) -> nn.Module:
    """The network of that entry in ``networks``, fresh or with ``weights``, called with images as ``given``.

    It sees its own images, if it has seen others than the run's data; several may answer as one.

    Raises:
        BadInput: it was made by hand, or what makes it is gone.
    """
    if "mean_of" in identity:
        network: nn.Module = MeanOfLogits([make_again(member, given) for member in identity["mean_of"]])
    elif identity["spec"] is None:
        raise BadInput("it was made by hand, and nothing tells how to make it again")
    else:
        network = create(identity["spec"], identity["classes"], weights=weights)
    if own := own_input(identity):
        adapt_input(network, given, own)
    return network.eval().requires_grad_(False)


def own_input(identity: Mapping[str, Any]) -> Input | None:
    """The images that a network sees, if they are not those of its run's data."""
    if "input" not in identity:
        return None
    statistics, size = identity["input"]["statistics"], identity["input"]["size"]
    mean_std = tuple(tuple(map(float, values)) for values in statistics or ())
    return Input((mean_std[0], mean_std[1]) if mean_std else None, tuple(size) if size else None)
