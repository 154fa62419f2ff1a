"""``potstill evaluate``: how well a network with given weights classifies a test set."""

from pathlib import Path
from typing import Any

import potstill as ps


def evaluate(
    *,
    network: str,
    data: str,
    weights: Path | None = None,
    data_dir: Path | None = None,
    normalize: str | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure a network on a data set's test images: accuracies in percent.

    Args:
        network: a run folder, or a network, for example resnet20a, whose weights are given.
        data: data set: cifar10, cifar100 or digits.
        weights: a safetensors or torch file; common third-party spellings are understood.
        data_dir: where data sets lie; by default $POTSTILL_DATA, or a cache folder that they are downloaded to.
        normalize: mean and deviation of the images: the data set's own, or imagenet, rocket, ..., or six numbers.
        device: cpu, cuda, ...; auto takes a GPU if there is one.
    """
    from potstill.device import find_device
    from potstill.recipes.teacher import create_teacher

    where = find_device(device)
    loaded = ps.data.load(data, data_dir=data_dir, device=where, normalize=normalize)
    trained = create_teacher(network, len(loaded.classes), weights, kind="network", flag="--weights")
    return ps.evaluate(trained.to(where), loaded.test)
