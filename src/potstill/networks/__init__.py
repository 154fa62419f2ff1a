"""Networks: building them by name, loading and sharing their weights, counting what they cost."""

from potstill.networks.cheap import cheap
from potstill.networks.cost import macs, parameters
from potstill.networks.create import create
from potstill.networks.sharing import share
from potstill.networks.substitution import substitute
from potstill.networks.weights import load_weights

__all__ = ["cheap", "create", "load_weights", "macs", "parameters", "share", "substitute"]
