"""Values as they differ from their mean."""

import torch
from torch import Tensor

ROUNDING = 8  # times the precision of a number: what the mean of equal ones may be off by


def centred(values: Tensor, dim: int) -> Tensor:
    """Values minus their mean along ``dim``; where they are all equal but for rounding, 0, and without a gradient.

    What is made of a direction then stays 0 as well, where it would be the direction of the rounding.
    """
    away = values - values.mean(dim=dim, keepdim=True)
    noise = ROUNDING * torch.finfo(values.dtype).eps * values.detach().abs().amax(dim=dim, keepdim=True)
    return away.masked_fill(away.detach().abs().amax(dim=dim, keepdim=True) <= noise, 0)
