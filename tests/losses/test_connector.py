import torch
from torch import nn

from potstill.losses.connector import BatchNorm, make_connector


def test_is_the_usual_batch_norm_for_more_than_one_value_a_channel():
    features = torch.randn(2, 3, 1, 1)
    ours, usual = BatchNorm(3), nn.BatchNorm2d(3)
    assert torch.equal(ours(features), usual(features))
    assert torch.equal(ours.running_var, usual.running_var)


def test_a_single_value_a_channel_uses_and_leaves_the_running_statistics():
    norm = BatchNorm(3)
    norm(torch.randn(8, 3, 2, 2))
    before = norm.running_mean.clone()
    value = torch.randn(1, 3, 1, 1)
    assert torch.equal(norm(value), norm.eval()(value))
    assert torch.equal(norm.running_mean, before)


def test_relu_is_optional():
    features = torch.randn(4, 3, 2, 2)
    assert make_connector(3, 5)(features).min() < 0
    assert make_connector(3, 5, relu=True)(features).min() == 0
