from dataclasses import replace

import pytest
import torch
from torch import nn

from potstill.engine.optimizer import make_optimizer, set_learning_rate
from potstill.training import Training

TRAINING = Training(lr=0.1, weight_decay=0.01)


def steps(optimizer, network, switched_on=0):
    """Five steps; the second layer has a gradient from step ``switched_on`` only."""
    for step in range(5):
        first = network[0](torch.full((2, 3), 1.0 + step))
        (first.square().sum() + (network[1](first).square().sum() if step >= switched_on else 0)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return [parameter.detach().clone() for parameter in network.parameters()]


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


@pytest.mark.parametrize("kind", ["sgd", "nesterov"])
@pytest.mark.parametrize("momentum", [0.9, 0.0])
@pytest.mark.parametrize("switched_on", [0, 2])
def test_it_is_torchs_own_sgd_even_for_what_trains_later(kind, momentum, switched_on):
    nesterov = kind == "nesterov" and momentum > 0
    training = replace(TRAINING, optimizer="nesterov" if nesterov else "sgd", momentum=momentum)
    ours, theirs = make(), make()
    plain = torch.optim.SGD(theirs.parameters(), lr=0.1, momentum=momentum, weight_decay=0.01, nesterov=nesterov)
    for our, their in zip(
        steps(make_optimizer(ours, training), ours, switched_on), steps(plain, theirs, switched_on), strict=True
    ):
        torch.testing.assert_close(our, their, rtol=1e-6, atol=1e-7)


def test_zero_buffers_change_no_bit():
    ours, theirs = make(), make()
    fused = torch.optim.SGD(
        theirs.parameters(), lr=torch.tensor(0.1), momentum=0.9, weight_decay=0.01, nesterov=True, fused=True
    )
    for our, their in zip(steps(make_optimizer(ours, TRAINING), ours), steps(fused, theirs), strict=True):
        assert torch.equal(our, their)


def test_the_rate_is_read_anew():
    network = make()
    optimizer = make_optimizer(network, replace(TRAINING, weight_decay=0))
    before = [parameter.detach().clone() for parameter in network.parameters()]
    set_learning_rate(optimizer, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(steps(optimizer, network), before, strict=True))


def test_adamw_is_torchs_own_and_decays_weights():
    ours, theirs = make(), make()
    plain = torch.optim.AdamW(theirs.parameters(), lr=0.1, weight_decay=0.01)
    decayed = steps(make_optimizer(ours, replace(TRAINING, optimizer="adamw")), ours)
    for our, their in zip(decayed, steps(plain, theirs), strict=True):
        torch.testing.assert_close(our, their, rtol=1e-5, atol=1e-6)
    free = make()
    kept = steps(make_optimizer(free, replace(TRAINING, optimizer="adamw", weight_decay=0)), free)
    assert not any(torch.equal(a, b) for a, b in zip(decayed, kept, strict=True))
