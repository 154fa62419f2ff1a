"""Images in four rotations, as a network without weights, on which others run: ``student@rotated``."""

import torch
from torch import Tensor, nn

from potstill.errors import BadInput

TURNS = 4


class Rotations(nn.Module):
    """Square images (N, C, S, S) by 0, 90, 180 and 270 degrees: (4N, C, S, S), the four of one image in a row.

    As a network of a distiller it turns what the batch has become after all transforms: ``student@rotated`` runs on
    what one called ``rotated`` returns.

    Raises:
        BadInput: images that are not square.

    >>> import torch
    >>> import potstill as ps
    >>> image = torch.arange(4.0).view(1, 1, 2, 2)
    >>> ps.networks.Rotations()(image)[:2].flatten(1).tolist()
    [[0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 0.0, 2.0]]
    """

    def forward(self, images: Tensor) -> Tensor:
        """Turn images (N, C, S, S)."""
        if images.shape[2] != images.shape[3]:
            raise BadInput(f"images of shape {tuple(images.shape)} are not square: turned ones would have other sizes")
        return torch.stack([torch.rot90(images, turn, (2, 3)) for turn in range(TURNS)], dim=1).flatten(0, 1)
