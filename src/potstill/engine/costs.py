"""What a run's networks cost, and how much memory the run took."""

import sys

import torch

from potstill.batch import as_batch
from potstill.data.data import Data
from potstill.distiller import Distiller
from potstill.engine.at_rest import at_rest
from potstill.networks.cost import macs, parameters
from potstill.runs.schema import Costs, Memory


def costs_of(distiller: Distiller, data: Data) -> dict[str, Costs]:
    """``parameters`` and ``macs`` (multiply-adds an image) of every network; None where it is called with no image."""
    images = as_batch(data.example()).get("images")
    are_images = images is not None and images.dim() == 4
    found: dict[str, Costs] = {}
    with at_rest(distiller):
        for name, network in distiller.networks.items():
            found[name] = {"parameters": parameters(network), "macs": None}
            if images is not None and are_images and name in distiller.of_images:
                _, channels, height, width = images.shape
                found[name]["macs"] = macs(network, (channels, height, width))
    return found


def peak_memory(device: torch.device) -> Memory | None:
    """The most memory in use so far: ``peak_bytes``, and ``of`` what. None on Windows, which has no `resource`."""
    if device.type == "cuda":
        return {"peak_bytes": torch.cuda.max_memory_allocated(device), "of": "cuda"}
    if sys.platform == "win32":
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss: bytes there, KiB elsewhere
    return {"peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, "of": "process"}
