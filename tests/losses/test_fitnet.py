"""The regressor for any two sizes of maps; the loss itself is compared with the originals in tests/test_oracle.py."""

import pytest
import torch
import torch.nn.functional as F
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


@pytest.mark.parametrize(("student", "teacher"), [((4, 4), (7, 7)), ((4, 9), (7, 4))])
def test_may_pool_the_teachers_map_where_it_is_the_larger_one(student, teacher):
    loss = FitNet(pool="teacher")
    ours, theirs = torch.randn(2, 3, *student), torch.randn(2, 5, *teacher)
    loss.build(ours, theirs)
    assert loss.regressor.conv.kernel_size == (3, 3)
    ours_pooled, theirs_pooled = (F.adaptive_avg_pool2d(maps, (4, 4)) for maps in (ours, theirs))
    torch.testing.assert_close(loss(ours, theirs), F.mse_loss(loss.regressor(ours_pooled), theirs_pooled))


@pytest.mark.parametrize(("student", "teacher"), [((7, 7), (14, 14)), ((9, 9), (7, 7))])
def test_half_and_larger_maps_are_never_pooled(student, teacher):
    loss = FitNet(pool="teacher")
    ours, theirs = torch.randn(2, 3, *student), torch.randn(2, 5, *teacher)
    loss.build(ours, theirs)
    torch.testing.assert_close(loss(ours, theirs), F.mse_loss(loss.regressor(ours), theirs))


def test_a_regressor_without_relu_can_be_negative():
    loss = FitNet(relu=False)
    ours, theirs = torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4)
    loss.build(ours, theirs)
    assert loss.regressor(ours).min() < 0
