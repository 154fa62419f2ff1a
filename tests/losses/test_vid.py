import pytest
import torch

from potstill.errors import BadInput
from potstill.losses import VID


def built(**settings):
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 3, 4, 4, generator=generator), torch.randn(2, 5, 4, 4, generator=generator)
    loss = VID(**settings)
    loss.build(student, teacher)
    return loss, student, teacher


def test_is_the_normal_log_likelihood_without_its_constant():
    loss, student, teacher = built(variance=0.7)
    guess = torch.distributions.Normal(loss.regressor(student), 0.7**0.5)
    constant = 0.5 * torch.tensor(2 * torch.pi).log()
    torch.testing.assert_close(loss(student, teacher), -guess.log_prob(teacher).mean() - constant)


def test_least_where_the_variance_is_the_error():
    loss, student, teacher = built()
    error = (loss.regressor(student) - teacher).square().mean(dim=(0, 2, 3)).detach()
    with torch.no_grad():
        loss.raw_variance.copy_(torch.log(torch.expm1(error - loss.eps)))
    loss(student, teacher).backward()
    assert loss.raw_variance.grad.abs().max() < 1e-6


@pytest.mark.parametrize("raw", [-200.0, 200.0])
def test_extreme_variances_stay_finite(raw):
    loss, student, teacher = built()
    torch.nn.init.constant_(loss.raw_variance, raw)
    value = loss(student, teacher)
    value.backward()
    assert value.isfinite()
    assert loss.raw_variance.grad.isfinite().all()


def test_the_larger_map_is_pooled():
    loss, student, teacher = built()
    large = student.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(loss(large, teacher), loss(student, teacher))


def test_refuses_a_variance_below_eps():
    with pytest.raises(BadInput, match="above eps"):
        VID(variance=0)
