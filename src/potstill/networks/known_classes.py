"""The classes that a trained network was trained on, where the data do not say them."""

from dataclasses import dataclass
from pathlib import Path

import torch

from potstill.network_call import call
from potstill.networks.create import create
from potstill.networks.pretrained import PRETRAINED, find_pretrained
from potstill.networks.weights import classes_in
from potstill.outputs import logits_of
from potstill.runs import networks as run_networks
from potstill.runs.source import LIBRARIES


@dataclass(frozen=True)
class Known:
    """The names of classes, and whether an image may be of several."""

    names: tuple[str, ...]
    several: bool = False


def known_classes(spec: str, weights: Path | None, shape: tuple[int, ...]) -> Known:
    """A network's classes: their names in its run or library, or numbers from 0 on where nothing names them.

    How many there are says its run folder, its library, its file of weights, or what it gives for an image.

    Args:
        spec: the network.
        weights: its weights: a file, a run folder, ``pretrained``, or None for those that it brings.
        shape: of an image.

    Raises:
        BadInput: no such network or weights.
    """
    library = spec.partition(":")[0] in LIBRARIES
    if str(weights) == PRETRAINED or (weights is None and library):
        offered = find_pretrained(spec)
        return _numbers(0) if offered is None else Known(offered.names) if offered.names else _numbers(offered.classes)
    stored = run_networks.find(spec if weights is None else str(weights))
    if stored is not None:
        return Known(stored.class_names or _numbers(stored.classes or 0).names, stored.several)
    network = create(spec)
    if weights is not None:
        return _numbers(classes_in(network, weights))
    with torch.no_grad():
        return _numbers(logits_of(call(network.eval(), spec, torch.zeros(2, *shape)), spec).shape[1])


def _numbers(count: int) -> Known:
    return Known(tuple(map(str, range(count))))
