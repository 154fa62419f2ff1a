"""A run's network, rebuilt from what the run's config.json says of it."""

from pathlib import Path

from torch import nn

from potstill.errors import BadInput
from potstill.network_input import Input
from potstill.networks import MeanOfLogits, adapt_input, create
from potstill.networks.label_map import map_classes
from potstill.runs.schema import Network


def rebuild(identity: Network, given: Input, weights: Path | None = None) -> nn.Module:
    """The network of that entry in ``networks``, fresh or with ``weights``, called with images as ``given``.

    It sees its own images, if it has seen others than the run's data; several may answer as one.

    Raises:
        BadInput: it was made by hand, or what makes it is gone.
    """
    members = identity.get("mean_of")
    if members:
        network: nn.Module = MeanOfLogits([rebuild(member, given) for member in members])
    else:
        spec, classes = made_from(identity)
        network = create(spec, classes, weights=weights)
    if own := own_input(identity):
        adapt_input(network, given, own)
    if groups := identity.get("label_map"):
        map_classes(network, groups)
    return network.eval().requires_grad_(False)


def made_from(identity: Network) -> tuple[str, int]:
    """The spec and the number of classes of a network.

    Raises:
        BadInput: it was made by hand.
    """
    spec, classes = identity.get("spec"), identity.get("classes")
    if spec is None or classes is None:
        raise BadInput("it was made by hand, and nothing tells how to make it again")
    return spec, classes


def own_input(identity: Network) -> Input | None:
    """The images that a network sees, if they are not those of its run's data."""
    own = identity.get("input")
    if own is None:
        return None
    mean_std = tuple(tuple(map(float, values)) for values in own["statistics"] or ())
    size = own["size"]
    return Input((mean_std[0], mean_std[1]) if mean_std else None, (size[0], size[1]) if size else None)
