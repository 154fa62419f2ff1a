"""What a run says of a network that is published, without the places of the machine that it ran on."""

from dataclasses import dataclass
from pathlib import PurePath

from potstill.errors import BadInput
from potstill.export.rebuild import own_input
from potstill.export.run_network import RunNetwork
from potstill.hub import Repository
from potstill.runs.names import CONFIG
from potstill.runs.schema import DataSet, Network, Summary

HOMES = ("hf", "timm:local-dir")
"""What may stand in front of a folder in a spec."""


@dataclass(frozen=True)
class Published:
    """A network of a finished run, and which images it takes.

    Args:
        chosen: which it is.
        summary: of its run.
        classes: their names.
        mean: of each channel of the images, for values in 0..1.
        std: their deviation.
        shape: of an image of the run's data, (C, H, W).
        size: height and width of the images that the network itself sees.
    """

    chosen: RunNetwork
    summary: Summary
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shape: tuple[int, int, int]
    size: tuple[int, int]


def published(chosen: RunNetwork) -> Published:
    """What there is to say of a network.

    Raises:
        BadInput: its run is not finished, or too old to say which images it takes.
    """
    summary = chosen.summary()
    if summary is None:
        raise BadInput(f"{chosen.folder} is not finished: the same command that began it goes on with it")
    data: DataSet = chosen.config.get("data") or {"name": ""}
    classes, mean, std, shape = data.get("classes"), data.get("mean"), data.get("std"), data.get("shape")
    if not (classes and mean and std and shape and len(shape) == 3):
        raise BadInput(f"{chosen.folder / CONFIG} does not say which classes and images the network is for")
    own = own_input(chosen.config["networks"][chosen.name])
    if own is not None and own.statistics is not None:
        mean, std = (list(values) for values in own.statistics)
    size = own.size if own is not None and own.size is not None else (shape[1], shape[2])
    sides = (shape[0], shape[1], shape[2])
    return Published(chosen, summary, tuple(classes), tuple(mean), tuple(std), sides, size)


def shown_spec(network: Network) -> str:
    """A network's spec, or those of its members, in which a folder or file of this machine is its name alone.

    >>> shown_spec({"spec": "/home/me/nets/small.py:Net+DConv"}), shown_spec({"spec": "hf:org/name"})
    ('small.py:Net+DConv', 'hf:org/name')
    """
    if members := network.get("mean_of"):
        return " and ".join(map(shown_spec, members))
    spec = network.get("spec") or "a network made by hand"
    home = next((home for home in HOMES if spec.startswith(f"{home}:")), None)
    place = spec if home is None else spec.removeprefix(f"{home}:")
    if "/" not in place or spec.startswith("timm:hf") or (home == "hf" and Repository.read(place) is not None):
        return spec
    file, colon, name = (place, "", "") if home else place.rpartition(":")
    return f"{home}:{PurePath(file).name}" if home else f"{PurePath(file).name}{colon}{name}"


def shown_data(name: str) -> str:
    """A data set's name; of a folder of this machine, its own name alone.

    >>> shown_data("/home/me/pets"), shown_data("cifar10"), shown_data("hf-data:org/name")
    ('pets', 'cifar10', 'hf-data:org/name')
    """
    prefix, colon, place = name.rpartition(":")
    hosted = bool(colon) and prefix == "hf-data" and Repository.read(place) is not None
    return name if hosted or "/" not in name else PurePath(place).name
