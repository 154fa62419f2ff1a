"""Networks out of a run folder: config.json says what they are, NAME.safetensors holds their weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.errors import BadInput, nearest, unknown
from potstill.networks.input import Input

CONFIG = "config.json"


@dataclass(frozen=True)
class StoredNetwork:
    """A network of a finished run: how to build it again, where its weights lie, and which images it was trained on."""

    spec: str
    classes: int
    weights: Path
    input: Input
    class_names: tuple[str, ...]
    """Empty if the run is too old to say."""


def find(spec: str) -> StoredNetwork | None:
    """Read the network that ``FOLDER`` or ``FOLDER:NAME`` names, or None if there is no such folder.

    Without a name: the only network with weights in the folder, or ``student`` if there are several.

    Raises:
        BadInput: the folder is not a run's, or the network is not one of it.
    """
    folder, name = Path(spec), ""
    if not spec or not folder.is_dir():  # an empty spec would be the current folder
        before, _, name = spec.rpartition(":")
        folder = Path(before)
        if not before or not folder.is_dir():
            return None
    config = _config(folder)
    networks = config["networks"]
    stored = [network for network in networks if (folder / f"{network}.safetensors").is_file()]
    name = name or _only(folder, stored)
    if name not in networks:
        raise unknown(f"network in {folder}", name, networks)
    weights = folder / f"{name}.safetensors"
    if name not in stored:
        raise BadInput(f"run folder {folder} has no weights {weights.name}")
    try:
        spec, classes = str(networks[name]["spec"]), int(networks[name]["classes"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder / CONFIG} does not say spec and classes of {name}") from error
    class_names = tuple(map(str, config.get("data", {}).get("classes", ())))
    return StoredNetwork(spec, classes, weights, _images(config, folder), class_names)


def _images(config: Mapping[str, Any], folder: Path) -> Input:
    """The images of the run's data set; older runs do not say."""
    if "data" not in config:
        return Input()
    try:
        data = config["data"]
        mean, std = (tuple(map(float, data[name])) for name in ("mean", "std"))
        _, height, width = data["shape"]
        return Input((mean, std), (int(height), int(width)))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{folder / CONFIG} does not say mean, std and shape of its data") from error


def _config(folder: Path) -> dict[str, Any]:
    config = folder / CONFIG
    if not config.is_file():
        raise BadInput(f"{folder} is not a run folder: it has no {CONFIG}")
    try:
        content: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
        networks = content["networks"]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{config} does not describe a run: no networks in it") from error
    if not isinstance(networks, dict) or not networks:
        raise BadInput(f"{config} does not describe a run: no networks in it")
    return content


def _only(folder: Path, stored: list[str]) -> str:
    if len(stored) == 1:
        return stored[0]
    if "student" in stored:
        return "student"
    if not stored:
        raise BadInput(f"run folder {folder} has no weights yet")
    raise BadInput(f"{folder} has several networks; say which: {', '.join(f'{folder}:{name}' for name in stored)}")


def missing(spec: str) -> BadInput:
    """The error for a path that is no folder, with the nearest run folders beside it."""
    path = Path(spec.partition(":")[0])
    beside = [str(config.parent) for config in path.parent.glob(f"*/{CONFIG}")]
    near = nearest(str(path), beside)
    return BadInput(f"no run folder {str(path)!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
