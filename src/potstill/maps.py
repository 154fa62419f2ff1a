"""Activations as maps (N, C, h, w): what convolutions compute, out of tokens and of channels in the last place."""

from collections.abc import Sequence

import torch
from torch import Tensor

from potstill.errors import BadInput

MAX_EXTRA_TOKENS = 8  # tokens that are no part of the image: of the class, of distillation, registers


def as_map(values: Tensor, size: Sequence[int]) -> Tensor:
    """What a layer returns for images of ``size`` (H, W), as a map (N, C, h, w); gradients flow through.

    - A map (N, C, h, w) is returned as it is.
    - Of (N, h, w, C) the channels are moved: h and w have the aspect ratio of the images, and the last two have not.
    - Of tokens (N, L, C) the first ones are dropped, at most 8, so that a grid (h, w) of the images' aspect ratio is
      left: the nearest to it, and of those the largest. Its rows are read one after the other.

    Raises:
        BadInput: tokens that make no such grid, or neither three nor four dimensions.

    >>> as_map(torch.zeros(2, 197, 192), (224, 224)).shape
    torch.Size([2, 192, 14, 14])
    """
    shape = map_shape(values.shape, size)
    if values.dim() == 3:
        return values[:, values.shape[1] - shape[2] * shape[3] :].transpose(1, 2).reshape(shape)
    return values.permute(0, 3, 1, 2) if _channels_last(values.shape, size) else values


def from_map(maps: Tensor, like: Tensor) -> Tensor:
    """The inverse of `as_map`: the map (N, C, h, w) that was made of ``like``, in its layout and with its first tokens.

    What comes after the layer can so be computed from the map, which `torch.autograd.grad` needs.
    """
    if like.dim() == 3:
        extra = like.shape[1] - maps.shape[2] * maps.shape[3]
        return torch.cat([like[:, :extra], maps.flatten(2).transpose(1, 2)], dim=1)
    return maps if maps is like else maps.permute(0, 2, 3, 1)


def map_shape(shape: Sequence[int], size: Sequence[int]) -> tuple[int, int, int, int]:
    """The shape (N, C, h, w) of `as_map` for values of ``shape``; raises what it raises."""
    if len(shape) == 3:
        height, width = _grid(shape[1], size)
        return shape[0], shape[2], height, width
    if len(shape) != 4:
        raise BadInput(f"no map can be made of a tensor of shape {tuple(shape)}: neither (N, L, C) nor (N, C, h, w)")
    first, second, third, fourth = shape
    return (first, fourth, second, third) if _channels_last(shape, size) else (first, second, third, fourth)


def _channels_last(shape: Sequence[int], size: Sequence[int]) -> bool:
    return _fits(shape[1:3], size) and not _fits(shape[2:4], size)


def _fits(sides: Sequence[int], size: Sequence[int]) -> bool:
    """Whether (h, w) has the aspect ratio of (H, W), but for the rounding of a side."""
    return _misfit(sides, size) < max(size)


def _misfit(sides: Sequence[int], size: Sequence[int]) -> int:
    return abs(sides[0] * size[1] - sides[1] * size[0])


def _grid(tokens: int, size: Sequence[int]) -> tuple[int, int]:
    """The sides of the grid of an image's tokens; those left over are the first ones."""
    grids = [(h, w) for h in range(1, tokens + 1) for w in {h * size[1] // size[0], -(-h * size[1] // size[0])}]
    fitting = [
        (_misfit(grid, size), -grid[0] * grid[1], grid)
        for grid in grids
        if 0 < grid[0] * grid[1] <= tokens and _fits(grid, size)
    ]
    few = [found for found in fitting if tokens + found[1] <= MAX_EXTRA_TOKENS]
    if not few:
        tried = [f"{h}x{w}" for _, _, (h, w) in sorted(fitting, key=lambda found: found[1])[:2]]
        raise BadInput(
            f"{tokens} tokens are no grid of the shape of a {size[0]}x{size[1]} image: tried {' and '.join(tried)}, "
            f"which leave out more than {MAX_EXTRA_TOKENS}"
        )
    return min(few)[2]
