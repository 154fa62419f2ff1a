import math

import pytest
import torch

from potstill.networks import cheap, create, macs, parameters
from potstill.networks.acdc import ACDC, dct, inverse_dct

SIZES = [1, 2, 3, 8, 9]


def cosines(size: int) -> torch.Tensor:
    """The transform's matrix as its definition has it: x @ cosines(N)."""
    rows = [
        [math.sqrt((1 if k == 0 else 2) / size) * math.cos(math.pi * (2 * n + 1) * k / (2 * size)) for k in range(size)]
        for n in range(size)
    ]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("size", SIZES)
def test_the_transform_is_its_definition(size):
    x = torch.randn(4, size, dtype=torch.float64)
    torch.testing.assert_close(dct(x), x @ cosines(size), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(inverse_dct(x), x @ cosines(size).T, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(inverse_dct(dct(x)), x, rtol=1e-12, atol=1e-12)


def dense(layer: ACDC) -> torch.Tensor:
    """The layer as a product of dense matrices, rows of channels from the left: (inputs, outputs)."""
    size = max(layer.inputs, layer.outputs)
    identity = torch.eye(size, dtype=torch.float64)
    shuffle = identity[:, [*range(0, size, 2), *range(1, size, 2)]]
    product = identity
    for a, d in zip(layer.a, layer.d, strict=True):
        product = product @ torch.diag(a) @ cosines(size) @ shuffle @ torch.diag(d) @ cosines(size).T @ shuffle
    repeat = torch.stack([identity[range(i, size, layer.inputs)].sum(dim=0) for i in range(layer.inputs)])
    fold = torch.stack([identity[range(o, size, layer.outputs)].sum(dim=0) for o in range(layer.outputs)])
    return repeat @ product @ fold.T


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (7, 7), (4, 8), (3, 8), (8, 4), (8, 3)])
def test_the_layers_are_one_dense_matrix(inputs, outputs):
    layer = ACDC(inputs, outputs, layers=3, bias=True).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.normal_(1, 0.5)
    torch.testing.assert_close(layer.matrix(), dense(layer).T, rtol=1e-12, atol=1e-12)
    x = torch.randn(2, inputs, 4, 5, dtype=torch.float64)
    expected = torch.einsum("nihw,io->nohw", x, dense(layer)) + layer.bias[:, None, None]
    torch.testing.assert_close(layer(x), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("inputs", "outputs"), [(5, 5), (3, 6), (5, 2)])
def test_gradients(inputs, outputs):
    layer = ACDC(inputs, outputs, layers=2, bias=True).double()
    x = torch.randn(2, inputs, 2, 2, dtype=torch.float64, requires_grad=True)

    def forward(x, a, d, bias):
        return torch.func.functional_call(layer, {"a": a, "d": d, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(forward, (x, layer.a, layer.d, layer.bias))


def test_it_starts_near_1():
    torch.manual_seed(0)
    layer = ACDC(64, 64, bias=True)
    for diagonal in (layer.a, layer.d):
        assert diagonal.shape == (12, 64)
        assert diagonal.mean().item() == pytest.approx(1, abs=0.002)
        assert diagonal.std().item() == pytest.approx(0.01, rel=0.1)
    assert not layer.bias.any()


def test_as_many_parameters_as_the_original_counted():
    # "WRN(40,2) ... ACDC ... 7.70180E+04" of 13 October 2018, research-log.md of gngdb/pytorch-acdc, before its layers
    # had a depthwise convolution; it asks for 12 layers and has 11.
    network = create("wrn-40-2+ACDC11")
    depthwise = [module for path, module in network.named_modules() if path.endswith("conv1.conv")]
    depthwise += [module for path, module in network.named_modules() if path.endswith("conv2.conv")]
    assert len(depthwise) == 36
    assert parameters(network) - parameters(*depthwise) == 77018


def test_it_costs_multiply_adds_as_a_1x1_convolution():
    # The matrix is worked out once, whatever the number of pixels.
    assert macs(create("wrn-10-1+ACDC")) == macs(create("wrn-10-1+DConv"))


def test_the_number_of_layers_is_in_the_name():
    like = torch.nn.Conv2d(4, 6, 3, padding=1)
    assert cheap("ACDC").build(like).pointwise.layers == 12
    assert cheap("ACDC5").build(like).pointwise.layers == 5


def test_it_exports():
    network = create("wrn-10-1+ACDC2", seed=0).eval()
    images = torch.randn(2, 3, 16, 16)
    exported = torch.export.export(network, (images,)).module()
    torch.testing.assert_close(exported(images), network(images))
