import numpy as np
import pytest
import torch

from potstill.losses import PKD


def test_is_one_minus_the_correlation_of_channels():
    student, teacher = torch.randn(5, 3, 4, 2), torch.randn(5, 3, 4, 2)
    rows = [m.transpose(0, 1).flatten(1).double().numpy() for m in (student, teacher)]
    correlations = [np.corrcoef(own, target)[0, 1] for own, target in zip(*rows, strict=True)]
    expected = (1 - np.mean(correlations)) * (40 - 1) / 40
    assert PKD()(student, teacher).item() == pytest.approx(expected, rel=1e-4)


def test_a_channel_that_hardly_varies_gets_no_gradient():
    student, teacher = torch.randn(5, 3, 4, 2), torch.randn(5, 3, 4, 2)
    student[:, 0] = 7 + 1e-7 * student[:, 0]
    student.requires_grad_()
    PKD()(student, teacher).backward()
    assert not student.grad[:, 0].any()
    assert 0 < student.grad.abs().max() < 1


@pytest.mark.parametrize(("resize", "size"), [("student", (8, 6)), ("teacher", (4, 3))])
def test_one_map_is_resized(resize, size):
    student, teacher = torch.randn(5, 3, 4, 3), torch.randn(5, 3, 8, 6)
    larger, smaller = (torch.nn.functional.interpolate(m, size, mode="bilinear") for m in (student, teacher))
    torch.testing.assert_close(PKD(resize)(student, teacher), PKD()(larger, smaller))
