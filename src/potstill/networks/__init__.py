"""Networks: building them by name, loading and sharing their weights, counting what they cost."""

from potstill.network_input import Input
from potstill.networks.cheap import cheap
from potstill.networks.cost import conv_parameters, layers, macs, parameters
from potstill.networks.create import create
from potstill.networks.ensemble import MeanOfLogits
from potstill.networks.finder import within_budget
from potstill.networks.graft import graft
from potstill.networks.input import adapt_input
from potstill.networks.latency import latencies, latency
from potstill.networks.rotations import Rotations
from potstill.networks.sharing import share
from potstill.networks.splitting import split_stages
from potstill.networks.stages import Stage, find_stages
from potstill.networks.substitution import keep_weights, reasons_to_stay, substitute
from potstill.networks.weights import load_weights, start_from

__all__ = [
    "Input",
    "MeanOfLogits",
    "Rotations",
    "Stage",
    "adapt_input",
    "cheap",
    "conv_parameters",
    "create",
    "find_stages",
    "graft",
    "keep_weights",
    "latencies",
    "latency",
    "layers",
    "load_weights",
    "macs",
    "parameters",
    "reasons_to_stay",
    "share",
    "split_stages",
    "start_from",
    "substitute",
    "within_budget",
]
