from copy import deepcopy

import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.export.check import check, must_be_equal
from potstill.networks import create


@pytest.fixture
def network():
    return create("resnet8", seed=0).eval().requires_grad_(False)


@pytest.fixture
def images():
    return torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_the_same_network_in_float32_and_float64_passes(network, images):
    found = check(network, network, images, "it")
    assert [one.batch for one in found.batches] == [1, 3, 8]
    assert all(one.difference <= one.of_torch < one.allowed < 1e-4 for one in found.batches)
    assert found.batches[0].same_top1 == 100
    exact = deepcopy(network).double()
    in_double = check(lambda batch: exact(batch.double()), network, images, "it")
    assert max(one.difference for one in in_double.batches) < 1e-15


def test_fewer_images_than_a_batch(network, images):
    assert [one.batch for one in check(network, network, images[:2], "it").batches] == [1, 2]


def changed(network):
    other = deepcopy(network)
    other.layer2[0].conv1.weight[0, 0, 0, 0] += 1e-3
    return other


WRONG = {
    "weights": changed,
    "scale": lambda network: lambda images: network(images) * 1.0001,
    "nan": lambda network: lambda images: network(images) * torch.tensor([1.0] * 9 + [float("nan")]),
    "shape": lambda network: lambda images: network(images)[:, :9],
    "one of three": lambda network: lambda images: network(images) + (len(images) == 3),
    "train mode": lambda network: deepcopy(network).train(),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_computes_something_else_is_refused(network, images, kind):
    message = "it does not compute what the network does, and is not kept: 8 test images"
    with pytest.raises(BadInput, match=message) as error:
        check(WRONG[kind](network), network, images, "it")
    assert ("logits differ by inf at most" in str(error.value)) == (kind in ("nan", "shape"))


def test_what_fails_is_refused(network, images):
    fixed = nn.Sequential(network, nn.Unflatten(0, (-1, 2)), nn.Flatten(0, 1))
    with pytest.raises(BadInput, match="it fails on a batch of 1, and is not kept: ") as error:
        check(fixed, network, images, "it")
    assert "\n" not in str(error.value)


def test_a_network_of_single_precision_alone_is_refused(images):
    class Single(nn.Module):
        def forward(self, batch):
            return batch.mean((2, 3)) @ torch.ones(3, 2)

    with pytest.raises(BadInput, match="does not run in float64"):
        check(Single(), Single(), images, "it")


@pytest.mark.parametrize("change", ["sign of zero", "value", "type", "missing", "more"])
def test_weights_must_be_equal_bit_by_bit(network, change):
    network.fc.bias.zero_()
    other = deepcopy(network)
    must_be_equal(other, network, "it")
    if change == "sign of zero":
        other.fc.bias[3] = -0.0
    elif change == "value":
        other.bn1.running_mean[0] += 1e-12
    elif change == "type":
        other.bn1.num_batches_tracked = other.bn1.num_batches_tracked.view(torch.float64)  # the same bits
    elif change == "missing":
        other.fc.bias = None
    else:
        other.register_buffer("another", torch.zeros(1))
    with pytest.raises(BadInput, match="it does not hold the network's weights, and is not kept: .* differs"):
        must_be_equal(other, network, "it")


class Noisy(nn.Module):
    """Random in eval mode."""

    def __init__(self, network, scale):
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, batch):
        logits = self.network(batch)
        return logits + self.scale * torch.randn_like(logits)


@pytest.mark.parametrize("scale", [0.01, 1, 1000])
def test_what_is_random_is_refused_before_anything_is_compared(network, images, scale):  # B9
    noisy = Noisy(network, scale)
    with pytest.raises(BadInput, match="the network gives something else each time for the same images"):
        check(noisy, noisy, images, "it")


class Chaotic(nn.Module):
    """Logits whose float32 is far from their float64, and so would allow anything."""

    def __init__(self, network, scale):
        super().__init__()
        self.network, self.scale = network, scale

    def forward(self, batch):
        logits = self.network(batch)
        return logits * (1 + self.scale * (logits.dtype == torch.float32))


@pytest.mark.parametrize("scale", [0.01, 10, 1e6])
def test_a_network_that_is_far_from_itself_allows_nothing(network, images, scale):  # B14
    chaotic = Chaotic(network, scale)
    with pytest.raises(BadInput, match=r"the network's own logits are off by \S+ in float32"):
        check(chaotic, chaotic, images, "it")


@pytest.mark.parametrize("factor", [1e-3, 1, 1e3, 1e9])
def test_what_is_allowed_has_a_ceiling(network, images, factor):  # B14
    network.fc.weight.data *= factor
    network.fc.bias.data *= factor
    exact = deepcopy(network).double()(images.double())
    spread = (exact.amax(1) - exact.amin(1)).mean().item()
    ceiling = min(1.0, 1e-3 * spread)
    if factor == 1e9:  # of float32, units in the last place are as large
        with pytest.raises(BadInput, match="own logits are off by"):
            check(network, network, images, "it")
    else:
        assert all(one.allowed <= ceiling for one in check(network, network, images, "it").batches)
    with pytest.raises(BadInput):
        check(lambda batch: network(batch) + 2 * ceiling, network, images, "it")
