import math

import torch
from torch.distributions import Normal

from potstill.losses import PAD


def test_is_twice_the_normal_log_likelihood_without_its_constant():
    student, teacher = torch.randn(6, 4), torch.randn(6, 4)
    loss = PAD(eps=1e-12)
    loss.build(student, teacher)
    log_variance = loss.variance.bn(loss.variance.linear(student)[:, :, None, None]).flatten(1)
    likelihood = Normal(student, (log_variance / 2).exp()).log_prob(teacher).mean()
    torch.testing.assert_close(loss(student, teacher), -2 * likelihood - math.log(2 * math.pi))


def test_of_a_variance_of_nothing_eps_is_left():
    student, teacher = torch.randn(6, 3), torch.randn(6, 4)
    loss = PAD(eps=0.1)
    loss.build(student, teacher)
    torch.nn.init.constant_(loss.variance.bn.bias, -200.0)
    torch.nn.init.zeros_(loss.variance.bn.weight)
    expected = (loss.align(student) - teacher).square().mean() / 0.1 - 200
    torch.testing.assert_close(loss(student, teacher), expected)
