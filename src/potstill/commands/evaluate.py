"""``potstill evaluate``: how well a network with given weights classifies a test set."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import potstill as ps
from potstill.errors import BadInput
from potstill.ranges import Count, Side
from potstill.selection import Reading, Selection

if TYPE_CHECKING:
    from potstill.data import Data
    from potstill.runs.details import Details


def evaluate(
    *,
    network: str,
    data: str,
    weights: Path | None = None,
    normalize: str | None = None,
    image_size: Side | None = None,
    device: str = "auto",
    details: bool = False,
    bins: Count = 15,
    out: Path | None = None,
    reading: Reading = Reading(),
) -> dict[str, Any]:
    """Measure a network on a data set's test images: accuracies, or mean average precision, in percent.

    Of a backbone, such as embed makes: how well classes are told by its features, by k nearest neighbours and by a
    linear probe, which know 10,000 training images at most.

    In detail: accuracy by class, which classes are taken for which, the negative log-likelihood, and how far the
    probabilities of the chosen classes are from how often these are right (the expected calibration error).

    Args:
        network: a run folder, timm:NAME, torchvision:NAME, or a network whose weights are given, such as resnet20a.
        data: data set: cifar10, cifar100, digits, imagenet, or your own folder with val/CLASS/*.
        weights: a safetensors or torch file, in common third-party spellings too; or pretrained.
        normalize: mean and deviation of the images: imagenet, rocket, ..., or six numbers; by default those that the
            network was trained on, as far as its run folder or its library says, and else the data set's own.
        image_size: images in files: side of the crops in pixels; by default what the network was trained on, or 224.
        device: cpu, cuda, ...; auto takes a GPU if there is one.
        details: measure in detail; of many classes, the worst are shown, and --json has all.
        bins: of equal width, into which probabilities are parted for --details.
        out: a file for what --details finds: .json (all of it), or .csv (a row a class, and the confusion matrix).
    """
    from potstill.commands.details import must_be_writable
    from potstill.device import find_device
    from potstill.embedding.labelled import backbone_quality
    from potstill.engine.average_precision import mean_average_precision
    from potstill.engine.details import Answers
    from potstill.networks.trained import create_trained
    from potstill.runs.networks import is_backbone

    if out is not None:
        if not details:
            raise BadInput(f"--out {out} is for what --details finds")
        must_be_writable(out)
    where = find_device(device)
    asked = Selection(data, **asdict(reading), normalize=normalize, image_size=image_size)
    selected = _as_trained(asked, network, weights)
    loaded = ps.data.load(selected, device=where)
    if weights is None and is_backbone(network, must_classify=details):
        return backbone_quality(network, loaded, selected.normalize, where)
    loaded = _must_be_labelled(loaded, details)
    trained = create_trained(network, loaded, weights, normalize=selected.normalize, kind="network", flag="--weights")
    assert loaded.test is not None, "data.load gives test images"
    measure = mean_average_precision if loaded.several else ps.evaluate
    if loaded.several or not details:
        return measure(trained.to(where), loaded.test)
    answers = Answers()
    measured = ps.evaluate(trained.to(where), loaded.test, answers)
    return _in_detail(measured, answers.details(loaded.classes, bins), out)


def _in_detail(measured: dict[str, float], found: "Details", out: Path | None) -> dict[str, Any]:
    """What was measured, which is written to a file if one is given."""
    from potstill.commands.details import write_details

    if out is not None:
        write_details(out, measured, found)
    return {**measured, "details": found, **({} if out is None else {"out": str(out)})}


def _must_be_labelled(data: "Data", details: bool) -> "Data":
    """The data, if they have the labels that are counted."""
    if data.unlabelled:
        raise BadInput("evaluate measures accuracy, which needs labels: --unlabelled is for training and check")
    if details and data.several:
        raise BadInput("--details counts which class is taken for which, and these images may have several labels")
    return data


def _as_trained(selected: Selection, network: str, weights: Path | None) -> Selection:
    """The data with the normalisation and the size that the network was trained on, where no other is asked for."""
    from potstill.networks.seeing import describe_input
    from potstill.networks.trained import own_input
    from potstill.say import say

    own, told = own_input(network, weights), selected
    if selected.normalize is None and own.statistics:
        told = replace(told, normalize=" ".join(repr(value) for values in own.statistics for value in values))
        say(f"network sees {describe_input(ps.networks.Input(own.statistics))}")
    if selected.image_size is None and own.size and ps.data.in_files(selected.data):
        told = replace(told, image_size=own.size[0])
    return told
