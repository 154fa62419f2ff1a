"""Trained backbones as teachers of features."""

from pathlib import Path
from typing import TYPE_CHECKING

import potstill as ps
from potstill.errors import BadInput
from potstill.networks.trained import brings_weights, own_input, see_as_trained
from potstill.say import say

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data


def create_feature_teacher(
    spec: str,
    data: "Data",
    weights: Path | None = None,
    *,
    normalize: str | None = None,
    size: int | None = None,
    kind: str = "teacher",
) -> "nn.Module":
    """A frozen backbone with trained weights, which sees the images that it was trained on, whatever the data's are.

    It returns its pooled features. Weights of a classifier are taken without what makes its classes, however many.

    Args:
        spec: the network.
        data: what it is asked about; gives the images, no classes.
        weights: a file, a run folder, or ``pretrained``.
        normalize: mean and deviation of the images that it was trained on; by default those that `own_input` knows.
        size: height and width of those images.
        kind: what messages call it.

    Raises:
        BadInput: its weights would be random, are another network's, or cannot be downloaded.
    """
    from potstill.networks.pretrained import CannotDownload

    network = ps.networks.create(spec, 0)
    weights = _trained_weights(spec, weights, kind)
    if weights is not None:
        try:
            ps.networks.start_from(network, weights)
        except CannotDownload as error:
            raise BadInput(f"{error}; give --teacher-weights FILE") from error
    see_as_trained(network, data, own_input(spec, weights), normalize=normalize, size=size, kind=kind)
    network.title = kind  # type: ignore[assignment]
    return ps.freeze(network)


def _trained_weights(spec: str, weights: Path | None, kind: str) -> Path | None:
    """The weights to load into a backbone that must not have random ones; None if it brings them itself."""
    from potstill.networks.pretrained import PRETRAINED, find_pretrained

    if weights is not None or brings_weights(spec):
        return weights
    offered = find_pretrained(spec)
    if offered is None:
        raise BadInput(f"{kind} {spec!r} has no trained weights; give --teacher-weights FILE, or a run folder")
    say(f"{kind}: pre-trained weights {offered.name}")
    return Path(PRETRAINED)
