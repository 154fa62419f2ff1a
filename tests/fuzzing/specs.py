"""Networks and convolutions by their names."""

from pathlib import Path

import torch
from hypothesis import strategies as st
from torch import nn

import potstill as ps
from fuzzing.domain import Domain
from fuzzing.odd import misspelt
from potstill.networks.cheap import ORIGINAL

CONV_TOKENS = (
    "G",
    "B",
    "A",
    "D",
    "Conv",
    "DConv",
    "2x2",
    "3D",
    "0",
    "8",
    "16",
    "99999999999",
    "ACDC",
    "-",
    "٣",
    "1" * 400,
)
NETWORKS = (
    *("resnet8", "resnet20a", "resnet14x4", "resnet8x4", "wrn-10-1", "wrn-16-2", "wrn-40-1-bottom2", "vgg8", "vgg8bn"),
    *("mobilenet-v2-0.5", "shufflenet-v1", "shufflenet-v2-0.5", "wrn-10-1+G2B2", "resnet8+DConv", "resnet8+ACDC2"),
    *("torch.nn:Identity", "torch.nn:Linear", "torch.nn:Flatten", "builtins:dict", "timm:", "torchvision:"),
    *("nowhere.py:net",),
    *("timm:nosuch", "torchvision:nosuch", "torch:nn", "math:pi", "math:sqrt", "potstill:__version__", "runs/x:light"),
)
NETWORK_TOKENS = (
    *("-", "+", ":", "/", ".", "x", "x4", "a", "0", "1", "9", "-1", "10000", "resnet", "wrn", "vgg", "timm:", "G8B2"),
    *("+DConv",),
    *("+", "0" * 30, "1" * 30, "-0.5", "1e9", "nan", "bottom1", "-bottom", "none", ".py", "torch.nn:", "٣", "²"),
)


def run_convolution(value: tuple[str, int, int, int, bool], folder: Path) -> None:
    """What can be built maps to the shape that it stands in for."""
    spec, inputs, outputs, kernel, bias = value
    plain = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    found = ps.networks.cheap(spec)
    problem = found.misfit(inputs, outputs)
    assert ps.networks.cheap(found.nearest((inputs, outputs))).misfit(inputs, outputs) is None
    layer = found.build(plain)
    assert problem is None
    assert layer(torch.zeros(2, inputs, 5, 5)).shape == (2, outputs, *plain(torch.zeros(1, inputs, 5, 5)).shape[2:])


def run_network(value: tuple[str, int], folder: Path) -> None:
    """What can be built has as many parameters as it says, and a spec that builds it again."""
    spec, classes = value
    network = ps.networks.create(spec, classes, seed=0)
    assert isinstance(network, nn.Module)


SIZES = st.sampled_from((1, 2, 3, 4, 8, 16, 17, 64))
CONVOLUTIONS = Domain(
    st.tuples(
        misspelt([*ORIGINAL, "ACDC", "ACDC3"], CONV_TOKENS), SIZES, SIZES, st.sampled_from((1, 2, 3, 5)), st.booleans()
    ),
    run_convolution,
)
SPECS = Domain(
    st.tuples(misspelt(NETWORKS, NETWORK_TOKENS), st.sampled_from((10, 2, 1, 0, -1, 100, 2**31, 10**12))), run_network
)
