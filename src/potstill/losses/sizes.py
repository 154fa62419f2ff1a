"""Maps of two sizes made one, and features as maps."""

import torch.nn.functional as F
from torch import Tensor


def pool_to_smaller(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Average-pool maps (N, C, H, W) and (N, C', H', W') adaptively to the smaller height and the smaller width.

    RepDistiller and mdistiller do the same for square maps.
    """
    height, width = (min(pair) for pair in zip(student.shape[2:], teacher.shape[2:], strict=True))
    student, teacher = (
        maps if maps.shape[2:] == (height, width) else F.adaptive_avg_pool2d(maps, (height, width))
        for maps in (student, teacher)
    )
    return student, teacher


def with_positions(features: Tensor) -> Tensor:
    """Features (N, C) as a map of one pixel; a map (N, C, H, W) as it is."""
    return features if features.dim() == 4 else features[:, :, None, None]


def position_mean(features: Tensor) -> Tensor:
    """The mean of a map (N, C, H, W) over its positions, (N, C); features (N, C) as they are."""
    return features if features.dim() == 2 else features.mean(dim=(2, 3))
