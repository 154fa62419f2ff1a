import pytest
import torch

from potstill.losses.centred import centred


@pytest.mark.parametrize("value", [0.1, -1e4, 1e-7])
def test_equal_values_are_0_and_get_no_gradient(value):
    values = torch.cat([torch.full((7, 1), value), torch.arange(7.0)[:, None]], dim=1).requires_grad_()
    away = centred(values, dim=0)
    assert not away[:, 0].any()
    assert away[:, 1].tolist() == [-3, -2, -1, 0, 1, 2, 3]
    away.square().sum().backward()
    assert not values.grad[:, 0].any()
    assert values.grad[:, 1].any()


def test_small_differences_of_large_values_count():
    assert centred(torch.tensor([1000.0, 1000.01]), dim=0).any()
