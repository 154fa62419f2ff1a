"""What terms ask for besides the images of a batch: ``student@rotated``, ``student@pair``, ``student@strong``, ..."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import potstill as ps
from potstill.address import Address
from potstill.errors import BadInput
from potstill.training import Training

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data

CHANGES = ("randaugment", "trivial_augment", "erase", "mixup", "cutmix")
"""What happens to a batch's images after the loader has given those beside them, which would not be changed."""


def with_further_images(
    terms: "Sequence[ps.Term]", networks: "dict[str, nn.Module]", data: "Data", training: Training
) -> "tuple[dict[str, nn.Module], Data]":
    """The networks and the data with what the terms' addresses ask for, if it is neither one's own entry.

    ``rotated`` is a network without weights, which turns the images as they come; ``pair``, ``previous`` and ``strong``
    are given by the loader, see `potstill.data.companions`.

    Raises:
        BadInput: of images in files, or that are changed after the loader has given them.
    """
    from potstill.data.companions import COMPANIONS
    from potstill.data.loader import Loader

    asked = {Address.parse(text).input for term in terms for text in term.flat_addresses} - {*networks}
    if "rotated" in asked:
        networks = {**networks, "rotated": ps.networks.Rotations()}
    entries = [name for name in COMPANIONS if name in asked and name not in data.example()]
    if not entries:
        return networks, data
    if not isinstance(data.train, Loader):
        raise BadInput(
            f"{entries[0]!r} is an entry of data sets that are small enough for the device, not of images "
            f"in files such as {data.name}; your own loader may give it"
        )
    if changed := [name for name in CHANGES if getattr(training, name)]:
        flag = changed[0].replace("_", "-")
        raise BadInput(f"--{flag} would change a batch's images and not those of {entries[0]!r} beside them")
    companions = [COMPANIONS[name](data.train) for name in entries]
    return networks, replace(data, train=data.train.beside(companions))
