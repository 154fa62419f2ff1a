import pytest

from potstill.export.source import making, source
from potstill.networks import create
from potstill.networks.built_in import BUILT_IN, USUAL, by_name
from potstill.networks.cheap import ORIGINAL

CHEAP = [f"wrn-10-1+{conv}" for conv in ("ACDC4", "DConv3D", "Conv2x2", "A4B2", "ConvB2", "DConvG8")]


def shapes(network):
    return {name: (value.shape, value.dtype) for name, value in network.state_dict().items()}


def test_every_built_in_network_is_usual():
    assert {by_name(name)[0] for name in USUAL} == set(BUILT_IN.values())
    assert {conv for conv in ORIGINAL if conv.startswith("DConvG")}


@pytest.mark.parametrize(
    "spec", [*USUAL[:1], "resnet20a", "resnet18", "resnet50-cifar", *[n for n in USUAL if n[:6] != "resnet"], *CHEAP]
)
def test_a_built_in_network_from_its_source_alone(spec):
    """The weights fit; that it computes the same is tested with exported files."""
    made = making(spec, classes=5)
    imports, definitions = source(made.ours)
    text = "\n".join([*made.imports, *imports, definitions, f"network = {made.expression}"])
    assert "potstill import" not in text
    assert "from potstill" not in text.replace(">>> from potstill", "")
    names = {"__name__": "alone"}
    exec(compile(text, spec, "exec"), names)
    assert shapes(names["network"]) == shapes(create(spec, classes=5))
    assert type(names["network"]).__module__ == "alone"


@pytest.mark.parametrize(
    "spec",
    ["timm:resnet10t", "torchvision:squeezenet1_1", "torch.nn:Identity", "torchvision.models:resnet18", "{own}:Own"],
)
def test_networks_from_elsewhere_are_made_as_create_makes_them(spec, own):
    spec = spec.format(own=own)
    made = making(spec, classes=5)
    assert not made.ours
    names = {}
    exec("\n".join([*made.imports, f"network = {made.expression}"]), names)
    assert shapes(names["network"]) == shapes(create(spec, classes=5))


def test_cheap_convolutions_in_cheap_ones_and_in_networks_from_elsewhere():
    assert making("timm:resnet10t+DConv", 5).expression == (
        "substitute(timm.create_model('resnet10t', pretrained=False, num_classes=5), 'DConv')"
    )
    made = making("resnet8+ConvB2+DConv", 10)
    assert made.expression == "substitute(substitute(resnet(depth=8, classes=10), 'ConvB2'), 'DConv')"


def test_comments_come_along_and_nothing_that_is_not_needed():
    imports, definitions = source([("potstill.networks.resnet_cifar", "resnet_a")])
    assert "class ZeroPad" in definitions
    assert "def projection" not in definitions
    assert "Shortcut = Callable[[int, int, int], nn.Module]  # (channels in" in definitions
    assert "from collections.abc import Callable" in imports
    assert "import torch.nn.functional as F" in imports
    _, definitions = source([("potstill.networks.cheap", "cheap")])
    assert "# A depthwise convolution exists for every width." in definitions
