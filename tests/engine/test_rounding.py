"""Quantisation-aware training: what is rounded, how, and that nothing else is another one for it."""

import os
import signal
from copy import deepcopy

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import potstill as ps
from potstill.engine.checkpoint import fingerprint, load_checkpoint
from potstill.engine.rounding import PACE, Activations, check_roundable, rounded_weight, rounding
from potstill.errors import BadInput
from potstill.losses import AT, CE, KD, Sobolev

BATCH = {"images": torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)), "labels": torch.arange(4)}
DIGITS = {"images": 60, "test_images": 40, "batch_size": 20}


def test_activations_are_rounded_in_a_range_that_follows_them():
    torch.manual_seed(0)
    layer, low, high = Activations(), None, None
    for step in range(4):
        x = torch.randn(50, 7) * (step + 1) + 0.3
        x.requires_grad_()
        rounded = layer(x)
        ends = float(x.detach().min()), float(x.detach().max())
        low = ends[0] if low is None else low + PACE * (ends[0] - low)
        high = ends[1] if high is None else high + PACE * (ends[1] - high)
        scale = (high - low) / 255
        zero = round(-low / scale)
        q = np.rint(x.detach().double().numpy() / scale) + zero
        np.testing.assert_allclose(rounded.detach(), (q.clip(0, 255) - zero) * scale, atol=1e-4 * scale, rtol=1e-5)
        rounded.sum().backward()
        assert np.array_equal(x.grad.numpy(), (q >= 0) & (q <= 255))
    assert 0 < int((x.grad == 0).sum()) < x.numel()  # the range lags behind
    assert layer(torch.rand(3).bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("layer", "axis"),
    [(nn.Conv2d(6, 4, 3, groups=2), 0), (nn.ConvTranspose2d(6, 4, 3), 1), (nn.Linear(6, 5), 0)],
    ids=lambda value: type(value).__name__,
)
def test_weights_are_rounded_to_64ths_of_each_channels_largest(layer, axis):
    weight = layer.weight
    rounded = rounded_weight(layer, weight)
    rounded.sum().backward()
    assert torch.equal(weight.grad, torch.ones_like(weight))
    rows = weight.detach().double().movedim(axis, 0).flatten(1).numpy()
    steps = np.abs(rows).max(1, keepdims=True) / 64
    wanted = np.rint(rows / steps) * steps
    np.testing.assert_allclose(rounded.detach().movedim(axis, 0).flatten(1), wanted, rtol=1e-5, atol=1e-8)
    shape = [-1 if i == axis else 1 for i in range(weight.dim())]
    factors = torch.tensor([0.5, -4, 8, 2, 1])[: weight.shape[axis]].view(shape)
    assert torch.equal(rounded_weight(layer, weight * factors), rounded * factors)
    assert rounded_weight(layer, torch.zeros_like(weight)).count_nonzero() == 0


def student_and_teacher():
    student, teacher = (ps.networks.create("resnet8", seed=seed) for seed in (0, 1))
    return {"student": student, "teacher": ps.freeze(teacher)}


def distilling(terms=None):
    usual = [ps.Term(CE(), "student", "labels"), ps.Term(AT(), "student.stage3", "teacher.stage3")]
    return ps.Distiller(student_and_teacher(), usual if terms is None else terms, BATCH)


def test_a_learner_rounds_while_it_trains_and_its_teacher_never_does():
    distiller = distilling()
    plain, seen = deepcopy(distiller), {}
    for name, network in distiller.networks.items():
        network.conv1.register_forward_hook(lambda _, given, output, name=name: seen.update({name: (*given, output)}))
    with rounding(distiller):
        total, _ = distiller(BATCH)
        total.backward()
        images, output = seen["student"]
        assert torch.equal(images, BATCH["images"])  # a tap of the input sees what flows, not what is made of it
        activations, layer = distiller.ranges["student"][0], distiller.networks["student"].conv1
        steps = torch.fake_quantize_per_tensor_affine(images, activations.scale, activations.zero, 0, 255)
        weight = rounded_weight(layer, layer._parameters["weight"])
        assert torch.equal(output, nn.functional.conv2d(steps, weight, padding=1))
        assert torch.equal(seen["teacher"][1], plain.networks["teacher"].conv1(images))
        assert all(parameter.grad is not None for parameter in distiller.networks["student"].parameters())
        assert not torch.equal(total, plain(BATCH)[0])
        layer.eval()  # as --freeze has it: a part that rests rounds all the same
        distiller(BATCH)
        assert not torch.equal(seen["student"][1], layer.forward.forward(images))
        with pytest.raises(RuntimeError):
            distiller.networks["student"](torch.zeros(1, 4, 8, 8))
    assert distiller.state_dict().keys() == plain.state_dict().keys()
    assert not any({"forward", "weight"} & vars(module).keys() for module in distiller.networks.modules())


