"""What a run's config.json says: what was asked, of which networks and data, and where it runs."""

import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import potstill
from potstill.data import Data
from potstill.distiller import Distiller
from potstill.engine.checkpoint import fingerprint
from potstill.networks.identity import identity
from potstill.runs.arguments import plain_arguments, recipe_of
from potstill.runs.schema import Config
from potstill.training import Training


def describe_run(
    record: Mapping[str, Any], training: Training, distiller: Distiller, data: Data, device: torch.device
) -> Config:
    """A run's configuration: recipe, every argument, versions, commit, device, networks, data, digests of teachers."""
    return {
        "recipe": recipe_of(record),
        "arguments": plain_arguments(record, training),
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


def _commit() -> str | None:
    """The commit of the checkout this package runs from, marked if it was changed since; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return answer.stdout.strip() or None
