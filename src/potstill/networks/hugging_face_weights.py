"""The weights that lie beside a configuration of Hugging Face's `transformers`, on the Hub or in a folder."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from potstill.configured import configuration_of
from potstill.errors import BadInput
from potstill.hub import Repository, library, without_waiting
from potstill.network_input import Input
from potstill.networks.headed import Headed
from potstill.networks.hugging_face import has_classifier, is_classifier, quiet, read_config, sides_of
from potstill.networks.processor import images_of

FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
"""What weights are called."""


def offered(spec: str) -> "tuple[str, int, Input, Any] | None":
    """What there is for ``hf:...``: its name, how many classes it has, its images, and what builds it with its weights.

    None if a folder holds no weights. Of a backbone there are 0 classes, and what is built has a classifier of one.

    Raises:
        BadInput: there is no such model, or it is none of images; the Hub cannot be reached.
    """
    file = configuration_of(spec)
    assert file is not None, "a spec of the Hub has a configuration"
    place = spec.partition(":")[2]
    repository = None if Path(place).expanduser().is_dir() else Repository.read(place)
    if repository is None and not any(file.with_name(name).is_file() for name in FILES):
        return None
    config = read_config(file, f"network {spec!r}")
    images, blue_first = images_of(file, repository, spec)
    if images.size is None:
        images = Input(images.statistics, sides_of(config))
    whole = is_classifier(config)
    if not whole:
        config.num_labels = 1

    def build() -> nn.Module:
        with without_waiting(), quiet():
            network = _load(config, file.parent if repository is None else repository, whole)
        if blue_first:
            _take_red_first(network)
        return network

    return str(repository or file.parent), config.num_labels if whole else 0, images, build


def _load(config: Any, place: Path | Repository, whole: bool) -> nn.Module:
    """The network with its weights, in float32.

    Raises:
        BadInput: weights are missing, other than those of a backbone's classifier.
    """
    transformers = library("transformers", "hf")
    headless = not has_classifier(config)
    kind = transformers.AutoModel if headless else transformers.AutoModelForImageClassification
    where = (place.name, place.revision) if isinstance(place, Repository) else (place, None)
    network, found = kind.from_pretrained(
        where[0],
        revision=where[1] or "main",
        config=config,
        dtype=torch.float32,
        trust_remote_code=False,
        output_loading_info=True,
    )
    missing = sorted(found["missing_keys"])
    if missing and (whole or headless or not all("classifier" in name or "head" in name for name in missing)):
        raise BadInput(f"the weights of {place} lack {len(missing)} tensors, such as {missing[0]}")
    return Headed(network, config.num_labels) if headless else network


def _take_red_first(network: nn.Module) -> None:
    """Turn the first convolution, of a network that was trained on images whose channels are blue, green, red."""
    first: Tensor = next(weight for weight in network.parameters() if weight.dim() == 4 and weight.shape[1] == 3)
    with torch.no_grad():
        first.copy_(first.flip(1))
