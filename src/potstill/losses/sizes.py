"""Maps of two sizes made one."""

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
