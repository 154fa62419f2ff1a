"""Trained networks: where their weights come from, and which images they were trained on."""

from pathlib import Path
from typing import TYPE_CHECKING

import potstill as ps
from potstill.errors import BadInput
from potstill.networks.known_classes import known_classes
from potstill.networks.label_map import groups_of, map_classes, read_label_map
from potstill.networks.seeing import see
from potstill.runs.source import LIBRARIES
from potstill.say import say

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data
    from potstill.networks import Input


def create_trained(
    spec: str,
    data: "Data",
    weights: Path | None = None,
    *,
    normalize: str | None = None,
    size: int | None = None,
    kind: str = "teacher",
    flag: str = "--teacher-weights",
    label_map: Path | None = None,
) -> "nn.Module":
    """A frozen network with trained weights, which sees the images that it was trained on, whatever the data's are.

    Its weights are those of the file, of the run folder, of the user's own function, or those that timm,
    torchvision or the Hugging Face Hub offer. What it sees is said on stderr where it differs from the data.

    Args:
        spec: the network.
        data: what it answers on; gives its classes and images.
        weights: a file, a run folder, or ``pretrained``.
        normalize: mean and deviation of the images that it was trained on; by default those that `own_input` knows.
        size: height and width of those images.
        kind: what messages call it.
        flag: what they call the flag for its weights.
        label_map: which of its classes each class of the data is, where these are others; see `read_label_map`.

    Raises:
        BadInput: its weights would be random, are of other classes, or cannot be downloaded.
    """
    from potstill.networks.pretrained import CannotDownload

    if size is not None and size < 1:
        raise BadInput(f"{kind}: images have a size of 1 or more, not {size}")
    entries = None if label_map is None else read_label_map(label_map)
    weights = _trained_weights(spec, data, weights, kind, flag, mapped=entries is not None)
    own = data.classes if entries is None else known_classes(spec, weights, data.shape).names
    try:
        network = ps.networks.create(spec, len(own), weights=weights)
    except CannotDownload as error:
        raise BadInput(f"{error}; give {flag} FILE") from error
    see_as_trained(network, data, own_input(spec, weights), normalize=normalize, size=size, kind=kind)
    if entries is not None and label_map is not None:
        map_classes(network, groups_of(entries, data.classes, own, label_map))
    else:
        _compare_classes(spec, weights, data, kind)
    return ps.freeze(network)


def see_as_trained(
    network: "nn.Module", data: "Data", known: "Input", *, normalize: str | None, size: int | None, kind: str
) -> None:
    """Have a network see the images that it was trained on: those that are asked for, or else those that are known."""
    from potstill.data.normalize import statistics
    from potstill.networks.input import only_size

    wanted = ps.networks.Input(
        known.statistics if normalize is None else statistics(normalize),
        only_size(network) or known.size if size is None else (size, size),
    )
    see(network, data, wanted, kind)


def own_input(spec: str, weights: Path | None) -> "Input":
    """The images that a network's weights were trained on, as far as a run folder or its library says."""
    from potstill.networks.pretrained import PRETRAINED, find_pretrained
    from potstill.runs import networks as run_networks

    if str(weights) == PRETRAINED or (weights is None and spec.partition(":")[0] in LIBRARIES):
        offered = find_pretrained(spec)
        return ps.networks.Input() if offered is None else offered.input
    stored = run_networks.find(spec if weights is None else str(weights))
    return ps.networks.Input() if stored is None else stored.input


def brings_weights(spec: str) -> bool:
    """Whether a network has trained weights by itself: a run folder's, or those that a user's own function loads."""
    origin, colon, _ = spec.partition(":")
    return Path(spec).is_dir() or (bool(colon) and origin not in LIBRARIES)


def _trained_weights(
    spec: str, data: "Data", weights: Path | None, kind: str, flag: str, *, mapped: bool = False
) -> Path | None:
    """The weights to load into a network that must not have random ones; None if it brings them itself."""
    from potstill.networks.pretrained import PRETRAINED, find_pretrained

    if weights is not None and str(weights) != PRETRAINED:
        return weights
    if weights is None and brings_weights(spec):
        return None
    offered = find_pretrained(spec)
    if offered is None and weights is not None:
        return weights  # create says that there are none
    if offered is None:
        ps.networks.create(spec, len(data.classes))  # it may not even be a network
        raise BadInput(f"{kind} {spec!r} has no trained weights; give {flag} FILE, or a run folder")
    if offered.classes != len(data.classes) and not (mapped and offered.classes):
        here = f"have {offered.classes} classes, {data.name} has {len(data.classes)}"
        theirs = here if offered.classes else "are a backbone's, without a classifier"
        raise BadInput(
            f"{kind} {spec!r}: its pre-trained weights {theirs}; {_way(offered.classes, flag)}fine-tune it first: "
            f"potstill supervised --network {spec} --weights {PRETRAINED} --data {data.name}"
        )
    if weights is None:
        say(f"{kind}: pre-trained weights {offered.name}")
    return Path(PRETRAINED)


def _way(classes: int, flag: str) -> str:
    """What can be done about a teacher of other classes, besides."""
    return "say with --label-map FILE which are which, or " if classes and flag == "--teacher-weights" else ""


def _compare_classes(spec: str, weights: Path | None, data: "Data", name: str) -> None:
    """Say so if a run's network was trained on classes of other names: they may mean the same."""
    from potstill.runs import networks as run_networks

    stored = run_networks.find(spec if weights is None else str(weights))
    pairs = zip(stored.class_names, data.classes, strict=False) if stored else ()
    if other := [f"{there!r} where {data.name} has {here!r}" for there, here in pairs if there != here]:
        say(f"{name} was trained on classes of other names, {len(other)} of {len(data.classes)}, such as {other[0]}")
