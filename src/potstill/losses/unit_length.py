"""Vectors reduced to their directions."""

import torch
from torch import Tensor


def unit_length(vectors: Tensor, eps: float = 1e-12) -> Tensor:
    """Vectors along the last dimension, divided by their length (at least ``eps``); a vector of zeros stays zeros.

    It also gets no gradient: it has no direction that could turn. `torch.nn.functional.normalize` would multiply its
    gradient by 1/eps, and one dead feature map would swamp all others.
    """
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return vectors / lengths.clamp(min=eps).masked_fill(lengths == 0, torch.inf)