def test_what_is_measured_is_not_rounded():
    network = ps.networks.create("resnet8", seed=0).eval()
    exact = network(BATCH["images"])
    distiller = ps.Distiller({"student": network}, [ps.Term(CE(), "student", "labels")], BATCH)
    with rounding(distiller):
        assert torch.equal(network.eval()(BATCH["images"]), exact)
        assert distiller.ranges["student"][0].low == torch.inf  # and moves no range


def test_losses_that_differentiate_twice_do_so():
    with rounding(distiller := distilling([ps.Term(Sobolev(), "student", "teacher", "labels", "images")])):
        distiller(BATCH)[0].backward()
        assert float(distiller.networks["student"].conv1.weight.grad.norm()) > 0


def fitted(out, after_step=None):
    data = ps.data.load("digits", **DIGITS)
    networks = student_and_teacher()
    terms = [ps.Term(CE(), "student", "labels"), ps.Term(KD(), "student", "teacher")]
    distiller = ps.Distiller(networks, terms, data.example(), classifiers=["student"])
    training = ps.Training("digits", **DIGITS, epochs=2, lr=0.02, device="cpu", out=out, qat=True)
    return ps.fit(distiller, data, training, after_step=after_step), networks


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    return out, *fitted(out)


def test_a_run_is_saved_as_plain_weights_which_have_what_was_measured(whole):
    out, summary, networks = whole
    saved = load_file(out / "student.safetensors")
    fresh = ps.networks.create("resnet8", seed=0)
    assert saved.keys() == fresh.state_dict().keys()
    fresh.load_state_dict(saved)
    measured = ps.evaluate(fresh, ps.data.load("digits", **DIGITS).test)
    assert measured == summary["learners"]["student"]["last"]["test"]
    weight = saved["conv1.weight"]
    assert not torch.equal(rounded_weight(fresh.conv1, weight), weight)
    assert fingerprint(networks["teacher"]) == fingerprint(ps.networks.create("resnet8", seed=1))


def test_a_stopped_run_goes_on_to_the_same_bits(whole, tmp_path):
    steps = []

    def stop(_):
        steps.append(None)
        if len(steps) == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fitted(tmp_path / "run", stop)
    ranges = load_checkpoint(tmp_path / "run" / "last.ckpt", torch.device("cpu"))["ranges"]
    assert len({key.rpartition(".")[0] for key in ranges}) == 10
    assert float(ranges["student.0.low"]) < 0 < float(ranges["student.0.high"])
    _, networks = fitted(tmp_path / "run")
    assert fingerprint(networks["student"]) == fingerprint(whole[2]["student"])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.attention = nn.Conv2d(3, 4, 3), nn.MultiheadAttention(4, 1)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.BatchNorm1d(192)), r"student \(Sequential\) has none"),
        (Attentive(), "attention is torch's MultiheadAttention"),
        (
            nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 3))),
            "0 is a .*Linear that makes its weight",
        ),
        (nn.Sequential(nn.Conv2d(3, 3, 1).double()), "0 has weights of torch.float64"),
    ],
    ids=["none", "attention", "parametrised", "float64"],
)
def test_what_cannot_be_rounded_is_refused(network, message):
    with pytest.raises(BadInput, match=message):
        check_roundable({"student": network})


def test_it_is_refused_before_anything_is_written(tmp_path):
    network = nn.Sequential(nn.Flatten(), nn.Linear(192, 10).double())
    batch = {**BATCH, "images": BATCH["images"].double()}
    data = ps.data.from_loaders([batch], test=[batch], classes=10)
    distiller = ps.Distiller({"student": network}, [ps.Term(CE(), "student", "labels")], batch)
    with pytest.raises(BadInput, match="--qat cannot round student"):
        ps.fit(distiller, data, ps.Training(epochs=1, device="cpu", out=tmp_path / "run", qat=True))
    assert not (tmp_path / "run").exists()
