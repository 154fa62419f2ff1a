"""What a network sees: images of its own normalisation and size, whatever the data gives."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from potstill.errors import BadInput
from potstill.network_input import Input, Size

SCALE, SHIFT = "potstill_scale", "potstill_shift"
"""Names of two buffers of an adapted network, outside of its state dict: (C, 1, 1), on its device."""


def adapt_input(network: nn.Module, given: Input, wanted: Input) -> Input:
    """Have ``network`` see images as ``wanted`` where it is called with images as ``given``; return what differs.

        x' = (x * std + mean - mean') / std'

    and then bilinear to the wanted size, antialiased where it is smaller. This happens in front of the network, in a
    forward pre-hook: taps and state dict keep their names, and nothing that calls the network needs to know. Images
    (N, C, H, W) keep their dtype but are transformed in float32 at least, autocast or not, and gradients flow back to
    them. Without a difference, the network is left as it is; else it says so in its attribute ``own_input``.

    Raises:
        BadInput: the network takes images of one other size only, or is adapted already.

    >>> import torch
    >>> import potstill as ps
    >>> ours = ps.networks.Input(((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)), size=(32, 32))
    >>> its = ps.networks.Input(((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), size=(64, 64))
    >>> teacher = ps.networks.create("resnet8")
    >>> ps.networks.adapt_input(teacher, given=ours, wanted=its) == teacher.own_input == its
    True
    >>> teacher(torch.randn(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """
    if hasattr(network, "own_input"):
        raise BadInput(f"this {type(network).__name__} has an input of its own already: {network.own_input}")
    only = only_size(network)
    if only and wanted.size and wanted.size != only:
        raise BadInput(f"this {type(network).__name__} takes images of {_by(only)} only, not of {_by(wanted.size)}")
    size = only or wanted.size
    changed = Input(
        None if wanted.statistics == given.statistics else wanted.statistics,
        None if size == given.size else size,
    )
    if changed == Input():
        return changed
    if changed.statistics:
        if given.statistics is None:
            raise BadInput("images can only be normalised otherwise if it is known how they are")
        _register(network, given.statistics, changed.statistics)
    network.own_input = changed  # type: ignore[assignment]
    network.register_forward_pre_hook(_transform)
    return changed


def only_size(network: nn.Module) -> Size | None:
    """The height and width of the only images that a network takes; None if it takes several sizes.

    That is what timm's configuration of it or its patch embedding says, torchvision's vision transformers, or what was
    tried of a network of Hugging Face's.
    """
    embedding: Any = getattr(network, "patch_embed", None)
    if getattr(embedding, "strict_img_size", False) and getattr(embedding, "img_size", None):
        height, width = embedding.img_size
        return int(height), int(width)
    configuration: Any = getattr(network, "pretrained_cfg", None)
    if isinstance(configuration, dict) and configuration.get("fixed_input_size"):
        _, height, width = configuration["input_size"]
        return int(height), int(width)
    side = getattr(network, "image_size", None)
    if isinstance(side, tuple) and len(side) == 2:
        return side
    return (side, side) if isinstance(side, int) else None


def _register(network: nn.Module, given: Any, wanted: Any) -> None:
    """Keep what images are multiplied by, and what is added then, as buffers, so that they move with the network."""
    like = next(network.parameters(), torch.empty(0))
    dtype = torch.promote_types(like.dtype, torch.float32)
    (mean, std), (own_mean, own_std) = (
        torch.tensor(each, dtype=torch.float64)[..., None, None] for each in (given, wanted)
    )
    for name, value in {SCALE: std / own_std, SHIFT: (mean - own_mean) / own_std}.items():
        network.register_buffer(name, value.to(like.device, dtype), persistent=False)


def _transform(network: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The forward pre-hook: a function of the network it is called with, so that copies of it are independent."""
    own: Any = network.own_input
    given: Tensor = arguments[0]
    images = given.to(torch.promote_types(given.dtype, torch.float32))  # bfloat16 cannot be resized everywhere
    if own.statistics:
        images = torch.addcmul(getattr(network, SHIFT), images, getattr(network, SCALE))
    if own.size and images.shape[-2:] != own.size:
        smaller = any(there < here for there, here in zip(own.size, images.shape[-2:], strict=True))
        images = F.interpolate(images, own.size, mode="bilinear", antialias=smaller)
    return (images.to(given.dtype), *arguments[1:])


def _by(size: Size) -> str:
    return "x".join(map(str, size))
