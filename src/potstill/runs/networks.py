"""Networks out of a run folder: config.json says what they are, NAME.safetensors holds their weights."""

import os
from dataclasses import dataclass
from pathlib import Path

from potstill.errors import BadInput, nearest, unknown
from potstill.network_input import Input
from potstill.runs import manifest
from potstill.runs.digests import there
from potstill.runs.names import CONFIG, weights
from potstill.runs.reading import read_networks
from potstill.runs.schema import DataSet, Network, Networks
from potstill.runs.trust import located


@dataclass(frozen=True)
class StoredNetwork:
    """A network of a finished run: how to build it again, where its weights lie, and which images it was trained on."""

    folder: Path
    name: str
    spec: str | None
    """None if it was made by hand."""
    classes: int | None
    weights: Path
    input: Input
    class_names: tuple[str, ...]
    """Empty if the run is too old to say."""
    identity: Network
    """What the run keeps of it."""
    several: bool = False
    """Whether it was trained on images that may have several labels each."""

    def made_from(self) -> tuple[str, int]:
        """Spec and classes, from which it can be built again.

        Raises:
            BadInput: it was made by hand.
        """
        if self.spec is None or self.classes is None:
            where = f"{self.name} of {self.folder}"
            raise BadInput(f"{where} was made by hand: nothing tells how to make it again; name it file.py:NAME")
        return self.spec, self.classes

    def located(self) -> Network:
        """What makes it here, out of the run folder's own copy of its code.

        Raises:
            BadInput: that code is not this user's, and nobody said to trust it.
        """
        return located(self.identity, self.folder)


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
    stored = [network for network in networks if has_weights(folder, network)]
    name = name or _only(folder, stored)
    if name not in networks:
        raise unknown(f"network in {folder}", name, networks)
    file = folder / weights(name)
    if name not in stored:
        raise BadInput(f"run folder {folder} has no weights {file.name}")
    network = networks[name]
    data = config.get("data")
    class_names = tuple((data and data.get("classes")) or ())
    images = _images(data)
    made_from, classes = network.get("spec"), network.get("classes")
    several = bool(data and data.get("several"))
    return StoredNetwork(folder, name, made_from, classes, file, images, class_names, network, several)


def has_weights(folder: Path, name: str) -> bool:
    """Whether a run has kept weights of a network, even if they are gone now."""
    listed = manifest.read(folder)
    kept = listed is not None and None not in listed["files"].get(weights(name), [None])
    return kept or os.path.lexists(folder / weights(name))


def _images(data: DataSet | None) -> Input:
    """The images of the run's data set, as far as the run says."""
    if data is None:
        return Input()
    mean, std, shape = data.get("mean"), data.get("std"), data.get("shape")
    statistics = None if mean is None or std is None else (tuple(map(float, mean)), tuple(map(float, std)))
    return Input(statistics, (shape[1], shape[2]) if shape and len(shape) == 3 else None)


def _config(folder: Path) -> Networks:
    if not there(folder / CONFIG):
        raise BadInput(f"{folder} is not a run folder: it has no {CONFIG}")
    config = read_networks(folder)
    if not config["networks"]:
        raise BadInput(f"{folder / CONFIG} does not describe a run: no networks in it")
    return config


def _only(folder: Path, stored: list[str]) -> str:
    if len(stored) == 1:
        return stored[0]
    if "student" in stored:
        return "student"
    if not stored:
        raise BadInput(f"run folder {folder} has no weights yet")
    raise BadInput(f"{folder} has several networks; say which: {', '.join(f'{folder}:{name}' for name in stored)}")


def is_backbone(spec: str, must_classify: bool = False) -> bool:
    """Whether ``spec`` is a run folder's network without a classifier.

    Raises:
        BadInput: it is, and ``must_classify``.
    """
    stored = find(spec)
    if stored is None or stored.classes != 0:
        return False
    if must_classify:
        raise backbone(spec, stored.made_from()[0])
    return True


def backbone(spec: str, made_from: str) -> BadInput:
    """The error for a backbone where classes are wanted."""
    return BadInput(
        f"the network in {spec} is a backbone without a classifier; train one on it: "
        f"potstill supervised --network {made_from} --weights {spec}"
    )


def missing(spec: str) -> BadInput:
    """The error for a path that is no folder, with the nearest run folders beside it."""
    path = Path(spec.partition(":")[0])
    beside = [str(config.parent) for config in path.parent.glob(f"*/{CONFIG}")]
    near = nearest(str(path), beside)
    return BadInput(f"no run folder {str(path)!r}" + (f"; did you mean {' or '.join(near)}?" if near else ""))
