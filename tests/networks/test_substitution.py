import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from potstill.errors import BadInput
from potstill.networks import cheap, create, load_weights, macs, parameters, substitute
from potstill.networks.cheap import ORIGINAL

SIZES = ("wrn-16-1", "wrn-16-2", "wrn-40-1", "wrn-40-2")


def changed(network: nn.Module, before: dict[str, nn.Module]) -> set[str]:
    return {path for path, module in before.items() if network.get_submodule(path) is not module}


def convolution_parameters(network: nn.Module) -> int:
    kinds = (nn.Conv2d, nn.Conv3d)
    return sum(p.numel() for m in network.modules() if isinstance(m, kinds) for p in m.parameters(recurse=False))


# The blocks "Old" and "Bottle", the splits and the ImageNet networks of the same list are not built yet.
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("spec", ORIGINAL)
def test_moonshine_counts(counts, size, spec):
    recorded = counts["moonshine"][f"{size}.{spec}"]
    network = create(size)
    if not recorded["constructs"]:
        message = rf"^{spec} cannot replace block1\.0\.conv1, 16 to \d+ channels: .*; nearest is (\w+)$"
        with pytest.raises(BadInput, match=message) as error:
            substitute(network, spec)
        nearest = str(error.value).rpartition(" ")[2]
        assert counts["moonshine"][f"{size}.{nearest}"]["constructs"]
        substitute(network, nearest)  # unchanged by the failure
        return
    substitute(network, spec)
    assert parameters(network) == recorded["parameters_total"]
    assert convolution_parameters(network) == recorded["parameters_conv"]
    assert macs(network) == recorded["macs_conv_linear_32x32"]


def test_the_original_could_not_build_these(counts):
    failing = {name for name, net in counts["moonshine"].items() if not net.get("constructs", True)}
    assert len(failing) == 10
    assert {name.rpartition(".")[2] for name in failing} == {"G16B2", "G8B4", "G16B4", "A16B2"}


def test_a_wide_resnet_changes_in_its_blocks_only():
    network = create("wrn-16-2")
    before = {path: module for path, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    assert substitute(network, "G8B2") is network
    expected = {f"block{g}.{b}.conv{c}" for g in (1, 2, 3) for b in (0, 1) for c in (1, 2)}
    assert changed(network, before) == expected
    kept = [name for name in network.state_dict() if name in weights]
    assert {"conv1.weight", "block1.0.shortcut.weight", "block1.0.bn2.weight", "fc.weight"} <= set(kept)
    for name in kept:
        assert torch.equal(network.state_dict()[name], weights[name]), name
    assert not hasattr(network, "spec")


def test_new_layers_start_as_those_of_a_built_in_network():
    torch.manual_seed(0)
    network = substitute(create("wrn-16-2"), "G8B4")
    conv = network.block3[1].conv1.conv
    # Kaiming, fan out: 9 * 32 weights an output, in groups too; 2304 values have a standard error of 1.5 % in std
    assert conv.weight.std().item() == pytest.approx((2 / (9 * conv.out_channels)) ** 0.5, rel=0.06)
    assert conv.weight.mean().item() == pytest.approx(0, abs=0.01)
    assert network.block3[1].conv1.bn1.weight.eq(1).all()


def test_new_layers_are_where_the_old_ones_were():
    network = create("wrn-10-1").double().eval()
    substitute(network, "DConvB2")
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float64, torch.int64}
    assert not any(module.training for module in network.modules())
    assert network(torch.zeros(2, 3, 32, 32, dtype=torch.float64)).shape == (2, 10)


@pytest.mark.parametrize("spec", ORIGINAL)
def test_every_type_learns_and_takes_other_image_sizes(spec):
    network = substitute(create("wrn-10-4", seed=0), spec)
    logits = network(torch.randn(2, 3, 24, 16))
    nn.functional.cross_entropy(logits, torch.tensor([1, 2])).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in network.parameters())


def test_aliases_stay():
    from potstill.taps import Taps

    network = substitute(create("wrn-10-1"), "DConv")
    addresses = [f"net.{alias}" for alias in network.aliases]
    assert Taps(network, "net", addresses)(torch.zeros(2, 3, 32, 32)).keys() >= set(addresses)


