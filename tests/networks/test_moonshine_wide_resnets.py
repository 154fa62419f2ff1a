"""All networks that Moonshine's code can build, against what was counted in it."""

import re
from math import floor

import pytest
import torch
from drawn import drawn
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, macs, parameters
from potstill.networks.cheap import ORIGINAL, Cheap, cheap

SIZES = ("wrn-16-1", "wrn-16-2", "wrn-40-1", "wrn-40-2")
FEW = ("Conv", "G8B2", "DConv")
# The name of an entry -> the network, its classes, and the size of the image that multiply-adds are counted for.
ENTRIES = {
    **{f"{size}.{spec}": (f"{size}+{spec}", 10, 32) for size in SIZES for spec in ORIGINAL},
    **{f"wrn-16-2.{spec}.block_Old": (f"wrn-16-2-old+{spec}", 10, 32) for spec in FEW},
    **{f"wrn-16-2.{spec}.block_Bottle": (f"wrn-16-2-bottle+{spec}", 10, 32) for spec in FEW},
    **{f"wrn-40-2.Conv.split{parts}": (f"wrn-40-2-split{parts}+Conv", 10, 32) for parts in (2, 3, 6)},
    "wrn-16-2.Conv.classes100": ("wrn-16-2+Conv", 100, 32),
    **{f"imagenet-resnet{d}.{spec}.block_Old": (f"resnet{d}+{spec}", 1000, 224) for d in (18, 34) for spec in FEW},
}


def on_meta(spec: str, classes: int) -> nn.Module:
    """The network without memory for its weights, which is enough to count."""
    with torch.device("meta"):
        return create(spec, classes)


def convolution_parameters(network: nn.Module) -> int:
    kinds = (nn.Conv2d, nn.Conv3d)
    return sum(p.numel() for m in network.modules() if isinstance(m, kinds) for p in m.parameters(recurse=False))


def test_every_entry_is_mapped(counts):
    assert set(ENTRIES) == set(counts["moonshine"])
    assert len(ENTRIES) == 144


@pytest.mark.parametrize("name", drawn(ENTRIES, 16))
def test_counts(counts, name):
    spec, classes, size = ENTRIES[name]
    recorded = counts["moonshine"][name]
    if not recorded.get("constructs", True):
        base, conv = spec.split("+")
        message = rf"^{conv} cannot replace block1\.0\.conv1, 16 to \d+ channels: .*; nearest is (\w+)$"
        with pytest.raises(BadInput, match=message) as error:
            on_meta(spec, classes)
        nearest = str(error.value).rpartition(" ")[2]
        assert counts["moonshine"][f"{base}.{nearest}"]["constructs"]
        on_meta(f"{base}+{nearest}", classes)
        return
    network = on_meta(spec, classes)
    assert parameters(network) == recorded["parameters_total"]
    assert convolution_parameters(network) == recorded["parameters_conv"]
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert parameters(*norms) == recorded["parameters_batchnorm"]
    counted = [recorded[field] for field in ("macs_conv_linear_32x32", "macs_conv_linear_224") if field in recorded]
    assert counted in ([], [macs(network, (3, size, size))])


def test_the_original_could_not_build_these(counts):
    failing = {name for name, net in counts["moonshine"].items() if not net.get("constructs", True)}
    assert len(failing) == 10
    assert {name.rpartition(".")[2] for name in failing} == {"G16B2", "G8B4", "G16B4", "A16B2"}


def layer_cost(kind: Cheap, inputs: int, outputs: int, before: int, after: int) -> tuple[int, int]:
    """Parameters and multiply-adds of what replaces a 3x3 convolution from ``before`` to ``after`` pixels, by hand."""
    form, width = kind.form, outputs // kind.factor if kind.factor else inputs
    groups = width // kind.size if kind.size else kind.groups or (width if form.startswith("DConv") else 1)
    if form in ("Conv", "Conv2x2"):
        weights = inputs * outputs * (9 if form == "Conv" else 4)
        return weights, weights * after
    spatial = 9 * width * width // groups
    last = 3 * outputs if form == "DConv3D" else width * outputs
    # The 3-wide filter moves over all channels.
    last_macs = last * width if form == "DConv3D" else last
    first = inputs * width if kind.factor else 0
    norms = 2 * width * (2 if kind.factor else 1)
    return first + spatial + last + norms, first * before + (spatial + last_macs) * after


