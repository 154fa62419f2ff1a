import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, macs, parameters, share


@pytest.mark.parametrize("depth", [20, 110])
@pytest.mark.parametrize("classes", [10, 100])
def test_kdzoo_resnets(counts, depth, classes):
    recorded = counts["kdzoo"][f"resnet{depth}.classes{classes}"]
    network = create(f"resnet{depth}", classes)
    assert parameters(network) == recorded["parameters_total"]
    assert macs(network) == recorded["macs_conv_linear_32x32"]


def test_moonshine_wide_resnets(counts):
    recorded = {name.partition(".")[0]: net for name, net in counts["moonshine"].items() if name.endswith(".Conv")}
    assert set(recorded) == {"wrn-16-1", "wrn-16-2", "wrn-40-1", "wrn-40-2"}
    for spec, net in recorded.items():
        assert parameters(create(spec)) == net["parameters_total"]
        assert macs(create(spec)) == net["macs_conv_linear_32x32"]


def test_moonshine_wide_resnet_with_100_classes(counts):
    recorded = counts["moonshine"]["wrn-16-2.Conv.classes100"]
    assert parameters(create("wrn-16-2", 100)) == recorded["parameters_total"]


@pytest.mark.parametrize("depth", [16, 40])
@pytest.mark.parametrize("width", [1, 2])
def test_rocket_networks_alone(counts, depth, width):
    recorded = counts["rocket"][f"interval.depth{depth}.width{width}"]
    assert parameters(create(f"wrn-{depth}-{width}")) == recorded["parameters_used"]


@pytest.mark.parametrize(("width", "classes", "end"), [(1, 10, ""), (1, 100, ".classes100"), (2, 10, "")])
def test_a_rocket_counts_shared_parameters_once(counts, width, classes, end):
    recorded = counts["rocket"][f"interval.depth40.width{width}.light16.shared{end}"]
    light, booster = create(f"wrn-16-{width}", classes), create(f"wrn-40-{width}", classes)
    assert parameters(light, booster) == recorded["light_uses"] + recorded["booster_uses"]
    share(light, booster)
    assert parameters(light) == recorded["light_uses"]
    assert parameters(booster) == recorded["booster_uses"]
    assert parameters(light, booster) == recorded["union_used"]


@pytest.mark.parametrize(("classes", "end"), [(10, ""), (100, ".classes100")])
def test_a_rocket_on_its_boosters_bottom(counts, classes, end):
    recorded = counts["rocket"][f"bottom.depth40.width1.light16.shared{end}"]
    light, booster = create("wrn-40-1-bottom2", classes), create("wrn-40-1", classes)
    share(light, booster, "bottom")
    assert parameters(light) == recorded["light_uses"]
    assert parameters(booster) == recorded["booster_uses"]
    assert parameters(light, booster) == recorded["union_used"]


@pytest.mark.parametrize("kind", ["interval", "bottom"])
def test_a_rocket_that_shares_nothing_counts_everything_twice(counts, kind):
    recorded = counts["rocket"][f"{kind}.depth40.width1.light16.not_shared"]
    light = create("wrn-16-1" if kind == "interval" else "wrn-40-1-bottom2")
    original_shares_its_stem = 432  # whatever its switch says: QUIRKS 5.7
    assert parameters(light, create("wrn-40-1")) == recorded["union_used"] + original_shares_its_stem


def test_counting_leaves_the_network_as_it_was():
    network = create("resnet8").train()
    network.layer1.eval()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    macs(network)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_attention_is_counted_in_eval_mode_too():
    # torch has a fused inference kernel for these layers, which its counter would not see into
    layer = nn.TransformerEncoderLayer(8, nhead=2, dim_feedforward=16, batch_first=True).requires_grad_(False)
    network = nn.Sequential(nn.Flatten(2), layer)  # an image (1, 3, 2, 4) is three tokens of width 8
    linear = 3 * 8 * (3 * 8 + 8 + 16 + 16)  # query, key and value; output; the two of the feed-forward part
    attention = 2 * 3 * 3 * 8  # tokens x tokens, and back
    assert macs(network, (3, 2, 4)) == linear + attention
    assert torch.backends.mha.get_fastpath_enabled()


def test_another_size_and_dtype():
    assert macs(create("resnet20").double(), (3, 64, 64)) == 4 * (macs(create("resnet20")) - 640) + 640


def test_an_image_the_network_cannot_take():
    network = create("resnet8").train()
    with pytest.raises(
        BadInput, match=r"^CifarResNet cannot take an image of shape \(1, 32, 32\): .*3 channels"
    ) as error:
        macs(network, (1, 32, 32))
    assert "\n" not in str(error.value)
    assert network.training
