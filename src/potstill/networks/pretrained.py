"""Weights that timm, torchvision and the Hugging Face Hub offer to download for their networks."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from potstill.errors import BadInput, first_line
from potstill.guard import foreign
from potstill.hub import library, without_waiting
from potstill.network_input import Input
from potstill.networks.hugging_face_weights import offered
from potstill.networks.third_party import is_hosted, of_the_hub

PRETRAINED = "pretrained"
"""In the place of a weights file: what the network's library offers."""


class CannotDownload(BadInput):
    """Pre-trained weights exist, but are not to be had: no connection, most of the time."""


@dataclass(frozen=True)
class Pretrained:
    """The weights that a library offers for ``spec``, called ``name`` there, and the images they were trained on."""

    spec: str
    name: str
    classes: int
    """0: they are of a backbone, and the classifier is fresh."""
    input: Input
    build: Callable[[], nn.Module]
    names: tuple[str, ...] = ()
    """Of the classes, where the library says them."""

    def state(self) -> dict[str, Tensor]:
        """Weights and buffers by name, out of the library's cache or downloaded into it.

        Raises:
            CannotDownload: neither; the message says which weights and why.
        """
        try:
            with torch.random.fork_rng(devices=[]):  # what is drawn here is not used
                network = self.build()
        except BadInput:  # they are there, and no use
            raise
        except Exception as error:  # each library, and each of its hosts, has errors of its own
            reason = (first_line(error) or type(error).__name__).rstrip(".")
            raise CannotDownload(f"cannot download the weights of {self.spec} ({self.name}): {reason}") from error
        state: dict[str, Tensor] = network.state_dict()
        return state


def find_pretrained(spec: str) -> Pretrained | None:
    """What there is to download for a network of timm, torchvision or the Hub; None if nothing is, or it is of none."""
    home, _, name = spec.partition(":")
    if home == "hf":
        return _of_hf(spec)
    if home == "timm":
        return _of_timm(spec, name)
    if home == "torchvision":
        return _of_torchvision(spec, name)
    return None


def _of_timm(spec: str, name: str) -> Pretrained | None:
    timm = library("timm", "models")
    if is_hosted(name):
        return _of_a_host(spec, name)
    if not timm.is_model(name):
        return None
    try:
        found = timm.get_pretrained_cfg(name)
    except RuntimeError as error:  # of an unknown tag: resnet18.nothing
        raise BadInput(f"network {spec!r}: {error}") from error
    if found is None or not found.has_weights:
        return None
    _, height, width = found.input_size
    own = Input((tuple(found.mean), tuple(found.std)), (height, width))
    where = found.hf_hub_id or found.file or found.url

    def build() -> nn.Module:
        with without_waiting():  # most of them are of the Hub
            network: nn.Module = timm.create_model(name, pretrained=True)
        return network

    return Pretrained(spec, where, found.num_classes, own, build, _names_of_timm(timm, found.to_dict()))


def _names_of_timm(timm: Any, found: dict[str, Any]) -> tuple[str, ...]:
    """The names of ImageNet's classes, or of a part or a superset of it, if it is one of those that timm knows."""
    subset = timm.data.infer_imagenet_subset(found)
    names = tuple(timm.data.ImageNetInfo(subset).label_descriptions()) if subset else ()
    return names if len(names) == found["num_classes"] else ()


def _of_a_host(spec: str, name: str) -> Pretrained:
    """What lies beside a configuration on Hugging Face's hub, or in a folder."""
    timm = library("timm", "models")
    with foreign(f"network {spec!r}"), of_the_hub(name), torch.random.fork_rng(devices=[]):
        found: dict[str, Any] = timm.create_model(name, pretrained=False).pretrained_cfg
    _, height, width = found["input_size"]
    own = Input((tuple(found["mean"]), tuple(found["std"])), (height, width))
    return Pretrained(spec, name, found["num_classes"], own, lambda: timm.create_model(name, pretrained=True))


def _of_hf(spec: str) -> Pretrained | None:
    found = offered(spec)
    return None if found is None else Pretrained(spec, *found)


def _of_torchvision(spec: str, name: str) -> Pretrained | None:
    models = library("torchvision", "models").models
    if name not in models.list_models(module=models):
        return None
    weights: Any = models.get_model_weights(name).DEFAULT
    images = weights.transforms()
    (side,) = images.crop_size
    own = Input((tuple(images.mean), tuple(images.std)), (side, side))
    names = tuple(weights.meta["categories"])
    return Pretrained(spec, str(weights), len(names), own, lambda: models.get_model(name, weights=weights), names)
