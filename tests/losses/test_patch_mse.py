"""The projector's sizes; the loss itself is compared with the original in tests/test_oracle.py."""

import pytest
import torch
from torch import nn

from potstill.losses import PatchMSE


@pytest.mark.parametrize(
    ("student", "teacher"),
    [((2, 3, 4, 4), (2, 5, 7, 6)), ((2, 3, 8, 8), (2, 5, 3, 3)), ((2, 9, 3), (2, 9, 5)), ((2, 3), (2, 5))],
)
def test_maps_tokens_and_features(student, teacher):
    loss = PatchMSE()
    ours, theirs = torch.randn(student), torch.randn(teacher)
    loss.build(ours, theirs)
    assert [loss.head.in_features, loss.head.out_features] == [3, 5]
    s, t = loss.aligned(ours, theirs)[0]
    assert s.shape == t.shape
    torch.testing.assert_close(loss(ours, theirs), (s - t).square().mean())


def test_layers():
    loss = PatchMSE(layers=3, hidden=7)
    loss.build(torch.randn(2, 3, 4, 4), torch.randn(2, 5, 4, 4))
    kinds = [nn.Linear, nn.LayerNorm, nn.GELU, nn.Linear, nn.LayerNorm, nn.GELU, nn.Linear]
    assert [type(layer) for layer in loss.head] == kinds
    assert loss.head[0].weight.abs().max() <= 2
    assert not any(layer.bias.any() for layer in loss.head if isinstance(layer, nn.Linear))
