"""What a run's config.json says: what was asked, of which networks and data, and where it runs."""

import platform
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import potstill
from potstill.data import Data
from potstill.distiller import Distiller
from potstill.engine.checkpoint import fingerprint
from potstill.networks.identity import identity
from potstill.own_modules import is_own
from potstill.runs.arguments import plain_arguments, recipe_of
from potstill.runs.names import averaged
from potstill.runs.reading import FORMAT
from potstill.runs.schema import Config, Segment
from potstill.training import Training


def describe_run(
    record: Mapping[str, Any], training: Training, distiller: Distiller, data: Data, device: torch.device
) -> Config:
    """A run's configuration: recipe, every argument, versions, commit, device, networks, data, digests of teachers.

    The user's own files among them are named where they lie; the run folder copies them.
    """
    segment = describe_segment(device)
    networks = {name: identity(network) for name, network in distiller.networks.items()}
    teachers = {name: network for name, network in distiller.teachers.items() if network.state_dict()}
    if training.ema is not None:
        networks |= {averaged(name): networks[name] for name in distiller.learners}
    return {
        "format": FORMAT,
        "recipe": recipe_of(record),
        "arguments": plain_arguments(record, training),
        "versions": segment["versions"],
        "commit": segment.get("commit"),
        "device": segment["device"],
        "threads": segment.get("threads"),
        "segments": [segment],
        "networks": networks,
        "data": data.described(),
        "teachers": {f"weights of {name}": fingerprint(network) for name, network in teachers.items()},
        "losses": _own_files(distiller),
    }


def describe_segment(device: torch.device) -> Segment:
    """Where and by which versions a run is trained that starts now."""
    return {
        "epoch": 0,
        "versions": {
            "potstill": potstill.__version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "commit": _commit(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device} {platform.machine()}",
        "machine": platform.node(),
        "threads": torch.get_num_threads(),
        "date": time.strftime("%Y-%m-%d %H:%M:%S%z"),
    }


def _own_files(distiller: Distiller) -> list[str]:
    """The files of the user's own losses."""
    losses = [term.loss for term in distiller.terms]
    modules = [getattr(loss, "__module__", "") if callable(loss) else "" for loss in losses]
    files = [sys.modules[module].__file__ for module in modules if is_own(module)]
    return list(dict.fromkeys(file for file in files if file is not None))


def _commit() -> str | None:
    """The commit of the checkout this package runs from, marked if it was changed since; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    try:
        answer = subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError:  # no git on this machine
        return None
    return answer.stdout.strip() or None