def wide_resnet_cost(depth: int, width: float, classes: int, spec: str) -> tuple[int, int]:
    """Parameters and multiply-adds of a wide ResNet for 32 x 32, from the paper's table rather than from a network."""
    total, total_macs = 27 * 16, 27 * 16 * 1024
    channels, pixels = 16, 1024
    for group in (1, 2, 3):
        for block in range((depth - 4) // 6):
            inputs, channels = channels, floor(8 * 2**group * width)
            before, pixels = pixels, pixels // (4 if block == 0 and group > 1 else 1)
            shortcut = inputs * channels if inputs != channels else 0
            total += 2 * inputs + 2 * channels + shortcut
            total_macs += shortcut * pixels
            for i, start in ((inputs, before), (channels, pixels)):
                cost = layer_cost(cheap(spec), i, channels, start, pixels)
                total, total_macs = total + cost[0], total_macs + cost[1]
    return total + 2 * channels + channels * classes + classes, total_macs + channels * classes


@pytest.mark.parametrize("spec", ORIGINAL)
def test_counting_by_hand_agrees_with_the_record(counts, spec):
    for size in SIZES:
        recorded = counts["moonshine"][f"{size}.{spec}"]
        if recorded["constructs"]:
            _, depth, width = size.split("-")
            expected = (recorded["parameters_total"], recorded["macs_conv_linear_32x32"])
            assert wide_resnet_cost(int(depth), int(width), 10, spec) == expected


@pytest.mark.parametrize("spec", drawn(ORIGINAL, 12))
@pytest.mark.parametrize(("depth", "width"), [(22, 1), (28, 2), (10, 4), (16, 1.5)])
def test_other_sizes_with_100_classes(depth, width, spec):
    name = f"wrn-{depth}-{width}+{spec}"
    widths = [(16, int(16 * width)), (int(16 * width), int(32 * width)), (int(32 * width), int(64 * width))]
    fits = not any(cheap(spec).misfit(i, o) for pair in widths for i, o in (pair, (pair[1], pair[1])))
    if fits:
        network = on_meta(name, 100)
        expected = wide_resnet_cost(depth, width, 100, spec)
        assert parameters(network) == expected[0]
        if depth <= 16:  # counting by hand has been seen to agree, and running deep networks takes time
            assert macs(network) == expected[1]
        return
    with pytest.raises(BadInput, match=rf"^{spec} cannot replace block\d\.0\.conv\d, .*; nearest is \w+$") as error:
        on_meta(name, 100)
    on_meta(f"wrn-{depth}-{width}+{str(error.value).rpartition(' ')[2]}", 100)


@pytest.mark.parametrize("spec", ["wrn-16-2-old", "wrn-16-2-bottle"])
def test_stages_are_those_of_the_original(counts, run_with_aliases, spec):
    block = spec.rpartition("-")[2].capitalize()
    recorded = counts["moonshine"][f"wrn-16-2.Conv.block_{block}"]["feature_shapes"]
    seen = run_with_aliases(create(spec), torch.zeros(1, 3, 32, 32))
    assert [list(seen[f"stage{i}"].shape[1:]) for i in (1, 2, 3)] == recorded
    assert seen["logits"].shape == (1, 10)


def test_pre_of_a_post_activation_block_is_what_its_last_activation_reads(run_with_aliases):
    seen = run_with_aliases(create("wrn-16-1-old", seed=0), torch.randn(2, 3, 32, 32))
    for stage in ("stage1", "stage2", "stage3"):
        assert (seen[f"{stage}:pre"] < 0).any()
        assert torch.equal(seen[stage], seen[f"{stage}:pre"].relu())


def test_a_block_of_one_convolution():
    network = create("wrn-10-2-bottle", seed=0).eval()
    block = network.block2[0]
    x = torch.randn(2, 32, 8, 8)
    activated = block.bn1(x).relu()
    torch.testing.assert_close(block(x), block.conv1(activated) + block.shortcut(activated))
    same = create("wrn-16-2-bottle", seed=0).eval().block2[1]
    x = torch.randn(2, 64, 8, 8)
    torch.testing.assert_close(same(x), same.conv1(same.bn1(x).relu()) + x)


@pytest.mark.parametrize("spec", ["wrn-10-1-old", "wrn-10-1-bottle", "wrn-16-1-split2+ACDC2"])
def test_gradients_reach_every_parameter(spec):
    network = create(spec, seed=0)
    logits = network(torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)))
    nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]


def test_states_of_the_original_load(tmp_path):
    there = create("wrn-16-1-bottle+DConv", seed=0).state_dict()
    names = {name: re.sub(r"^(block\d)\.(\d+)\.", r"\1.0.layer.\2.", name) for name in there}
    for ours, original in (("shortcut", "convShortcut"), ("conv1.conv.", "conv1.convdw."), ("pointwise", "conv1x1")):
        names = {name: theirs.replace(ours, original) for name, theirs in names.items()}
    theirs = {names[name]: value for name, value in there.items()}
    torch.save(theirs, tmp_path / "student.pth")
    here = create("wrn-16-1-bottle+DConv", seed=1, weights=tmp_path / "student.pth")
    assert all(torch.equal(value, there[name]) for name, value in here.state_dict().items())
