"""Networks to train."""

from pathlib import Path
from typing import TYPE_CHECKING

import potstill as ps
from potstill.say import say

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data


def create_learner(
    spec: str, data: "Data", *, seed: int, weights: Path | None = None, name: str = "student"
) -> "nn.Module":
    """A network to train: fresh by ``seed``, or from a file, a run folder or ``pretrained`` weights to start from.

    A classifier of other classes than the data's stays fresh; that is said on stderr, and so is a size of images that
    is the only one that the network takes.
    """
    from potstill.networks.seeing import see

    network = ps.networks.create(spec, len(data.classes), seed=seed)
    if weights is not None:
        fresh = ps.networks.start_from(network, weights)
        if fresh:
            say(f"{name} starts from {weights}, but for {', '.join(fresh)}: there it has other classes")
    see(network, data, ps.networks.Input(), name)
    network.title = name  # type: ignore[assignment]
    return network
