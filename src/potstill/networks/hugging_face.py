"""Networks of Hugging Face's `transformers`: ``hf:ORG/NAME`` of the Hub, or ``hf:FOLDER``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from potstill.configured import configuration_of
from potstill.errors import BadInput
from potstill.eval_mode import eval_mode
from potstill.guard import describe, foreign
from potstill.hub import library
from potstill.networks.headed import Headed
from potstill.outputs import logits_of

USUAL = 224
"""Side of the images of a network that says nothing of it."""
SAID_ELSEWHERE = ("id2label", "label2id", "transformers_version", "dtype", "_name_or_path")
"""Entries of a configuration that do not define the network."""
STEP = 32
"""By how much smaller images are if it is tried whether a network takes others; more than the patches of most."""


def from_hf(name: str, classes: int) -> nn.Module:
    """Build a classifier of `transformers` from its configuration, untrained, in float32.

    It is the library's own module, which returns its ``ModelOutput``: a bare address means its logits. A backbone for
    which the library has no classifier gets a linear one on its pooled features. No code of a repository is ever run.
    The attribute ``image_size`` is the side, or the sides, of the only images that it takes.

    Raises:
        BadInput: no such model, or it is none of images; the Hub cannot be reached.
    """
    spec = f"network 'hf:{name}'"
    file = configuration_of(f"hf:{name}")
    assert file is not None, "a spec of the Hub has a configuration"
    config = read_config(file, spec)
    config.num_labels = classes
    with foreign(spec), quiet():
        network = build(config)
    if (height_width := only_images(network, config, spec)) is not None:
        network.image_size = height_width  # type: ignore[assignment]
    return network


def read_config(file: Path, spec: str) -> Any:
    """The configuration in a ``config.json``, of a model of images.

    Raises:
        BadInput: it is of another model, or of none.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{spec}: {file} is no JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model_type"), str):
        of_timm = isinstance(content, dict) and "architecture" in content
        hint = "; it is one of timm: say timm:hf-hub:ORG/NAME" if of_timm else ""
        raise BadInput(f"{spec}: its config.json names no model_type of transformers{hint}")
    transformers = library("transformers", "hf")
    with foreign(spec), quiet():
        config = transformers.AutoConfig.from_pretrained(file.parent, trust_remote_code=False)
    if not has_classifier(config) and _main_input(config) != "pixel_values":
        raise BadInput(f"{spec} is a {config.model_type} model, which takes no images")
    if has_classifier(config) and not config.architectures:  # without, the library cannot choose among several
        config.architectures = classifiers_of(config)[:1]
    return config


def build(config: Any) -> nn.Module:
    """The network of a configuration, untrained."""
    transformers = library("transformers", "hf")
    if has_classifier(config):
        network: nn.Module = transformers.AutoModelForImageClassification.from_config(config, dtype=torch.float32)
        return network
    backbone = transformers.AutoModel.from_config(config, dtype=torch.float32)
    return Headed(backbone, config.num_labels)


def settings_of(config: Any, classes: int) -> dict[str, Any]:
    """What a configuration says that the library does not say by itself, as Python's own values."""
    said = {name: value for name, value in config.to_diff_dict().items() if name not in SAID_ELSEWHERE}
    return {**said, "num_labels": classes}


def has_classifier(config: Any) -> bool:
    """Whether `transformers` has an image classifier of that kind."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    return type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING


def is_classifier(config: Any) -> bool:
    """Whether the weights beside a configuration are a classifier's: it says which class they were saved from."""
    if not has_classifier(config):
        return False
    return bool(config.architectures[0] in classifiers_of(config))


def classifiers_of(config: Any) -> list[str]:
    """The classes of `transformers` for image classifiers of that kind, the usual one first."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    kinds = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(config)]
    return [kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,))]


def _main_input(config: Any) -> str | None:
    """What a model of that kind is called with."""
    from transformers import MODEL_MAPPING

    return getattr(MODEL_MAPPING[type(config)], "main_input_name", None) if type(config) in MODEL_MAPPING else None


def sides_of(config: Any) -> tuple[int, int] | None:
    """Height and width of the images that a configuration is for; None if it does not say."""
    side = getattr(getattr(config, "vision_config", config), "image_size", None)
    if not side:
        return None
    height, width = side if isinstance(side, list | tuple) else (side, side)
    return int(height), int(width)


def only_images(network: nn.Module, config: Any, spec: str) -> tuple[int, int] | None:
    """Height and width of the only images that a network takes; None if it takes others, too: both are tried.

    Raises:
        BadInput: it takes no images.
    """
    height, width = sides_of(config) or (USUAL, USUAL)
    try:
        logits = _try(network, config, height, width)
    except Exception as error:  # of anybody's model
        raise BadInput(f"{spec} cannot be run on images of {height}x{width}: {describe(error)}") from error
    if logits.shape != (1, config.num_labels):
        raise BadInput(f"{spec} gives {tuple(logits.shape)} for an image, not logits (1, {config.num_labels})")
    smaller = [side - STEP if side > 2 * STEP else side * 2 for side in (height, width)]
    try:
        _try(network, config, *smaller)
    except Exception:  # what a model says of a size that it does not take, which differs from model to model
        return height, width
    return None


def _try(network: nn.Module, config: Any, height: int, width: int) -> Tensor:
    channels = getattr(getattr(config, "vision_config", config), "num_channels", 3)
    with eval_mode(network), torch.no_grad(), torch.random.fork_rng(devices=[]), quiet():
        return logits_of(network(torch.zeros(1, channels, height, width)))


@contextmanager
def quiet() -> Iterator[None]:
    """Without what `transformers` logs for its developers; errors are raised as ever."""
    logging = library("transformers", "hf").utils.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
