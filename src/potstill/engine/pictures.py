"""Small pictures in a JSON file."""

from base64 import b64encode

import torch
import torch.nn.functional as F
from torch import Tensor

from potstill.data.data import Data
from potstill.runs.schema import Array

IMAGE_SIDE = 56  # pixels at most, so that the file stays below 150 kB


def pictures(images: Tensor, data: Data) -> list[Array]:
    """Normalised images (N, C, H, W) as they were before, uint8 (H, W, C) each.

    Where nobody knows how they were normalised, each is scaled to what it spans.
    """
    if data.mean is None or data.std is None:
        low, high = images.amin((1, 2, 3), keepdim=True), images.amax((1, 2, 3), keepdim=True)
        plain = (images - low) / (high - low).clamp(min=torch.finfo(images.dtype).tiny)
    else:
        mean, std = (images.new_tensor(values).view(1, -1, 1, 1) for values in (data.mean, data.std))
        plain = images * std + mean
    return [as_bytes(one) for one in at_most(255 * plain, IMAGE_SIDE).permute(0, 2, 3, 1)]


def at_most(maps: Tensor, side: int) -> Tensor:
    """Maps (N, C, H, W), averaged down where a side is longer than ``side`` pixels."""
    longest = max(maps.shape[2:])
    if longest <= side:
        return maps
    height, width = (max(1, round(size * side / longest)) for size in maps.shape[2:])
    return F.interpolate(maps, (height, width), mode="area")


def as_bytes(values: Tensor) -> Array:
    """Values from 0 to 255 as uint8: {"shape", "base64"}."""
    content = values.round().clamp(0, 255).to("cpu", torch.uint8).contiguous().numpy().tobytes()
    return {"shape": list(values.shape), "base64": b64encode(content).decode()}
