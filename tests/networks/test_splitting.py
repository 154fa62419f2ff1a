import pytest
import torch
from torch import nn

from potstill.errors import BadInput
from potstill.networks import create, split_stages
from potstill.taps import Taps


def maps(network: nn.Module, size: int, end: str = "") -> dict[str, torch.Tensor]:
    stages = [f"net.{alias}" for alias in network.aliases if alias.startswith("stage") and alias.endswith(end)]
    values = Taps(network.eval(), "net", stages)(torch.ones(1, 3, size, size))
    return {stage.removeprefix("net."): values[stage] for stage in stages if end or ":" not in stage}


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_groups_in_parts_are_those_of_the_original(counts, parts):
    recorded = counts["moonshine"][f"wrn-40-2.Conv.split{parts}"]["feature_shapes"]
    found = {stage: list(value.shape[1:]) for stage, value in maps(create(f"wrn-40-2-split{parts}"), 32).items()}
    assert found == {f"stage{i}": shape for i, shape in enumerate(recorded, start=1)}


def test_an_imagenet_network_halves_the_image_once_a_stage():
    found = [list(value.shape[1:]) for value in maps(split_stages(create("resnet18"), 2), 64).values()]
    assert found == [[64, 16, 16]] * 2 + [[128, 8, 8]] * 2 + [[256, 4, 4]] * 2 + [[512, 2, 2]] * 2


@pytest.mark.parametrize("end", ["", ":pre"])
def test_the_last_part_of_a_stage_is_the_stage(end):
    whole, split = create("wrn-28-1", seed=0), create("wrn-28-1-split2", seed=0)
    assert whole.state_dict().keys() == split.state_dict().keys()
    found, expected = maps(split, 16, end), maps(whole, 16, end)
    assert len(expected) == 3
    for i in (1, 2, 3):
        assert torch.equal(found[f"stage{2 * i}{end}"], expected[f"stage{i}{end}"])


def test_other_aliases_stay():
    network = create("wrn-16-1-split2")
    assert (network.aliases["stem"], network.aliases["pooled"]) == ("conv1", "fc:in")


@pytest.mark.parametrize(
    ("network", "parts", "message"),
    [
        ("wrn-40-1", 4, r"^stage1 has 6 blocks, which 4 does not divide; the nearest number is 3$"),
        ("wrn-40-1", 0, r"^stage1 has 6 blocks, which 0 does not divide; the nearest number is 1$"),
        ("resnet34", 3, r"^stage2 has 4 blocks, which 3 does not divide; the nearest number is 2$"),
        ("torchvision:squeezenet1_1", 2, r"^this SqueezeNet has no stages to split$"),
        ("timm:vit_tiny_patch16_224", 2, r"^stage1 of this \w+ is not a sequence of blocks, and cannot be split$"),
    ],
)
def test_what_cannot_be_split(network, parts, message):
    with torch.device("meta"):
        built = create(network)
    before = dict(getattr(built, "aliases", {}))
    with pytest.raises(BadInput, match=message):
        split_stages(built, parts)
    assert getattr(built, "aliases", {}) == before
