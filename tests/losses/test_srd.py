import numpy as np
import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from potstill.losses import SRD


def built(**settings):
    student = torch.randn(7, 4), torch.randn(7, 3)
    teacher = torch.randn(7, 5), torch.randn(7, 3)
    loss = SRD(**settings)
    loss.build(student, teacher)
    return loss, student, teacher


def test_of_standardised_features_and_logits():
    loss, student, teacher = built(exponent=3, temperature=2)
    features = [m.detach().double().numpy() for m in (loss.projector(student[0]), teacher[0])]
    own, target = ((m - m.mean(axis=0)) / np.sqrt(m.var(axis=0) + 1e-4) for m in features)
    divergence = kl_divergence(*(Categorical(logits=x[1] / 2) for x in (teacher, student))).mean()
    expected = 2 * np.log((np.abs(own - target) ** 3).sum()) + divergence.item()
    assert loss(student, teacher).item() == pytest.approx(expected, rel=1e-5)


def test_equal_features_are_no_infinity():
    loss, student, _ = built()
    torch.nn.init.zeros_(loss.projector.bias)
    constant = torch.zeros(7, 4, requires_grad=True)
    value = loss((constant, student[1]), (torch.zeros(7, 5), student[1]))
    value.backward()
    assert value.item() == pytest.approx(2 * np.log(1e-30))
    assert not constant.grad.any()
