"""``potstill evaluate``: how well a network with given weights classifies a test set."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import potstill as ps
from potstill.ranges import Side
from potstill.selection import Reading, Selection


def evaluate(
    *,
    network: str,
    data: str,
    weights: Path | None = None,
    normalize: str | None = None,
    image_size: Side | None = None,
    device: str = "auto",
    reading: Reading = Reading(),
) -> dict[str, Any]:
    """Measure a network on a data set's test images: accuracies in percent.

    Args:
        network: a run folder, timm:NAME, torchvision:NAME, or a network whose weights are given, such as resnet20a.
        data: data set: cifar10, cifar100, digits, imagenet, or your own folder with val/CLASS/*.
        weights: a safetensors or torch file, in common third-party spellings too; or pretrained.
        normalize: mean and deviation of the images: imagenet, rocket, ..., or six numbers; by default those that the
            network was trained on, as far as its run folder or its library says, and else the data set's own.
        image_size: images in files: side of the crops in pixels; by default what the network was trained on, or 224.
        device: cpu, cuda, ...; auto takes a GPU if there is one.
    """
    from potstill.device import find_device
    from potstill.networks.seeing import describe_input
    from potstill.networks.trained import create_trained, own_input
    from potstill.say import say

    where = find_device(device)
    own = own_input(network, weights)
    if normalize is None and own.statistics:
        normalize = " ".join(repr(value) for values in own.statistics for value in values)
        say(f"network sees {describe_input(ps.networks.Input(own.statistics))}")
    if image_size is None and own.size and ps.data.in_files(data):
        image_size = own.size[0]
    selected = Selection(data, **asdict(reading), normalize=normalize, image_size=image_size)
    loaded = ps.data.load(selected, device=where)
    trained = create_trained(network, loaded, weights, normalize=normalize, kind="network", flag="--weights")
    assert loaded.test is not None, "data.load gives test images"
    return ps.evaluate(trained.to(where), loaded.test)
