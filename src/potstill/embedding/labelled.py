"""How well classes can be told by features: k nearest neighbours, and a linear probe."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from potstill.batch import Batch, as_batch, on_device
from potstill.data.data import Batches, Data
from potstill.data.seeds import FEWER, seeded
from potstill.embedding.neighbours import nearest_classes
from potstill.embedding.probe import fit_probe
from potstill.embedding.teachers import create_feature_teacher
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.network_call import call
from potstill.outputs import logits_of

BANK = 10_000
"""Training images that are known, if nobody says how many."""


@dataclass(frozen=True)
class Labelled:
    """A labelled set: its training images are the bank that its test images are compared with.

    ``bank`` gives the former as they are, not augmented; there are ``classes`` of them.
    """

    bank: Batches
    classes: int

    def measure(self, network: nn.Module, features: Tensor, labels: Tensor) -> dict[str, float]:
        """How many of the images are told right by their features (N, D), in percent: ``knn`` and ``probe``."""
        known, known_labels = features_of(network, self.bank)
        assert known_labels is not None, "a labelled set has labels"
        told = {
            "knn": nearest_classes(features, known, known_labels, self.classes),
            "probe": fit_probe(known, known_labels, self.classes).classes(features),
        }
        return {name: 100 * (found == labels).double().mean().item() for name, found in told.items()}


def labelled_set(data: Data, most: int) -> Labelled | None:
    """The bank of a data set, ``most`` of its training images, the same ones always; None if it has no labels."""
    train: Any = data.train
    if not hasattr(train, "plain") or labels_of(data.example()) is None or not data.classes:
        return None
    rows = train.rows
    if len(rows) > most:
        rows = rows[torch.randperm(len(rows), generator=seeded(0, FEWER))[:most].sort().values]
    return Labelled(train.plain(rows), len(data.classes))


def backbone_quality(spec: str, data: Data, normalize: str | None, device: torch.device) -> dict[str, float]:
    """What `Labelled` measures of a trained backbone on a data set's test images, and how many there are.

    Raises:
        BadInput: the data have no labels.
    """
    known = labelled_set(data, BANK)
    if known is None or data.test is None:
        raise BadInput(f"{data.name} has no labels to measure the features of {spec} with")
    network = create_feature_teacher(spec, data, normalize=normalize, kind="network").to(device)
    features, labels = features_of(network, data.test)
    assert labels is not None, "test images have labels where training images have"
    return {**known.measure(network, features, labels), "n": len(labels)}


def features_of(network: nn.Module, batches: Iterable[Any]) -> tuple[Tensor, Tensor | None]:
    """The pooled features (N, D) of all images, in float32, and their labels (N,), if they have any."""
    features, labels = [], []
    name = type(network).__name__
    with eval_mode(network), torch.no_grad():
        for batch in batches:
            entries = on_network(batch, network)
            features.append(logits_of(call(network, name, entries["images"].clone()), name).float())
            labels.append(labels_of(entries))
    given = [some for some in labels if some is not None]
    return torch.cat(features), torch.cat(given) if len(given) == len(features) else None


def labels_of(batch: Batch) -> Tensor | None:
    """The labels (N,) of a batch, if each image has one class."""
    labels = batch.get("labels")
    plain = labels is not None and labels.dim() == 1 and not labels.is_floating_point() and bool((labels >= 0).all())
    return labels if plain else None


def on_network(batch: Any, network: nn.Module) -> Batch:
    """A batch on the network's device."""
    entries = as_batch(batch)
    return on_device(entries, next(network.parameters(), entries["images"]).device)
