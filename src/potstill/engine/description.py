"""What a run's config.json says: what was asked, of which networks and data, and where it runs."""

import platform
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

import potstill
from potstill.data import Data
from potstill.distiller import Distiller
from potstill.engine.checkpoint import fingerprint
from potstill.networks.ensemble import MeanOfLogits
from potstill.runs.arguments import arguments_of, recipe_of
from potstill.runs.schema import Config, Network
from potstill.training import Training


def describe_run(
    record: Mapping[str, Any], training: Training, distiller: Distiller, data: Data, device: torch.device
) -> Config:
    """A run's configuration: recipe, every argument, versions, commit, device, networks, data, digests of teachers."""
    return {
        "recipe": recipe_of(record),
        "arguments": arguments_of(record, training),
        "versions": {
            "potstill": potstill.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "networks": {name: identity(network) for name, network in distiller.networks.items()},
        "data": data.described(),
        "teachers": {f"weights of {name}": fingerprint(network) for name, network in distiller.teachers.items()},
    }


def identity(network: nn.Module) -> Network:
    """What `networks.create` needs to make this network again; null for a network made by hand.

    ``input``: the images it sees where they are not the data's, see `networks.adapt_input`; ``mean_of``: its members.
    """
    found: Network = {"spec": getattr(network, "spec", None), "classes": getattr(network, "classes", None)}
    if hasattr(network, "own_input"):
        found["input"] = asdict(network.own_input)  # type: ignore[call-overload]
    if isinstance(network, MeanOfLogits):
        found["mean_of"] = [identity(member) for member in network.networks]
    return found


def _commit() -> str | None:
    """The commit of the checkout this package runs from, marked if it was changed since; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return answer.stdout.strip() or None
