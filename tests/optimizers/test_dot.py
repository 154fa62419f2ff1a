import pytest
import torch
from torch import nn

import potstill as ps
from potstill.compiler import without_compiler
from potstill.engine.epoch import train_step
from potstill.engine.optimizer import make_optimizer
from potstill.errors import BadInput
from potstill.optimizers import DOT
from potstill.training import Training


@pytest.fixture(autouse=True)
def quick():
    """Optimisers import torch's compiler when they are first used: half a minute on a busy machine."""
    with without_compiler():
        yield


def test_of_one_total_or_without_delta_it_is_sgd():
    """Of two totals without a delta, that of their sum."""
    weights = [nn.Parameter(torch.tensor([1.0, -2.0], dtype=torch.float64)) for _ in range(3)]
    usual = torch.optim.SGD(weights[:1], lr=0.1, momentum=0.9, weight_decay=0.01)
    apart = DOT(weights[1:2], lr=0.1, momentum=0.9, delta=0.0, weight_decay=0.01)
    alone = DOT(weights[2:], lr=0.1, momentum=0.9, delta=0.05, weight_decay=0.01)
    for step in range(4):
        usual.zero_grad()
        (weights[0].square().sum() + step * weights[0].exp().sum()).backward()
        usual.step()
        for optimizer, weight, both in ((apart, weights[1], True), (alone, weights[2], False)):
            first, second = weight.square().sum(), step * weight.exp().sum()
            none = torch.zeros(())
            optimizer.backward(*((first, second) if both else (first + second, none)))
            optimizer.step()
            optimizer.zero_grad()
    torch.testing.assert_close(weights[1], weights[0])
    torch.testing.assert_close(weights[2], weights[0])


def test_momenta_that_would_leave_the_unit_interval():
    with pytest.raises(BadInput, match=r"momentum 0\.95 less and plus delta 0\.06 must both be in 0\.\.1"):
        DOT([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.95, delta=0.06)


def networks():
    return {
        "student": ps.networks.create("resnet8", seed=0).double(),
        "teacher": ps.freeze(ps.networks.create("resnet8", seed=1).double()),
    }


def test_the_engine_tells_the_two_gradients_apart():
    """One step of training is that of gradients which are computed one after the other."""
    torch.manual_seed(0)
    batch = {"images": torch.randn(6, 3, 8, 8).double(), "labels": torch.arange(6)}
    training = Training("digits", optimizer="dot", lr=0.1, delta=0.05, weight_decay=0.01, epochs=1)
    trained, by_hand = ({}, {})
    for found, whole in ((trained, True), (by_hand, False)):
        pair = networks()
        distiller = ps.Distiller(pair, ps.terms(["CE", "0.9 * KD", "FitNet(regressor=True) on stage2"], pair), batch)
        optimizer = make_optimizer(distiller, training)
        for _ in range(2):
            if whole:
                train_step(distiller, batch, optimizer, optimizer.step, "fp32", parts=1)
                continue
            results = distiller.results(batch)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            task = torch.autograd.grad(results[0], parameters, retain_graph=True, allow_unused=True)
            kd = torch.autograd.grad(0.9 * results[1] + results[2], parameters, allow_unused=True)
            for parameter, own in zip(parameters, task, strict=True):
                parameter.grad = own
            optimizer.distilled = {p: g for p, g in zip(parameters, kd, strict=True) if g is not None}
            optimizer.step()
            optimizer.zero_grad()
        found |= distiller.state_dict()
    assert trained.keys() == by_hand.keys()
    for name, value in trained.items():
        torch.testing.assert_close(value, by_hand[name], msg=name)


@pytest.mark.parametrize(
    ("settings", "strings", "message"),
    [
        ({}, ["CE"], "no term asks one"),
        ({"clip": 1.0}, ["CE", "KD"], "--clip 1 shortens one"),
    ],
)
def test_what_does_not_go_together(settings, strings, message, tmp_path):
    training = Training("digits", optimizer="dot", epochs=1, out=tmp_path / "run", device="cpu", **settings)
    data = training.load_data()
    pair = networks()
    pair = {name: pair[name].float() for name in ("student", "teacher")[: len(strings)]}
    distiller = ps.Distiller(pair, ps.terms(strings, pair), data.example())
    with pytest.raises(BadInput, match=message):
        ps.fit(distiller, data, training)
    assert not (tmp_path / "run").exists()
