"""What a run's accuracies leave out: how far its networks agree, and where they look."""

import json
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from potstill.answers.tested import Answered
from potstill.batch import as_batch, on_device
from potstill.data.data import Data
from potstill.data.label_names import Label, label_name
from potstill.distiller import Distiller
from potstill.engine.agreement import agreement
from potstill.engine.at_rest import at_rest
from potstill.engine.attention import attention
from potstill.engine.pictures import pictures
from potstill.outputs import logits_of
from potstill.runs import manifest
from potstill.runs.schema import Insight, Prediction

IMAGES = 6  # the first test images are looked at closely


def write_insight(file: Path, distiller: Distiller, data: Data, known: Mapping[str, Tensor] | None = None) -> None:
    """Write `insight` as JSON, if there are test images."""
    if data.test is not None:
        manifest.write(file.parent, {file.name: (json.dumps(insight(distiller, data, known)) + "\n").encode()})


def insight(distiller: Distiller, data: Data, known: Mapping[str, Tensor] | None = None) -> Insight:
    """Look at a distiller's networks on the test images; nothing in them changes, nor any random state.

    Args:
        distiller: whose networks.
        data: whose test images.
        known: what some of the networks answer to all of them, logits (n, K): these are not asked again.

    Returns:
        ``agreement`` of the classifiers, see there, unless an image may have several labels. ``images``: the first test
        images, each with ``label`` (-1 if nobody says), ``class`` and ``pixels``. ``predictions`` {classifier:
        [{"label", "class", "probability"}]}, one an image. ``attention`` {network: {stage: {"tap", "maps"}}}, see
        there. Arrays are {"shape", "base64"}.
    """
    assert data.test is not None
    device = distiller.weights.device
    networks = {name: network for name, network in distiller.networks.items() if name in distiller.of_images}
    classifiers = {name: network for name, network in networks.items() if name in distiller.classifiers}
    learners = {name: network for name, network in classifiers.items() if name in distiller.learners}
    answered = {name: Answered(logits) for name, logits in (known or {}).items() if name in classifiers}
    with at_rest(distiller):
        first = on_device(as_batch(next(iter(data.test))), device)
        images = first["images"][:IMAGES]
        labels = first["labels"][:IMAGES].tolist() if "labels" in first else [-1] * len(images)
        looks = {name: attention(network, name, images) for name, network in networks.items()}
        return {
            "agreement": {} if data.several else agreement(learners, {**classifiers, **answered}, data.test, device),
            "images": [
                {"label": -1 if data.several else label, "class": _class(label, data.classes), "pixels": pixels}
                for label, pixels in zip(labels, pictures(images, data), strict=True)
            ],
            "predictions": {n: _predictions(logits_of(looks[n][0], n), data) for n in classifiers},
            "attention": {name: maps for name, (_, maps) in looks.items()},
        }


def _predictions(logits: Tensor, data: Data) -> list[Prediction]:
    classes, probabilities = data.classes, logits.float().sigmoid() if data.several else logits.float().softmax(1)
    best = probabilities.max(1)
    rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [
        {"label": label, "class": _class(label, classes), "probability": probability} for label, probability in rows
    ]


def _class(label: Label, classes: tuple[str, ...]) -> str:
    """The name of a class, or its number where it has none; nothing for an image without a label."""
    if isinstance(label, list):
        return label_name(label, classes)
    return "" if label < 0 else classes[label] if label < len(classes) else str(label)