def original_name(name: str, spec: str) -> str:
    """A name as pytorch-moonshine writes it."""
    depthwise = spec.startswith("DConv")
    name = re.sub(r"^(block\d)\.(\d+)\.", r"\1.0.layer.\2.", name).replace("shortcut", "convShortcut")
    if spec in ("Conv", "Conv2x2"):
        return re.sub(r"(layer\.\d+\.conv\d)\.", r"\1.conv.", name)
    name = name.replace(".conv.", ".convdw.") if depthwise else name
    name = re.sub(r"\.(down|up)\.", r".conv1x1_\1.", name)
    return name.replace(".pointwise.", ".conv3d." if spec == "DConv3D" else ".conv1x1.")


@pytest.mark.parametrize("spec", ["Conv2x2", "ConvB2", "DConv", "DConvG4", "DConvB2", "DConv3D", "A2B2"])
def test_states_of_the_original_load(tmp_path, spec):
    there, here = (substitute(create("wrn-16-1"), spec) for _ in range(2))
    state = {original_name(name, spec): value for name, value in there.state_dict().items()}
    if spec == "DConv":
        assert "block1.0.layer.0.conv1.conv1x1.weight" in state
    save_file(state, tmp_path / "student.safetensors")
    load_weights(here, tmp_path / "student.safetensors")
    for name, value in there.state_dict().items():
        assert torch.equal(here.state_dict()[name], value), name


def test_depthwise_convolutions_and_the_stem_stay():
    network = create("timm:mobilenetv2_050")
    with pytest.raises(BadInput, match=r"^EfficientNet has no convolution to replace: spatial, not the stem"):
        substitute(network, "G8B2")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("layer4.*", {f"layer4.{block}.conv{i}" for block in (0, 1) for i in (1, 2)}),  # not the 1x1 shortcut
        ("conv1", {"conv1"}),  # the stem, if asked for
    ],
)
def test_a_pattern_chooses(pattern, expected):
    network = create("torchvision:resnet18")
    before = {path: module for path, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    substitute(network, "DConv", pattern)
    assert changed(network, before) == expected
    assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


def test_elsewhere_without_a_pattern():
    network = create("torchvision:resnet18")
    before = {path: module for path, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    costs = parameters(network), macs(network, (3, 64, 64))
    substitute(network, "G8B2")
    assert changed(network, before) == {path for path in before if re.fullmatch(r"layer\d\.\d\.conv\d", path)}
    assert parameters(network) < 0.25 * costs[0]
    assert macs(network, (3, 64, 64)) < 0.3 * costs[1]


def test_a_pattern_that_matches_nothing():
    with pytest.raises(BadInput, match=r"WideResNet matches 'blok3\*'; nearest: .*block3\.0\.conv\d"):
        substitute(create("wrn-10-1"), "DConv", "blok3*")
    with pytest.raises(BadInput, match=r"Linear matches '\*'; it has none"):
        substitute(nn.Linear(1, 1), "DConv", "*")


def test_a_convolution_with_a_forward_of_its_own_is_refused():
    network = create("timm:tf_mobilenetv3_small_075")  # pads by the image's size, which a cheap convolution would not
    with pytest.raises(BadInput, match=r"^cannot replace conv_stem: Conv2dSame computes in a way of its own$"):
        substitute(network, "DConv", "conv_stem")


def test_a_failure_changes_nothing():
    network = create("wrn-10-1")
    modules, spec = dict(network.named_modules()), network.spec
    with pytest.raises(BadInput, match=r"block1\.0\.conv1, 16 to 16 channels: .* nearest is G8B2$"):
        substitute(network, "G16B2")
    assert dict(network.named_modules()) == modules
    assert network.spec == spec


def test_the_nearest_spec_fits_all_layers():
    layers = nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 64, 3), nn.Conv2d(64, 16, 3))
    with pytest.raises(BadInput, match=r"^G16B4 cannot replace 2, 64 to 16 channels: .*; nearest is G4B4$"):
        substitute(layers, "G16B4")
    assert cheap("G16B4").misfit(16, 64) is None
    assert cheap("G8B4").misfit(16, 64) is None
