import copy
import re

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from potstill.errors import BadInput
from potstill.networks import (
    cheap,
    create,
    keep_weights,
    load_weights,
    macs,
    parameters,
    reasons_to_stay,
    substitute,
)
from potstill.networks.cheap import ORIGINAL


def changed(network: nn.Module, before: dict[str, nn.Module]) -> set[str]:
    return {path for path, module in before.items() if network.get_submodule(path) is not module}


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


@pytest.mark.parametrize("spec", [*ORIGINAL, "ACDC"])
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


@pytest.mark.parametrize(
    ("spec", "reasons"),
    [
        ("timm:mobilenetv2_050", r"EfficientNet .*: the stem \(1\), in groups already \(17\), 1x1 \(34\)"),
        ("torchvision:resnext50_32x4d", r"ResNet .*: the stem \(1\), 1x1 \(36\), in groups already \(16\)"),
        ("timm:nf_resnet26", r"NormFreeNet .*: .*, ScaledStdConv2d computes in a way of its own \(8\)"),
    ],
)
def test_what_is_cheap_already_or_peculiar_stays(spec, reasons):
    with torch.device("meta"):
        network = create(spec)
    with pytest.raises(BadInput, match=f"^{reasons}$"):
        substitute(network, "G8B2")


def test_a_network_without_convolutions():
    with pytest.raises(BadInput, match=r"^Linear has no convolution to replace: it has none at all$"):
        substitute(nn.Linear(1, 1), "DConv")


def test_reasons_to_stay():
    layers = [nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 3, groups=4)]
    network = nn.Sequential(*layers, timm.layers.StdConv2d(8, 8, 3))
    own = "StdConv2d computes in a way of its own"
    assert list(reasons_to_stay(network).values()) == ["the stem", "", "1x1", "in groups already", own]
    others = "does not match '[03]'"
    assert list(reasons_to_stay(network, "[03]").values()) == ["", others, "1x1", "", others]
    before = dict(network.named_modules())
    substitute(network, "DConv")
    assert changed(network, before) == {"1"}
    substitute(network, "DConv", "[03]")
    assert changed(network, before) == {"0", "1", "3"}


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


def test_a_pattern_does_not_reach_what_computes_in_a_way_of_its_own():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), timm.layers.StdConv2d(8, 8, 3))
    with pytest.raises(BadInput, match=r"^cannot replace 1: StdConv2d computes in a way of its own$"):
        substitute(network, "DConv", "*")
    assert isinstance(network[0], nn.Conv2d)


@pytest.mark.parametrize("geometry", [{}, {"stride": 2}, {"stride": 2, "dilation": 2}, {"kernel_size": 5, "stride": 3}])
@pytest.mark.parametrize("spec", ["Conv", "Conv2x2", "DConv", "G4B2", "ACDC2"])
def test_what_pads_to_the_same_size_still_does(spec, geometry):
    same = timm.layers.Conv2dSame(8, 8, **{"kernel_size": 3} | geometry)
    network = substitute(nn.Sequential(nn.Identity(), same), spec, "*")
    for size in (7, 8, 9):
        images = torch.randn(1, 8, size, size + 1)
        assert network(images).shape == same(images).shape
    if spec == "Conv":
        network[1].load_state_dict(same.state_dict())
        assert torch.equal(network(images), same(images))


def test_the_teachers_weights_stay_where_nothing_is_replaced():
    teacher = create("wrn-16-1", seed=0)
    student = substitute(copy.deepcopy(teacher), "G4B2", keep="1x1")
    old, new = teacher.state_dict(), student.state_dict()
    kept = [name for name in new if name in old]
    assert {"conv1.weight", "block2.0.shortcut.weight", "block2.0.bn2.running_var", "fc.bias"} <= set(kept)
    assert all(torch.equal(new[name], old[name]) for name in kept)


def test_without_keep_everything_starts_afresh():
    teacher = create("wrn-16-1", seed=0)
    teacher(torch.randn(4, 3, 32, 32))  # batch norms remember
    student = substitute(copy.deepcopy(teacher), "G4B2", keep=None)
    old, new = teacher.state_dict(), student.state_dict()
    drawn = [name for name in new if name in old and new[name].ndim > 1]
    assert {"conv1.weight", "block2.0.shortcut.weight", "fc.weight"} == {n for n in drawn if "block3" not in n}
    assert not [name for name in drawn if torch.equal(new[name], old[name])]
    assert new["conv1.weight"].std().item() == pytest.approx((2 / (9 * 16)) ** 0.5, rel=0.15)
    assert not new["bn1.running_mean"].any()
    assert new["bn1.num_batches_tracked"] == 0


def test_what_cannot_start_afresh():
    with torch.device("meta"):
        network = create("timm:convnext_atto")
    before = dict(network.named_modules())
    with pytest.raises(BadInput, match=r"^cannot start stages\.0\.blocks\.0 afresh: ConvNeXtBlock has no reset_param"):
        substitute(network, "DConv", keep=None)
    assert not changed(network, before)


def test_keep_weights_copies_what_two_networks_have_in_common():
    teacher, student = create("wrn-16-1", seed=0), create("wrn-16-1+DConv", seed=1)
    teacher(torch.randn(4, 3, 32, 32))
    fresh = {name: value.clone() for name, value in student.state_dict().items()}
    copied = keep_weights(student, teacher)
    expected = substitute(copy.deepcopy(teacher), "DConv").state_dict()
    common = teacher.state_dict().keys() & expected.keys()
    assert copied == len(common)
    for name, value in student.state_dict().items():
        assert torch.equal(value, (expected if name in common else fresh)[name]), name
    student.conv1.weight.data.zero_()
    assert teacher.conv1.weight.any()  # copied, not shared


def test_keep_weights_of_strangers():
    with pytest.raises(BadInput, match=r"^nothing of this WideResNet fits into this Linear$"):
        keep_weights(nn.Linear(2, 2), create("wrn-10-1"))


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
