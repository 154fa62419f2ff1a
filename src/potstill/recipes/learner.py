"""Networks to train."""

from pathlib import Path
from typing import TYPE_CHECKING

import potstill as ps
from potstill.errors import BadInput
from potstill.say import say
from potstill.training import Training

if TYPE_CHECKING:
    from torch import nn

    from potstill.data import Data


def create_learner(
    spec: str,
    data: "Data",
    training: Training,
    *,
    weights: Path | None = None,
    name: str = "student",
    seed: int | None = None,
    classes: int | None = None,
) -> "nn.Module":
    """A network to train: fresh by a seed, or from a file, a run folder or ``pretrained`` weights to start from.

    A classifier of other classes than the data's stays fresh; that is said on stderr, and so is a size of images that
    is the only one that the network takes.

    Args:
        spec: the network.
        data: gives its classes and images.
        training: whether layers are skipped at random, what is frozen, and the seed, unless there is another.
        weights: to start from.
        name: what messages call it.
        seed: of its fresh weights.
        classes: other than the data's; 0: without a classifier.
    """
    from potstill.networks.freezing import freeze_parts
    from potstill.networks.seeing import see

    seed = training.seed if seed is None else seed
    if classes is None and not data.classes and data.unlabelled:
        raise BadInput(
            f"the images of {data.name} have no labels (--unlabelled), and nothing says how many classes {name} has: "
            "potstill distill takes those of its teacher"
        )
    classes = len(data.classes) if classes is None else classes
    network = ps.networks.create(spec, classes, seed=seed, drop_path=training.drop_path)
    if weights is not None:
        fresh = ps.networks.start_from(network, weights)
        if fresh:
            say(f"{name} starts from {weights}, but for {', '.join(fresh)}: there it has other classes, or none")
    if training.freeze:
        freeze_parts(network, training.freeze, name)
    see(network, data, ps.networks.Input(), name)
    network.title = name  # type: ignore[assignment]
    return network


def learn_with_every_head(network: "nn.Module") -> None:
    """Have a network of timm that has a second head for distillation give both while it trains.

    Otherwise, and in the end, it gives their mean.
    """
    switch = getattr(network, "set_distilled_training", None)
    if callable(switch):
        switch(True)
