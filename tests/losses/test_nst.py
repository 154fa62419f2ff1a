import pytest
import torch
import torch.nn.functional as F

from potstill.losses import NST


def maps(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def literal(student, teacher):
    """Equation 6 with every pair of channels written out."""
    s, t = (F.normalize(m.flatten(2), dim=2) for m in (student, teacher))

    def kernel(x, y):
        return (x.unsqueeze(1) * y.unsqueeze(2)).sum(-1).square()

    return kernel(s, s).mean() + kernel(t, t).mean() - 2 * kernel(s, t).mean()


@pytest.mark.parametrize("side", [2, 9], ids=["few positions", "many positions"])
def test_equals_the_pairwise_form(side):
    student, teacher = maps(0, 3, 6, side, side).double(), maps(1, 3, 8, side, side).double()
    torch.testing.assert_close(NST()(student, teacher), literal(student, teacher))


@pytest.mark.parametrize("side", [2, 9])
def test_order_and_scale_of_channels_do_not_matter(side):
    student, teacher = maps(0, 3, 6, side, side), maps(1, 3, 8, side, side)
    changed = student.flip(1) * torch.arange(1.0, 7).view(1, 6, 1, 1)
    torch.testing.assert_close(NST()(changed, teacher), NST()(student, teacher))
    assert NST()(student, changed).abs() < 1e-6


def test_of_two_sizes_the_larger_is_pooled():
    student, teacher = maps(0, 2, 4, 8, 6), maps(1, 2, 3, 4, 3)
    torch.testing.assert_close(NST()(student, teacher), NST()(F.avg_pool2d(student, 2), teacher))


def test_a_dead_channel_gets_no_gradient():
    student, teacher = maps(0, 2, 3, 4, 4), maps(1, 2, 3, 4, 4)
    student[:, 1] = 0
    student.requires_grad_()
    NST()(student, teacher).backward()
    assert not student.grad[:, 1].any()
    assert student.grad[:, 0].any()
