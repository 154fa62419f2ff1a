"""What a run keeps of a network, to make it again."""

from dataclasses import asdict

from torch import nn

from potstill.networks.ensemble import MeanOfLogits
from potstill.runs.schema import Network
from potstill.taps import unwrapped


def identity(network: nn.Module) -> Network:
    """What `create` needs to make this network again; its ``spec`` is None for a network made by hand.

    ``input``: the images it sees where they are not the data's, see `adapt_input`; ``mean_of``: its members;
    ``label_map``: the numbers of its own classes for each one of the data's, see `map_classes`.
    ``source``: the user's own file in its spec.
    """
    network = unwrapped(network)
    found: Network = {"spec": getattr(network, "spec", None), "classes": getattr(network, "classes", None)}
    if source := getattr(network, "own_file", None):
        found["source"] = str(source)
    if hasattr(network, "own_input"):
        found["input"] = asdict(network.own_input)  # type: ignore[call-overload]
    if hasattr(network, "label_map"):
        found["label_map"] = network.label_map  # type: ignore[typeddict-item]
    if isinstance(network, MeanOfLogits):
        found["mean_of"] = [identity(member) for member in network.networks]
    return found
