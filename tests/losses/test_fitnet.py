"""The regressor for any two sizes of maps; the loss itself is compared with the originals in tests/test_oracle.py."""

import pytest
import torch
from torch import nn

from potstill.losses import FitNet


@pytest.mark.parametrize(
    ("student", "teacher", "kind", "kernel"),
    [
        ((14, 14), (14, 14), nn.Conv2d, (1, 1)),
        ((28, 28), (14, 14), nn.Conv2d, (3, 3)),
        ((7, 7), (14, 14), nn.ConvTranspose2d, (4, 4)),
        ((13, 13), (7, 7), nn.Conv2d, (7, 7)),
        ((8, 12), (8, 10), nn.Conv2d, (1, 3)),
        ((27, 27), (14, 14), nn.AdaptiveAvgPool2d, (1, 1)),  # not 14 x 14 weights a channel
        ((7, 7), (8, 8), nn.AdaptiveAvgPool2d, (1, 1)),
        ((4, 9), (7, 4), nn.AdaptiveAvgPool2d, (1, 1)),
    ],
)
def test_the_regressor_leads_to_the_teachers_size(student, teacher, kind, kernel):
    loss = FitNet()
    ours, theirs = torch.randn(2, 3, *student), torch.randn(2, 5, *teacher)
    loss.build(ours, theirs)
    assert loss.regressor(ours).shape == theirs.shape
    assert isinstance(loss.regressor.conv, kind) or isinstance(loss.regressor.conv[0], kind)
    assert [m.kernel_size for m in loss.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)] == [kernel]
    assert loss(ours, theirs).isfinite()
